# SPDX-License-Identifier: Apache-2.0
"""Connections of clients whose long poll has parked (EasKcdPark): what httpd's MPM does with them."""

import threading
import time

import pytest

from lab.activesync import CHANGED, EXPIRED, PING, TYPE, plain
from lab.ad import PASSWORDS
from lab.client import basic, connect
from lab.exchange import location
from lab.fake_backend import response
from lab.names import GATEWAY
from lab.parking import (SETTINGS, SMALL, THREADS, USERS, Gates, answered, await_parked, published,
                         wait)
from lab.wait import connections, until

BIG = 8 << 20       # octets: more than the sockets on the way take

tls_or_not = pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])


def ping_again(client, user):
    client.send("POST", plain("Ping", user), user, PASSWORDS[user], [("Content-Type", TYPE)], PING)


@tls_or_not
def test_next_request_while_all_threads_are_busy(gateway, fake_backends, keeper, pings, tls):
    """The MPM would close a kept-alive connection, with the request that has come on it."""
    gates = Gates(keeper)
    gw = gateway("KeepAliveTimeout 30\n" + SMALL + published(fake_backends(gates, proves=False)),
                 tls=tls, processes=1, threads=THREADS)
    gw.allow("AH00484", because="all threads are busy, as this test wants it")
    polls = pings(gw, gates)
    working, phones = USERS[:THREADS], USERS[THREADS:]
    clients = polls.hold_all(phones)
    await_parked(gw, len(phones))
    gates.open(*phones)
    for client in clients:
        assert client.receive().body == CHANGED
    others = []
    for user in working:    # one by one: the MPM admits none beyond its limit while it ends others
        others.append(polls.send(user, command="FolderSync"))
        busy = len(phones) + len(others)
        until(lambda: gates.waiting == busy, 10, "a further thread to be busy")
    for client, user in zip(clients, phones):
        ping_again(client, user)
    wait(1)     # the MPM sees them, and no thread is idle
    gates.open(*working)
    for client in others + clients:
        answer = client.receive()
        assert (answer.status, answer.body) == (200, CHANGED)


@tls_or_not
def test_end_of_keep_alive(gateway, exchange, pings, tls):
    """A connection whose phone sends no other request ends as httpd's configuration says."""
    server, backend = exchange()
    gw = gateway("KeepAliveTimeout 2\n" + SETTINGS + published(backend), tls=tls, processes=1)
    client = answered(pings(gw, server))
    began = time.monotonic()
    assert client.socket.recv(1) == b""
    assert 1.5 < time.monotonic() - began < 5


@tls_or_not
def test_graceful_restart_ends_keep_alive(gateway, exchange, pings, tls):
    """The old process does not wait for requests."""
    server, backend = exchange()
    gw = gateway("KeepAliveTimeout 60\n" + SETTINGS + published(backend), tls=tls, processes=1)
    client = answered(pings(gw, server))
    old = gw.children()
    gw.graceful()
    until(lambda: not gw.children() & old, 10, "the old process to end")
    assert client.socket.recv(1) == b""


def test_graceful_restart_does_not_wait_for_lost_phones(gateway, exchange, pings):
    """A phone that has lost its network closes no connection. httpd waits for two seconds then."""
    server, backend = exchange()
    gw = gateway("EasKcdParkSpread 0s\n" + SETTINGS + published(backend), tls=True, processes=1)
    clients = pings(gw, server).hold_all(USERS)
    await_parked(gw, len(USERS))
    old = gw.children()
    gw.graceful()
    until(lambda: not gw.children() & old, 10, "the old process to end")
    assert [client.receive().body for client in clients] == [EXPIRED] * len(USERS)
    gw.expect("EAS2093")


@tls_or_not
def test_slow_reader(gateway, fake_backends, keeper, pings, tls):
    """Nothing of a long response is left behind, and then the connection goes on."""
    gates = Gates(keeper, b"x" * BIG)
    gw = gateway(SETTINGS + published(fake_backends(gates, proves=False)), tls=tls, processes=1)
    client = pings(gw, gates).hold("user01")
    await_parked(gw)
    gates.open("user01")
    wait(1)     # httpd has written what the sockets take
    assert client.receive().body == b"x" * BIG
    ping_again(client, "user01")
    assert client.receive().status == 200
    assert connections(gw.port, of_peers=True) == 1


def ask(client, *lines, path="/eas"):
    client.sendall("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {GATEWAY}", *lines, "", ""]).encode())


def records(client):
    """Of one answer, each as it comes: a read of a TLS socket returns no more than one."""
    found = [client.recv(16384)]
    head, _, body = found[0].partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < size:
        found.append(client.recv(16384))
        body += found[-1]
    return found


ALICE = f"Authorization: {basic('alice', PASSWORDS['alice'])}"


@pytest.mark.parametrize("size,most", [(0, 1), (100, 1), (7000, 1), (9000, 3), (100_000, 14)])
def test_records_of_answers(gateway, fake_backends, size, most):
    """The head and a short body of an answer leave in one record of TLS, as without EasKcdPark."""
    body = bytes(n % 251 for n in range(size))
    backend = fake_backends(lambda request: response("200 OK", body=body))
    gw = gateway(SETTINGS + location(backend.url, "EasKcdPark On"), tls=True, processes=1)
    with connect(gw.port) as client:
        ask(client)
        refused = records(client)
        assert refused[0].startswith(b"HTTP/1.1 401 ") and len(refused) == 1
        for _ in range(3):
            ask(client, ALICE)
            found = records(client)
            assert found[0].startswith(b"HTTP/1.1 200 ") and len(found) <= most
            assert b"".join(found).endswith(b"\r\n\r\n" + body)


def test_answers_of_pipelined_requests(gateway, fake_backends):
    backend = fake_backends(lambda request: response("200 OK", body=request.path.encode()))
    gw = gateway(SETTINGS + location(backend.url, "EasKcdPark On"), tls=True, processes=1)
    with connect(gw.port) as client:
        for number in range(20):
            ask(client, ALICE, path=f"/eas/{number}")
        got = b""
        while got.count(b"HTTP/1.1 200 ") < 20 or not got.endswith(b"/19"):
            got += client.recv(16384)
    answers = got.split(b"HTTP/1.1 200 ")[1:]
    assert [answer.rpartition(b"/")[2] for answer in answers] == [b"%d" % n for n in range(20)]


def test_answer_in_pieces(gateway, fake_backends, keeper):
    """The client has each piece before the backend sends the next one."""
    seen = threading.Semaphore(0)

    def pieces(request):
        proof = keeper.proof(request)
        yield f"HTTP/1.1 200 OK\r\nWWW-Authenticate: {proof}\r\nContent-Length: 40\r\n\r\n".encode()
        for number in range(4):
            yield b"piece %d - " % number
            assert seen.acquire(timeout=20)
    backend = fake_backends(pieces, proves=False)
    gw = gateway(SETTINGS + location(backend.url, "EasKcdPark On"), tls=True, processes=1)
    with connect(gw.port) as client:
        client.settimeout(20)
        ask(client, ALICE)
        got = b""
        for number in range(4):
            while not got.endswith(b"piece %d - " % number):
                got += client.recv(16384)
            seen.release()


def test_tunnel_after_an_answer(gateway, fake_backends):
    """A backend's short frame reaches a client whose connection has had an answer of a section that
    parks: a tunnel sends no end of its data."""
    over = threading.Event()

    def tunnel():
        yield (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
               b"Upgrade: websocket\r\n\r\n")
        yield b"a frame"
        over.wait(20)
        yield None
    backend = fake_backends(lambda request: (tunnel() if request.all("Upgrade")
                                             else response("200 OK")))
    # Of another host, since a worker is another one's if its URL begins with that one's.
    gw = gateway(SETTINGS + location(backend.url, "EasKcdPark On") + '<Location "/socket">\n'
                 f'    ProxyPass "http://127.0.0.1:{backend.port}/socket" upgrade=websocket\n'
                 "</Location>\n", tls=True, processes=1)
    with connect(gw.port) as client:
        client.settimeout(4)
        ask(client, ALICE)
        assert records(client)[0].startswith(b"HTTP/1.1 200 ")
        ask(client, "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==", "Sec-WebSocket-Version: 13",
            path="/socket")
        got = b""
        while not got.endswith(b"a frame"):
            got += (more := client.recv(16384))
            assert more, got
        assert got.startswith(b"HTTP/1.1 101 ")
        over.set()
