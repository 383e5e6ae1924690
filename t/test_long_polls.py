# SPDX-License-Identifier: Apache-2.0
"""EasKcdLongPolls: how many long polls a device and a user hold at once, in all processes."""

import os
import signal
import threading
import time

import pytest

from lab.activesync import CHANGED, PATH, PING, TYPE, plain
from lab.ad import PASSWORDS
from lab.client import basic
from lab.exchange import location, trusting
from lab.names import GATEWAY
from lab.simulated import echo
from lab.tls_bytes import TlsBytes
from lab.wait import connections, until

PROMPT = 2.0        # seconds: polls look each second


def published(backend, *lines, path=PATH):
    return location(backend.url + PATH, *lines, path=path)


def assert_ended(client, tag, gw):
    """Not now, and nothing about credentials."""
    answer = client.receive()
    assert (answer.status, answer.header("Retry-After")) == (503, "30")
    assert answer.header("WWW-Authenticate") is None
    until(lambda: tag in [entry["EAS_KCD_ERROR"] for entry in gw.requests()], 5, "the access log")


@pytest.mark.smoke
@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_oldest_of_a_device_is_ended(gateway, exchange, pings, mpm):
    """A phone that changes its network sends a Ping while its last one still waits; in whatever
    process. The newer ones of the device, other devices and users go on."""
    server, backend = exchange()
    gw = gateway(published(backend, "EasKcdLongPolls 2"), mpm=mpm,
                 processes=12 if mpm == "prefork" else 3)
    phones = pings(gw, server)
    others = [phones.hold("alice", "tablet"), phones.hold("bob", "phone")]
    first, second = phones.hold("alice", "phone"), phones.hold("alice", "phone")
    began = time.monotonic()
    third = phones.hold("alice", "PHONE")
    assert_ended(first, "EAS2081", gw)
    assert time.monotonic() - began < PROMPT
    until(lambda: connections(backend.port, of_peers=True) == 4, 1, "its connection to end")
    server.change()
    assert {client.receive().body for client in (second, third, *others)} == {CHANGED}
    assert gw.error_log.tags() == ["EAS2081"]


def test_devices_of_a_user(gateway, exchange, pings):
    """By default, four devices with two Pings each are no trouble."""
    server, backend = exchange()
    gw = gateway(published(backend), processes=2, threads=40)
    phones = pings(gw, server)
    waiting = [phones.hold("alice", f"device{n % 4}") for n in range(8)]
    began = time.monotonic()
    until(lambda: time.monotonic() > began + PROMPT, 5, "polls to look")
    server.change()
    assert {client.receive().body for client in waiting} == {CHANGED}
    assert gw.error_log.tags() == []


def test_made_up_devices(gateway, exchange, pings):
    """One account with ever new device ids holds a few threads, and no more: its older polls end,
    and if they come too fast, new ones are refused. Another user waits for nothing."""
    server, backend = exchange()
    gw = gateway("EasKcdRequireTLS Off\n" + published(backend, "EasKcdLongPolls 1"), processes=1,
                 threads=40, tls=False)
    for user in ("alice", "bob"):
        assert gw.post(plain("Sync", user), b"", user, PASSWORDS[user]).status == 200
    gw.mark()
    phones = pings(gw, server)
    hostile = [phones.send("alice", f"made-up-{n}") for n in range(36)]
    began = time.monotonic()
    assert gw.post(plain("Sync", "bob"), b"", "bob", PASSWORDS["bob"]).status == 200
    assert time.monotonic() - began < 1
    until(lambda: len(answered(hostile)) == 32, 20, "all but four Pings to end")
    ended = answered(hostile)
    for client in ended:
        answer = client.receive()
        assert (answer.status, answer.header("Retry-After")) == (503, "30")
        assert answer.header("WWW-Authenticate") is None
    until(lambda: {entry["EAS_KCD_ERROR"] for entry in gw.requests()} == {
        "-", "EAS2081", "EAS2082"}, 5, "the access log")
    waiting = phones.hold("bob", "phone")
    server.change()
    assert {client.receive().body for client in (waiting, *hostile) if client not in ended} == {
        CHANGED}


def answered(clients):
    return [client for client in clients if client.is_answered()]


@pytest.mark.parametrize("off", ["Off", "0"])
def test_off(gateway, exchange, pings, off):
    """No limit, but in a section that has one."""
    server, backend = exchange()
    gw = gateway(f"EasKcdLongPolls {off}\n" + published(backend)
                 + published(backend, "EasKcdParseEas On", "EasKcdLongPolls 1", path="/limited"),
                 processes=1, threads=60)
    phones = pings(gw, server)
    waiting = [phones.send("alice", "phone") for n in range(20)]
    until(lambda: server.waiting == 20, 10, "the Pings to wait")
    first, second = (phones.hold("alice", "phone", "/limited") for _ in range(2))
    assert_ended(first, "EAS2081", gw)
    server.change()
    assert {client.receive().body for client in (*waiting, second)} == {CHANGED}
    assert gw.error_log.tags() == ["EAS2081"]


def test_over_a_graceful_restart(gateway, exchange, pings):
    """A poll of the old children is ended by one of the new."""
    server, backend = exchange()
    gw = gateway(published(backend, "EasKcdLongPolls 1"))
    phones = pings(gw, server)
    first = phones.hold("alice", "phone")
    gw.graceful()
    second = phones.hold("alice", "phone")
    assert_ended(first, "EAS2081", gw)
    server.change()
    assert second.receive().body == CHANGED


def test_child_that_dies(gateway, exchange, pings):
    """Its polls refuse none of later ones, and end none."""
    server, backend = exchange()
    gw = gateway(published(backend, "EasKcdLongPolls 1"), processes=1)
    gw.allow("AH00051", "AH00052", because="a child is killed")
    phones = pings(gw, server)
    for _ in range(3):
        phones.hold("alice", "phone")
        child, = gw.children()
        os.kill(child, signal.SIGKILL)
        until(lambda: gw.children() not in (set(), {child}), 10, "another child")
    waiting = phones.hold("alice", "phone")
    server.change()
    assert waiting.receive().body == CHANGED
    assert gw.error_log.tags() == []


def test_client_that_sends_octet_by_octet(gateway, exchange, pings):
    """Something comes more often than once a second, in a TLS record that never ends: the poll
    still notices that it is ended."""
    server, backend = exchange()
    gw = gateway(published(backend, "EasKcdLongPolls 1"), processes=1)
    client = TlsBytes(gw.port)
    credentials = basic("alice", PASSWORDS["alice"])
    client.write((f"POST {plain('Ping', 'alice', 'phone')} HTTP/1.1\r\nHost: {GATEWAY}\r\n"
                  f"Authorization: {credentials}\r\nContent-Type: {TYPE}\r\n"
                  f"Content-Length: {len(PING)}\r\n\r\n").encode() + PING)
    client.flush()
    until(lambda: server.waiting == 1, 10, "the Ping to wait")
    client.write(bytes(16000))
    record, stop = client.taken(), threading.Event()

    def trickle():
        for octet in record:
            if stop.wait(0.2):
                break
            client.socket.sendall(bytes([octet]))
    trickling = threading.Thread(target=trickle)
    trickling.start()
    try:
        newer = pings(gw, server).send("alice", "phone")
        until(lambda: "EAS2081" in gw.error_log.tags(), PROMPT, "the older poll to end")
    finally:
        stop.set()
        trickling.join()
        client.close()
    server.change()
    assert newer.receive().body == CHANGED


@pytest.mark.parametrize("tls", [False, True])
def test_response_that_has_begun_is_not_ended(gateway, fake_backends, acceptor, authority, tls):
    """It pauses in its body; a newer poll comes meanwhile."""
    pause, paused = threading.Event(), threading.Event()

    def script(request):
        accepted = acceptor.accept(request.authorization)
        answer = echo(request, accepted.user, accepted.www_authenticate)
        head, _, body = answer.partition(b"\r\n\r\n")
        if paused.is_set():
            return head + b"\r\n\r\n" + body

        def parts():
            lines = [line for line in head.split(b"\r\n")
                     if not line.lower().startswith(b"content-length")]
            yield b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b""])
            yield b"5\r\nfirst\r\n"
            paused.set()
            pause.wait(20)
            yield b"6\r\nsecond\r\n0\r\n\r\n"
        return parts()
    backend = fake_backends(script, tls=tls)
    gw = gateway((trusting(authority) if tls else "") + published(backend, "EasKcdLongPolls 1"),
                 processes=1)
    with gw.client() as first:
        first.send("POST", plain("Ping", "alice"), "alice", PASSWORDS["alice"],
                   [("Content-Type", TYPE)], PING)
        assert paused.wait(10)
        assert gw.post(plain("Ping", "alice"), PING, "alice", PASSWORDS["alice"]).status == 200
        began = time.monotonic()
        until(lambda: time.monotonic() > began + PROMPT, 5, "the older poll to look")
        pause.set()
        answer = first.receive()
    assert (answer.status, answer.body) == (200, b"firstsecond")
    assert gw.error_log.tags() == []


def test_poll_that_waits_for_a_connection(gateway, exchange, pings):
    """All that max= permits are busy: also there a newer poll ends the older one."""
    server, backend = exchange()
    gw = gateway(location(backend.url + PATH, "EasKcdLongPolls 1", path=PATH, parameters="max=1"),
                 processes=1)
    phones = pings(gw, server)
    busy = phones.hold("bob", "phone")
    older = phones.send("alice", "phone")
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 1, 5, "it to wait")
    newer = phones.send("alice", "phone")
    assert_ended(older, "EAS2081", gw)
    server.change()
    assert busy.receive().body == CHANGED
    assert newer.receive().body == CHANGED
