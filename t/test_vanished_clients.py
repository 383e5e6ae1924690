# SPDX-License-Identifier: Apache-2.0
"""A client that leaves while its request waits at the backend frees its thread and connection."""

import re
import contextlib
import socket
import ssl
import time

import pytest

from lab.activesync import CHANGED, PATH, PING, TYPE, plain
from lab.ad import CAS1, PASSWORDS, REALM
from lab.client import basic
from lab.exchange import location, trusting
from lab.gateway import MODULES
from lab.names import GATEWAY
from lab.raw_form import reset, shut_down
from lab.tls_bytes import TlsBytes
from lab.wait import connections, until

USERS = [f"user{n:02}" for n in range(1, 9)]
PROMPT = 1.0        # seconds


def published(backend, *lines, parameters=""):
    return location(backend.url + PATH, *lines, path=PATH, parameters=parameters)


def head(user, command="Ping", body=PING, version="1.1", more=""):
    return (f"POST {plain(command, user)} HTTP/{version}\r\nHost: {GATEWAY}\r\n"
            f"Authorization: {basic(user, PASSWORDS[user])}\r\nContent-Type: {TYPE}\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def dial(gw):
    """A socket to the gateway, and the one below it whose end TCP sees."""
    below = socket.create_connection(("127.0.0.1", gw.port), timeout=30)
    if not gw.tls:
        return below, below
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    raw = below.dup()
    return context.wrap_socket(below, server_hostname=GATEWAY), raw


def leave(client, below, how):
    """TLS's end is not sent: a phone that lost its network sends none."""
    how(below)
    if how is reset:
        client.close()      # the same socket


def ping_all(gw):
    """A Ping of each user, and its connections."""
    for user in USERS:
        client, below = dial(gw)
        client.sendall(head(user))
        yield client, below


def freed(gw, backend, clients, kept=0):
    """The log, and the connections to the backend, within a second."""
    until(lambda: connections(backend.port, of_peers=True) <= kept, PROMPT,
          "the backend's connections to end")
    until(lambda: gw.error_log.tags().count("EAS2080") == clients, PROMPT, "the log lines")
    assert all(re.search(rf" \(user \S+@{REALM}, service {CAS1}\)$", entry.text)
               for entry in gw.error_log.entries() if entry.tag == "EAS2080")
    entries = [entry for entry in gw.requests() if "Cmd=Ping" in entry["uri"]]
    assert [(entry["status"], entry["EAS_KCD_ERROR"]) for entry in entries] == [
        ("499", "EAS2080")] * clients


@pytest.mark.smoke
@pytest.mark.parametrize("mpm,tls", [("event", True), ("event", False), ("worker", True),
                                     ("prefork", True)])
@pytest.mark.parametrize("how", [shut_down, reset], ids=["FIN", "RST"])
def test_next_user_is_served(gateway, exchange, how, mpm, tls):
    """Eight Pings hold all eight threads; their clients leave, and the next user need not wait.
    Then the same users get answers of their own, on new connections."""
    server, backend = exchange()
    gw = gateway("EasKcdRequireTLS Off\nMaxRequestWorkers 8\n" + published(backend), mpm=mpm,
                 tls=tls, processes=8 if mpm == "prefork" else 1, threads=8)
    gw.allow("AH00161", "AH00484", because="all threads are busy, as this test wants it")
    clients = list(ping_all(gw))
    until(lambda: server.waiting == 8, 20, "the Pings to wait")
    gw.mark()
    for client, below in clients:
        leave(client, below, how)
    began = time.monotonic()
    with gw.client(timeout=5) as client:
        assert client.request("OPTIONS", PATH, "alice", PASSWORDS["alice"]).status == 200
        took = time.monotonic() - began
        freed(gw, backend, clients=8, kept=1)
    assert took < PROMPT
    for client, _ in clients:
        client.close()
    server.change()
    known = len(backend.requests)
    for user in USERS:
        assert gw.post(plain("Ping", user), PING, user, PASSWORDS[user]).body == CHANGED
    used = {request.connection for request in backend.requests[:known]}
    assert not used & {request.connection for request in backend.requests[known:]}


@pytest.mark.parametrize("version,more", [("1.0", ""), ("1.0", "Connection: keep-alive\r\n"),
                                          ("1.1", "Connection: close\r\n"),
                                          ("1.1", "Expect: 100-continue\r\n")])
@pytest.mark.parametrize("tls", [True, False], ids=["TLS to the backend", "plain to the backend"])
def test_other_requests(gateway, exchange, authority, version, more, tls):
    """Any delegated request, after 100 (Continue) on either side, too."""
    server, backend = exchange(tls=tls)
    gw = gateway(trusting(authority) + published(backend, parameters="ping=5"), processes=1)
    client, below = dial(gw)
    client.sendall(head("alice", version=version, more=more))
    until(lambda: server.waiting == 1, 10, "the Ping to wait")
    leave(client, below, shut_down)
    freed(gw, backend, clients=1)
    client.settimeout(5)
    with contextlib.suppress(ssl.SSLError):     # the server's end is none of TLS
        rest = client.recv(65536)
        assert rest == (b"HTTP/1.1 100 Continue\r\n\r\n" if "Expect" in more else b"")
    client.close()


@pytest.mark.parametrize("at_once", [True, False], ids=["with the request", "later"])
def test_close_notify(gateway, exchange, at_once):
    """The end of TLS is the client's, be it that TCP goes on, and that mod_reqtimeout would read
    no more."""
    server, backend = exchange()
    gw = gateway("RequestReadTimeout header=20 body=1\nLogLevel reqtimeout:info ssl:info\n"
                 + published(backend), processes=1, modules=(*MODULES, "reqtimeout"))
    client = TlsBytes(gw.port)
    client.write(head("alice"))
    if at_once:
        client.end()
    client.flush()
    until(lambda: server.waiting == 1, 10, "the Ping to wait")
    if not at_once:
        sent = time.monotonic()
        until(lambda: time.monotonic() > sent + 2.5, 5, "the time for the request's body to pass")
        assert server.waiting == 1 and connections(backend.port, of_peers=True) == 1
        client.end()
        client.flush()
    until(lambda: connections(backend.port, of_peers=True) == 0, PROMPT + 1, "the end")
    freed(gw, backend, clients=1)
    assert "AH01382" not in gw.error_log.text() and "AH01991" not in gw.error_log.text()
    client.close()


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
def test_more_data_is_no_end(gateway, exchange, tls):
    """Pipelined requests wait for their turn; the end after them is one nevertheless."""
    server, backend = exchange()
    gw = gateway("EasKcdRequireTLS Off\n" + published(backend), processes=1, tls=tls)
    client, below = dial(gw)
    client.sendall(head("alice"))
    until(lambda: server.waiting == 1, 10, "the Ping to wait")
    for piece in (b"\r\n", head("alice"), head("alice", "Sync", b"")):
        client.sendall(piece)
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 1.5, 5, "more than a second to pass")
    server.change()
    answers = b""
    while answers.count(b"HTTP/1.1 200 OK") < 3:
        piece = client.recv(65536)
        assert piece, answers
        answers += piece
    assert answers.count(CHANGED) == 2
    server.settle()
    client.sendall(head("alice") + head("alice", "Sync", b""))
    until(lambda: server.waiting == 1, 10, "the last Ping to wait")
    gw.mark()
    leave(client, below, shut_down)
    freed(gw, backend, clients=1)
    client.close()
    assert server.users == {f"alice@{REALM}"}


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
def test_client_that_stays(gateway, exchange, tls):
    """A Ping of several seconds ends by its time-out, not earlier, not later, and not as an end of
    the client; a later one by its answer."""
    server, backend = exchange()
    gw = gateway("EasKcdRequireTLS Off\n" + published(backend, "EasKcdCommandTimeout Ping 3s"),
                 processes=1, tls=tls)
    gw.expect("AH01102", "AH00898")
    with gw.client() as client:
        began = time.monotonic()
        answer = client.post(plain("Ping"), PING, "alice", PASSWORDS["alice"])
        assert answer.status == 502 and 3 <= time.monotonic() - began < 3.8
    server.heartbeat = 2.5
    with gw.client() as client:
        began = time.monotonic()
        assert client.post(plain("Ping"), PING, "alice", PASSWORDS["alice"]).status == 200
        assert time.monotonic() - began >= 2.5
    assert "EAS2080" not in gw.error_log.tags()


# --- HTTP/2 ----------------------------------------------------------------------------------

def frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
            + payload)


def ping_stream(stream, user):
    """The frame of a Ping's headers, each as a literal, and without a body (RFC 9113, RFC 7541)."""
    fields = ((":method", "POST"), (":scheme", "https"), (":authority", GATEWAY),
              (":path", plain("Ping", user)), ("authorization", basic(user, PASSWORDS[user])),
              ("content-type", TYPE))
    block = b"".join(b"\0" + bytes([len(text)]) + text.encode() if n == 0 else
                     bytes([len(text)]) + text.encode()
                     for field in fields for n, text in enumerate(field))
    return frame(1, 0x5, stream, block)     # END_STREAM, END_HEADERS


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_http2(gateway, exchange, mpm):
    """A stream has no socket of its own. Its end is known within a second, and so is that of the
    connection, on which other streams go on meanwhile."""
    server, backend = exchange()
    gw = gateway("Protocols h2 http/1.1\n" + published(backend), processes=1, mpm=mpm,
                 modules=(*MODULES, "http2"))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    below = socket.create_connection(("127.0.0.1", gw.port), timeout=30)
    with context.wrap_socket(below, server_hostname=GATEWAY) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
                       + b"".join(ping_stream(stream, user) for stream, user in (
                           (1, "alice"), (3, "bob"), (5, "carol"))))
        until(lambda: server.waiting == 3, 10, "the Pings to wait")
        client.sendall(frame(3, 0, 1, (8).to_bytes(4, "big")))      # RST_STREAM, CANCEL
        until(lambda: connections(backend.port, of_peers=True) == 2, PROMPT + 1, "one to end")
        freed(gw, backend, clients=1, kept=2)
    until(lambda: connections(backend.port, of_peers=True) == 0, PROMPT + 1, "the others to end")
    freed(gw, backend, clients=3)
    assert [entry["user"] for entry in gw.requests()][0] == f"alice@{REALM}"


def test_clients_that_wait_for_a_connection(gateway, exchange):
    """max=1: seven of eight Pings wait for the one connection, and their clients leave."""
    server, backend = exchange(60)
    gw = gateway("MaxRequestWorkers 8\n" + published(backend, parameters="max=1"), processes=1,
                 threads=8)
    gw.allow("AH00161", "AH00484", because="all threads are busy for a moment")
    clients = []
    for client in ping_all(gw):
        clients.append(client)
        until(lambda: server.waiting == 1, 20, "the first to wait at the backend")
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 1, 5, "the others to wait for the connection")
    holder, *others = clients       # the first that got a thread has the connection
    for client, below in others:
        leave(client, below, reset)
    until(lambda: gw.error_log.tags().count("EAS2080") == len(others), 3, "the log lines")
    began = time.monotonic()
    assert gw.get("/nothing").status == 404
    assert time.monotonic() - began < PROMPT
    server.change()
    assert CHANGED in holder[0].recv(65536)
