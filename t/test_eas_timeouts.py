# SPDX-License-Identifier: Apache-2.0
"""EasKcdCommandTimeout: each ActiveSync command has its own time-out, on one worker."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.activesync import PATH, blob, plain
from lab.ad import PASSWORDS
from lab.exchange import location
from lab.fake_backend import response

SLOW = 1.8      # seconds that the backend takes for everything
SHORT = ("EasKcdCommandTimeout * 1s",)


@pytest.fixture
def slow(fake_backends):
    def answer(request):
        if "User=quick" not in request.line:
            time.sleep(SLOW)
        return response("200 OK", body=b"late")
    return fake_backends(answer)


def open_location(backend, *lines: str, worker: str = "") -> str:
    """Without a user, so that connections to the backend are used again."""
    more = "\n    ".join(lines)
    return f"""
<Location "{PATH}">
    Require all granted
    ProxyPass "{backend.url}{PATH}" {worker}
    {more}
</Location>
"""


COMMANDS = [
    (plain("Ping"), SHORT, 200),
    (blob("Sync"), SHORT, 200),
    (plain("FolderSync"), SHORT, 502),
    (blob("FolderSync"), SHORT, 502),
    (plain("Novelty"), SHORT, 502),
    (PATH, SHORT, 502),
    (plain("FolderSync"), (), 200),
    (plain("Ping"), ("EasKcdCommandTimeout ping 1s",), 502),
    (plain("FolderSync"), (*SHORT, "EasKcdCommandTimeout FolderSync 1m"), 200),
    (plain("FolderSync"), (*SHORT, "EasKcdCommandTimeout * 30s"), 200),
]
# Timeout, and the worker's own
SHORTER, LONGER = (("1", ""), ("60", "timeout=1")), (("60", "timeout=30"),)


def test_by_command(gateway, slow):
    """Neither Timeout nor the worker's own counts, be it longer or shorter. All at once, because
    the backend takes its time for each."""
    cases = []
    for path, lines, status in COMMANDS:
        for timeout, worker in SHORTER if status == 200 else LONGER:
            gw = gateway(f"Timeout {timeout}\n" + open_location(slow, *lines, worker=worker),
                         reuse=True)
            if status == 502:
                gw.expect("AH01102", "AH00898")
            cases.append((gw, path, lines, status))
    with ThreadPoolExecutor(len(cases)) as pool:
        statuses = pool.map(lambda case: case[0].post(case[1], b"").status, cases)
        assert [case[1:] for case in cases] == [
            (path, lines, status) for (_, path, lines, _), status in zip(cases, statuses)]


@pytest.mark.smoke
def test_delegated(gateway, slow):
    gw = gateway("Timeout 1\n" + location(slow.url, *SHORT, path=PATH))
    gw.expect("AH01102", "AH00898")
    assert gw.post(plain("Ping"), b"", "alice", PASSWORDS["alice"]).status == 200
    assert gw.post(plain("Search"), b"", "alice", PASSWORDS["alice"]).status == 502


def test_on_one_pooled_connection(gateway, slow):
    """One command's time-out does not hold for the next on the same connection."""
    gw = gateway("Timeout 20\n" + open_location(slow, *SHORT), processes=1)
    gw.expect("AH01102", "AH00898")
    with gw.client() as client:
        for path, status in ((plain("Search", "quick"), 200), (plain("Ping"), 200),
                             (plain("Search", "quick"), 200), (plain("Search"), 502)):
            assert client.post(path, b"").status == status
    assert slow.connections == 1


def test_on_a_connection_that_others_use_too(gateway, slow):
    """A Ping's hour does not stick to it: for OWA the worker's own time-out counts again."""
    gw = gateway(f'ProxyPass "/" "{slow.url}/" timeout=1\n', processes=1)
    gw.expect("AH01102", "AH00898")
    with gw.client() as client:
        for path, status in ((plain("Ping"), 200), ("/owa/?User=quick", 200), ("/owa/", 502)):
            assert client.get(path).status == status
    assert slow.connections == 1


def test_not_where_nothing_is_read(gateway, slow):
    """There the worker's time-out counts, else httpd's."""
    gw = gateway("Timeout 1\n" + open_location(slow, "EasKcdParseEas Off"))
    gw.expect("AH01102", "AH00898")
    assert gw.post(plain("Ping"), b"").status == 502
    gw = gateway("Timeout 1\n" + open_location(slow, "EasKcdParseEas Off", worker="timeout=20"))
    assert gw.post(plain("Search"), b"").status == 200


def test_sections_inherit_command_by_command(gateway, slow):
    gw = gateway("EasKcdCommandTimeout Ping 1s\nEasKcdCommandTimeout Search 30s\n"
                 + open_location(slow, "EasKcdCommandTimeout * 1s"))
    gw.expect("AH01102", "AH00898")
    assert [gw.post(plain(command), b"").status for command in ("Ping", "Search", "Settings")] \
        == [502, 200, 502]
