# SPDX-License-Identifier: Apache-2.0
"""Gateways whose long polls park, and backends that keep them waiting (EasKcdPark)."""

import threading
import time
from urllib.parse import parse_qs, urlsplit

from .activesync import CHANGED, PATH, TYPE
from .exchange import location
from .fake_backend import always_401, response
from .wait import until

USERS = [f"user{n:02}" for n in range(1, 9)]
THREADS = 4
PROMPT = 1.0        # seconds
SETTINGS = "EasKcdRequireTLS Off\nAsyncRequestWorkerFactor 200\n"
SMALL = SETTINGS + "MaxRequestWorkers 4\n"


def published(backend, *lines, parameters=""):
    return location(backend.url + PATH, "EasKcdPark On", *lines, path=PATH, parameters=parameters)


def wait(seconds):
    began = time.monotonic()
    until(lambda: time.monotonic() > began + seconds, seconds + 5, "that time")


def await_parked(gw, number=1):
    """Until so many requests have left their threads, in all."""
    until(lambda: gw.error_log.text().count("parks: waits without a thread") >= number, 20,
          f"{number} requests to park")


def right(*headers, status="200 OK", body=CHANGED):
    return lambda proof: response(status, [("WWW-Authenticate", proof), ("Content-Type", TYPE),
                                           *headers], body)


def closing(proof: str):
    """The end of the connection comes with the response."""
    yield right(("Connection", "close"))(proof)
    yield None


class Gates:
    """A script for a FakeBackend: each user's request waits until open(user)."""

    def __init__(self, keeper, body=CHANGED):
        self.keeper, self.body = keeper, body
        self.waiting = 0
        self._gates = {user: threading.Event() for user in USERS}

    def open(self, *users):
        for user in users:
            self._gates[user].set()

    def __call__(self, request):
        user, = parse_qs(urlsplit(request.path).query)["User"]
        self.waiting += 1
        self._gates[user].wait(60)
        return right(body=self.body)(self.keeper.proof(request))


class Held:
    """A script for a FakeBackend: each Ping or Sync waits for release(), and is answered with
    *answers* in their order, each made from the right proof."""

    def __init__(self, keeper, *answers):
        self.keeper, self.answers = keeper, list(answers)
        self.waiting = 0
        self._released = threading.Event()

    def release(self):
        self._released.set()

    def hold(self):
        self._released.clear()

    def __call__(self, request):
        if "Cmd=" not in request.line:
            return always_401(request)
        self.waiting += 1
        self._released.wait(60)
        self.waiting -= 1
        return self.answers.pop(0)(self.keeper.proof(request))


def parked(polls, script, user="alice", command="Ping", number=1):
    """A Ping that has left its thread, as the *number*th of all."""
    client = polls.send(user, command=command)
    until(lambda: script.waiting == 1, 10, "the Ping to wait")
    await_parked(polls.gw, number)
    return client


def answered(polls):
    """A phone whose Ping has parked, and has been answered by a change."""
    client = polls.hold("alice")
    await_parked(polls.gw)
    polls.server.change()
    assert client.receive().body == CHANGED
    return client


def unparked(polls, script, user="alice"):
    """A Ping that has had the time to leave its thread."""
    client = polls.send(user)
    until(lambda: script.waiting == 1, 10, "the Ping to wait")
    wait(1.5)
    return client
