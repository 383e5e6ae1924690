# SPDX-License-Identifier: Apache-2.0
"""Connections of clients whose long poll has parked (EasKcdPark): what httpd's MPM does with them."""

import time

import pytest

from lab.activesync import CHANGED, PING, TYPE, plain
from lab.ad import PASSWORDS
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
