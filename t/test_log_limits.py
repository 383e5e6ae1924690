# SPDX-License-Identifier: Apache-2.0
"""A storm of refusals is few lines in the error log, and none is lost from their sum."""

import re
import time

from lab.exchange import location
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
