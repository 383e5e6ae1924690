# SPDX-License-Identifier: Apache-2.0
"""The memory of APR's pools that the connections of parked long polls have."""

from contextlib import ExitStack

import pytest

from lab.activesync import PATH, PING, TYPE, plain
from lab.ad import PASSWORDS
from lab.exchange import trusting
from lab.memory import pools
from lab.parking import SETTINGS, USERS, await_parked, published
from lab.sanitizer import measures_memory

PAGE = 4096


@pytest.fixture
def gw(gateway, exchange, authority, pings):
    """With parked Pings, TLS on both sides, of clients that have had an answer before."""
    server, backend = exchange(tls=True)
    gw = gateway(SETTINGS + trusting(authority) + published(backend), processes=1)
    pings(gw, server).hold("alice")
    await_parked(gw)
    with ExitStack() as stack:
        clients = []
        for user in USERS:
            client = stack.enter_context(gw.client())
            clients.append(client)
            assert client.request("OPTIONS", PATH, user, PASSWORDS[user]).status == 200
            client.send("POST", plain("Ping", user), user, PASSWORDS[user], [("Content-Type", TYPE)],
                        PING)
        await_parked(gw, 1 + len(USERS))
        yield gw
        server.change()
        assert {client.receive().status for client in clients} == {200}


@measures_memory
def test_pools_of_connections(gw):
    """A small pool has one page, as its node has not been used before. That for a socket has one node
    for all, and nothing in mod_ssl's buffer."""
    child, = gw.children()
    small, sockets = pools(child, "proxy_conn_pool", "eas_kcd_socket")
    assert len(sockets) >= len(USERS)
    assert len(small) >= len(sockets)
    assert [pool.size for pool in sockets] == [4 * PAGE] * len(sockets)
    assert sum(pool.resident for pool in sockets) <= 2.5 * len(sockets)
    assert sum(pool.resident for pool in small) <= 1.2 * len(small)


@measures_memory
def test_no_pool_of_what_waits_to_be_written(gw):
    """One of httpd's for each connection, to clients and to backends, as soon as data wait; the first
    client's handshake was before the first Ping."""
    child, = gw.children()
    found, = pools(child, "deferred_write")
    assert len(found) <= 1
