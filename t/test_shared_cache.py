# SPDX-License-Identifier: Apache-2.0
"""A cache server that is silent, slow or half-open, and the end of a child meanwhile."""

import contextlib
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.ad import PASSWORDS
from lab.exchange import location
from lab.frontdoor import BROWSER, COOKIE, PHONE, Visitor
from lab.gateway import MODULES
from lab.sessions import OWA, at, log_on, served
from lab.unique import unique_path
from lab.wait import Daemon, answers, free_port, until

WAIT = 1.0      # for one answer of the cache server
# Beyond it, for a busy machine.
SLACK = 0.7
OPEN_FOR = 4.0
THREADS = 8     # of a process, for the cache server
TROUBLE = {"redis": ("AH03478", "AH03479"), "memcache": ("AH00790", "AH00791")}
LATE = "late answers are errors of the provider's own"


@pytest.fixture
def memcached(lab_dir):
    port = free_port()
    server = Daemon("memcached", ["/usr/bin/memcached", "-u", "nobody", "-l", "127.0.0.1",
                                  "-U", "0", "-p", str(port)], lab_dir / f"memcached-{port}.log")
    server.start(lambda: answers(port))
    yield port, server
    server.stop()


@pytest.fixture
def start(gateway, mailbox, secret):
    def make(kind, port, **options):
        options = {"processes": 1} | options
        gw = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache {kind}:127.0.0.1:{port}\n'
                     "EasKcdPasswordCache off\nRedisTimeout 1\n" + location(mailbox.url, path=OWA),
                     modules=(*MODULES, "socache_redis", "socache_memcache"), **options)
        gw.allow(*TROUBLE[kind], "EAS1070", "EAS1071", "EAS1072", because=LATE)
        return gw
    return make


@pytest.fixture(params=TROUBLE)
def cached(request, start, redis, memcached):
    """A gateway, and the process of its cache server."""
    if request.param == "redis":
        return start("redis", redis.port), redis.daemon
    return start("memcache", memcached[0]), memcached[1]


def timed(gw, cookie):
    """Status, reason and time of a request with a session."""
    path = unique_path(OWA)
    with gw.client(timeout=10) as client:
        began = time.monotonic()
        status = client.get(path, headers=[*BROWSER, ("Cookie", f"{COOKIE}={cookie}")]).status
        took = time.monotonic() - began
    return status, gw.logged(path)["EAS_KCD_ERROR"], took


def await_use(gw, cookie):
    until(lambda: timed(gw, cookie)[0] == 200, OPEN_FOR + WAIT + SLACK, "the cache to be used")


@contextlib.contextmanager
def silent(server):
    """It takes connections and requests, and answers when this is over."""
    def is_stopped():
        tasks = Path(f"/proc/{server.process.pid}/task").glob("*/stat")
        return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)
    server.signal(signal.SIGSTOP)
    try:
        until(is_stopped, 5, "the cache server to stop")
        yield
    finally:
        server.signal(signal.SIGCONT)


def with_password(gw, name):
    began = time.monotonic()
    with gw.client(timeout=10) as client:
        status = client.get(OWA, name, PASSWORDS[name], headers=PHONE).status
    return status, time.monotonic() - began


def test_silence_costs_one_wait(cached):
    """Then no request waits but the probe of the half-open circuit, and passwords go on."""
    gw, server = cached
    cookie = log_on(gw).session
    assert timed(gw, cookie)[0] == 200
    with silent(server):
        began = time.monotonic()
        status, tag, took = timed(gw, cookie)
        assert (status, tag) == (503, "EAS1071")
        assert took < WAIT + SLACK
        while time.monotonic() - began < OPEN_FOR - SLACK:
            status, tag, took = timed(gw, cookie)
            assert (status, tag) == (503, "EAS1071")
            assert took < SLACK
        for name in ("bob", "user01", "user02"):
            status, took = with_password(gw, name)
            assert status == 200
    await_use(gw, cookie)


def test_hiccup_is_no_outage(cached):
    """The late answer shows that the cache server is there: the next request tries it at once."""
    gw, server = cached
    cookie = log_on(gw).session
    assert timed(gw, cookie)[0] == 200
    with silent(server):
        status, tag, took = timed(gw, cookie)
        assert (status, tag) == (503, "EAS1071") and took < WAIT + SLACK
    until(lambda: timed(gw, cookie)[0] == 200, OPEN_FOR / 2, "the cache to be used")


def test_many_requests_at_a_silent_cache(cached):
    """More than there are threads: no request waits longer than for one answer."""
    gw, server = cached
    cookie = log_on(gw).session
    with silent(server):
        with ThreadPoolExecutor(3 * THREADS) as pool:
            for status, tag, took in pool.map(lambda _: timed(gw, cookie), range(6 * THREADS)):
                assert (status, tag) == (503, "EAS1071")
                assert took < WAIT + 2 * SLACK
    await_use(gw, cookie)


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_children_end_though_the_cache_is_silent(start, redis, mpm):
    gw = start("redis", redis.port, mpm=mpm)
    gw.allow("AH00161", because="prefork wants spare servers beyond one for each connection")
    cookie = log_on(gw).session
    with silent(redis.daemon):
        assert timed(gw, cookie)[0] == 503
        began = time.monotonic()
        assert gw.stop() == 0
        assert time.monotonic() - began < 5
    assert "exit signal" not in gw.error_log.text()


def test_restart_though_the_cache_is_silent(start, redis):
    gw = start("redis", redis.port)
    cookie = log_on(gw).session
    with silent(redis.daemon):
        assert timed(gw, cookie)[0] == 503
        gw.graceful()
    await_use(gw, cookie)
    assert "exit signal" not in gw.error_log.text()


class Way:
    """A way to a server: questions and answers pass later, or connections end."""

    def __init__(self, port):
        self.delay = 0.0
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            self._sockets += client, server
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source, target):
        try:
            while data := source.recv(65536):
                time.sleep(self.delay / 2)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """All connections end."""
        for each in self._sockets:
            each.close()

    def stop(self):
        self._listener.close()
        self.cut()


@pytest.fixture
def way(redis):
    made = Way(redis.port)
    yield made
    made.stop()


class Failing(Way):
    """A way to a redis that loses its data and refuses new, from some question on; apr_redis
    answers so for a server that another thread has found dead."""

    def __init__(self, port):
        self.asked = 0
        self.fails_at = None        # number of the first question without an answer
        super().__init__(port)

    def _copy(self, source, target):
        if source.getpeername()[1] == self._port:
            return super()._copy(source, target)
        try:
            while data := source.recv(65536):
                gets = data.startswith(b"*2\r\n$3\r\nGET")
                self.asked += gets
                if self.fails_at is None or self.asked < self.fails_at:
                    target.sendall(data)
                else:
                    source.sendall(b"$-1\r\n" if gets else b"-ERR no\r\n")
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_cache_that_fails_between_two_questions(start, redis):
    """At whatever question of a request: that a record is missing counts only while the server is
    there."""
    way = Failing(redis.port)
    try:
        gw = start("redis", way.port)
        cookie = log_on(gw).session
        assert timed(gw, cookie)[0] == 200
        way.asked = 0
        assert timed(gw, cookie)[0] == 200
        questions = way.asked
        assert questions >= 3
        for way.fails_at in range(1, questions + 1):
            way.asked = 0
            status, tag, _ = timed(gw, cookie)
            assert (status, tag) == (503, "EAS1071"), f"it fails at question {way.fails_at}"
        way.fails_at = None
        assert timed(gw, cookie)[0] == 200
    finally:
        way.stop()


def test_slow_cache(start, way):
    """Each answer takes less than a second, all that a request needs takes more."""
    gw = start("redis", way.port)
    cookie = log_on(gw).session
    way.delay = 0.6
    status, tag, took = timed(gw, cookie)
    assert (status, tag) == (503, "EAS1071")
    assert took < WAIT + SLACK
    status, tag, took = timed(gw, cookie)
    assert (status, tag) == (503, "EAS1071")
    assert took < SLACK
    way.delay = 0.0
    await_use(gw, cookie)


def test_connections_that_the_cache_has_closed(start, way):
    """A redis that was restarted: old connections fail, and new ones are made."""
    gw = start("redis", way.port)
    visitor = log_on(gw)
    served(visitor)
    way.cut()
    until(lambda: at(gw, visitor).get(OWA).status == 200, OPEN_FOR + 2 * WAIT, "new connections")
    served(Visitor(gw, jar=dict(visitor.jar)))
