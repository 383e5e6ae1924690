# SPDX-License-Identifier: Apache-2.0
"""A storm of refusals is few lines in the error log, and none is lost from their sum."""

import re
import time

import pytest

from lab.client import connect
from lab.exchange import location
from lab.gateway import MODULES
from lab.names import GATEWAY
from lab.wait import until

SAME, WINDOW, CHILDREN, STORM = 25, 10, 2, 300
REST = re.compile(r"\[eas_kcd:info\] [^\n]*\] EAS1062: (\d+) more in (\d+) s, the last of 127\.0\.0\.1: "
                  r"the request has no credentials$", re.MULTILINE)
LINE = re.compile(r"\[client 127\.0\.0\.1:\d+\] EAS1062: the request has no credentials$", re.MULTILINE)


def storm(gw, number=STORM):
    """Returns how many lines a process may write of it: a slow machine needs more windows."""
    began = time.monotonic()
    with gw.client() as client:
        assert {client.request("GET", "/x").status for _ in range(number)} == {401}
    return SAME * (1 + int((time.monotonic() - began) / WINDOW))


def rests(gw):
    return [int(count) for count, _ in REST.findall(gw.error_log.text())]


def lines(gw):
    return len(LINE.findall(gw.error_log.text()))


def test_storm_is_few_lines(gateway, ok_backend):
    """The next request after the window shows how many there were; each process counts its own."""
    gw = gateway(location(ok_backend.url + "/", path="/"), processes=1)
    most = storm(gw)
    shown = lines(gw)
    assert SAME <= shown <= most

    def more():
        assert gw.get("/x").status == 401
        return sum(rests(gw)) >= STORM - shown
    until(more, 30, "the rest of the storm")
    assert ok_backend.requests == []


def test_end_of_a_process_shows_the_rest(gateway, ok_backend):
    """Of each request, there is a line or a count."""
    gw = gateway(location(ok_backend.url + "/", path="/"))
    most = storm(gw) + storm(gw)
    gw.stop()
    assert lines(gw) <= most * CHILDREN
    assert lines(gw) + sum(rests(gw)) == 2 * STORM
    assert ok_backend.requests == []


def test_level_of_a_section(gateway, ok_backend):
    """It admits the lines, so it admits the sum of the rest."""
    gw = gateway(location(ok_backend.url + "/", "LogLevel eas_kcd:info", path="/"),
                 log_level="notice", processes=1)
    most = storm(gw)
    gw.stop()
    assert SAME <= lines(gw) <= most and lines(gw) + sum(rests(gw)) == STORM
    assert ok_backend.requests == []


def test_other_causes_are_not_hidden(gateway, ok_backend):
    gw = gateway(location(ok_backend.url + "/", path="/"))
    storm(gw)
    assert gw.get("/x", headers=[("Authorization", "Basic !!!!")]).status == 401
    until(lambda: "EAS1010" in gw.error_log.tags(), 5, "the line of the other cause")
    assert ok_backend.requests == []


# --- bytes -----------------------------------------------------------------------------------

MANY, BLOCK = 10_000, 500
MOST_LINES, LONGEST = 201, 250      # of a process in a window, with the count of the rest
FORWARDED = "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\nMaxKeepAliveRequests 0\n"


def address_of(number, addresses):
    number %= addresses
    return f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@pytest.mark.parametrize("addresses", [1, MANY])
def test_bytes_of_ten_thousand_refusals(gateway, ok_backend, addresses):
    """Whether they come from one address or each from its own."""
    gw = gateway(FORWARDED + location(ok_backend.url + "/", path="/"), processes=1,
                 modules=(*MODULES, "remoteip"), log_level="warn eas_kcd:info")
    before, began = len(gw.error_log.text()), time.monotonic()
    with connect(gw.port) as client:
        for first in range(0, MANY, BLOCK):
            client.sendall("".join(
                f"GET /x HTTP/1.1\r\nHost: {GATEWAY}\r\n"
                f"X-Forwarded-For: {address_of(first + n, addresses)}\r\n\r\n"
                for n in range(BLOCK)).encode())
            answers = b""
            while answers.count(b"HTTP/1.1 401 ") < BLOCK:
                answers += client.recv(1 << 16)
    windows = 1 + int((time.monotonic() - began) / WINDOW)
    gw.stop()
    text = gw.error_log.text()[before:]
    shown = len(re.findall(r"EAS1062: the request has no credentials$", text, re.MULTILINE))
    counted = sum(map(int, re.findall(r"EAS1062: (\d+) more in ", text)))
    print(f"{MANY} refusals, {addresses} addresses, {windows} windows: {len(text)} bytes")
    assert shown + counted == MANY
    assert shown <= windows * (SAME if addresses == 1 else MOST_LINES)
    assert len(text) <= (windows + 1) * LONGEST * (SAME + 1 if addresses == 1 else MOST_LINES)
    assert ok_backend.requests == []
