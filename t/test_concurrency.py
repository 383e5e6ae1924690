# SPDX-License-Identifier: Apache-2.0
"""Many users at once: every answer names its own user."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import location

pytestmark = pytest.mark.alone

USERS = [f"user{n:02}" for n in range(1, 21)]


def work(gw, number, requests):
    """One client with its own connection, and users that change with every request."""
    wrong = []
    users = itertools.islice(itertools.cycle(USERS), number, None)
    with gw.client(timeout=60) as client:
        for user, _ in zip(users, range(requests)):
            answer = client.get("/eas", user, PASSWORDS[user])
            if answer.status != 200 or answer.json()["remote_user"] != f"{user}@{REALM}":
                wrong.append((user, answer))
    return wrong


# Each of prefork's children is cold by itself: fewer of them, lest the KDC be what is tested.
@pytest.mark.parametrize("mpm,clients,total", [("event", 64, 10_000), ("worker", 64, 3_000),
                                               ("prefork", 12, 3_000)])
def test_every_answer_names_its_own_user(gateway, backends, mpm, clients, total):
    backend = backends("cas1")
    # More workers than clients in each child, lest httpd close kept-alive connections. And cold,
    # all users come at once to a KDC of a single process.
    gw = gateway("EasKcdRequireTLS Off\nEasKcdKdcTimeout 60s\nKeepAliveTimeout 60\n"
                 + location(backend.url), mpm=mpm, tls=False,
                 processes=2 if mpm != "prefork" else 24, threads=80)
    gw.allow("AH00161", because="prefork wants spare servers beyond one for each connection")
    gw.allow("AH01102", "AH00898",
             because="the backend has fewer threads than clients, and closes kept connections")
    with ThreadPoolExecutor(clients) as pool:
        results = pool.map(lambda n: work(gw, n, total // clients), range(clients))
    wrong = [entry for result in results for entry in result]
    assert wrong == []
    # mod_auth_gssapi's log says the same from the other side: whose is each of its connections?
    seen = backend.requests()
    assert {entry["user"] for entry in seen} <= {f"{user}@{REALM}" for user in USERS}
    assert {len(users) for users in backend.users_by_connection()} == {1}
    fresh = sum(entry["keepalives"] == "0" for entry in seen)
    print(f"{fresh} connections for {len(seen)} requests")
    # prefork's children have one thread, and therefore keep one connection each.
    assert fresh < len(seen) or mpm == "prefork"


def test_graceful_restart_under_load(gateway, backends):
    """No request is refused or served as another user while generations change."""
    gw = gateway("EasKcdRequireTLS Off\n" + location(backends("cas1").url), tls=False)
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(work_reconnecting, gw, n, 100) for n in range(8)]
        for _ in range(3):
            gw.graceful()
        wrong = [entry for result in results for entry in result.result()]
    assert wrong == []


def work_reconnecting(gw, number, requests):
    """As work(), with a connection for each request: httpd may close kept-alive ones."""
    return [entry for n in range(requests) for entry in work(gw, number + n, 1)]
