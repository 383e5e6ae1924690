# SPDX-License-Identifier: Apache-2.0
"""A long poll that may park is sent by a copy of its request: nothing is lost with it, or stays."""

import re

import pytest

from lab.activesync import CHANGED, PATH, PING, TYPE, plain
from lab.ad import PASSWORDS
from lab.client import basic, connect
from lab.exchange import location, trusting
from lab.fake_backend import response
from lab.gateway import MODULES
from lab.memory import copies
from lab.names import GATEWAY
from lab.parking import SETTINGS, await_parked, closing, parked, published, right, wait
from lab.raw_form import shut_down
from lab.sanitizer import measures_memory
from lab.wait import connections, free_port, until

# What modules set before, and what they find after.
AROUND = """
SetEnvIf User-Agent ^ TAG=tagged
Header set X-Early on early
Header always set X-Early-Always on early
Header always set X-Seen "expr=%{reqenv:TAG} %{reqenv:EAS_KCD_AUTH} %{note:proxy-status}"
LogFormat "%>s %B %{TAG}e %{X-Early}o %{X-Checksum}^to port=%{proxy-source-port}n \
%{proxy-status}n %{proxy-error-override}n %{proxy_timedout}n %{error-notes}n %{Content-Type}o" seen
"""
CHANGING = {"began", "port", "pid", "EAS_KCD_KDC_US", "EAS_KCD_PARKED"}


def in_pieces(proof):
    """With a trailer."""
    yield (f"HTTP/1.1 200 OK\r\nWWW-Authenticate: {proof}\r\nContent-Type: {TYPE}\r\n"
           "Transfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n").encode()
    yield b"5\r\nabcde\r\n0\r\nX-Checksum: 42\r\n\r\n"


def stale(_):
    return response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])


def around(tmp_path):
    return f'{AROUND}CustomLog "{tmp_path}/seen.log" seen\n'


def seen(tmp_path, number):
    """The last lines of the log."""
    path = tmp_path / "seen.log"
    lines = until(lambda: (path.read_text().splitlines()[-number:]
                           if path.exists() and path.read_text().count("\n") >= number else None),
                  5, "the log")
    return [re.sub(r"port=\d+", "port", line) for line in lines]


def told(answer, gw):
    """What the client got, without what each answer has of its own."""
    body = answer.body.replace(str(gw.port).encode(), b"PORT")
    headers = [field for field in answer.headers if field[0] not in ("Date", "Expires")]
    return answer.status, headers, body


def logged(gw):
    return [{key: value for key, value in entry.items() if key not in CHANGING}
            for entry in gw.requests()]


OVERRIDE = "ProxyErrorOverride On\n    ErrorDocument 404 \"not here\""
AT_ONCE = {
    "answer": ((right(("X-Of-Backend", "1")),), "", 200),
    "trailer": ((in_pieces,), "", 200),
    "error": ((right(status="507 Full", body=b"full"),), "", 507),
    "overridden": ((right(status="404 Not Found"),), OVERRIDE, 404),
    "no AP-REP": ((lambda _: response("200 OK", body=b"secret"),), "", 502),
    "stale ticket": ((stale, right()), "", 200),
    "stale tickets": ((stale, stale), "", 503),
    "last of its connection": ((right(("Connection", "close")),), "", 200),
    "with the end of its connection": ((closing,), "", 200),
    "end of the connection": ((lambda _: None,), "", 503),
}


@pytest.mark.parametrize("tls", [True, False], ids=["TLS behind", "plain behind"])
@pytest.mark.parametrize("answers,lines,status", AT_ONCE.values(), ids=AT_ONCE)
def test_answer_at_once(gateway, held, authority, pings, tmp_path, answers, lines, status, tls):
    """Client, variables and logs have what those of a request have that cannot park."""
    found = []
    for park in ("On", "Off"):
        script, backend = held(*answers, tls=tls)
        script.release()
        gw = gateway(SETTINGS + trusting(authority) + around(tmp_path)
                     + published(backend, f"EasKcdPark {park}", lines), tls=False, processes=1,
                     modules=(*MODULES, "setenvif"))
        gw.allow("AH01102", "AH00898", "EAS2052", "EAS2057", "EAS2063",
                 because="the answer may be bad")
        client = pings(gw, script).send("alice")
        answer = client.receive()
        assert answer.status == status
        assert answer.header("X-Early-Always") == "on" and answer.header("X-Seen") is not None
        entry, = until(gw.requests, 5, "the access log")
        assert entry["EAS_KCD_PARKED"] == "-"
        found.append((told(answer, gw), seen(tmp_path, 1), logged(gw), gw.error_log.tags(),
                      [request.body for request in backend.requests],
                      [[name for name, _ in request.headers] for request in backend.requests]))
    assert found[0] == found[1]


FAILURES = {
    "refused": ("http://cas1.corp.example.test:{port}", 503),
    "no address": ("http://nowhere.corp.example.test", 503),
    "other name": ("https://127.0.0.1:{tls}", 502),
}


@pytest.mark.parametrize("url,status", FAILURES.values(), ids=FAILURES)
def test_failure_before_an_answer(gateway, held, authority, pings, tmp_path, url, status):
    """Likewise."""
    script, backend = held(tls=True)
    found = []
    for park in ("On", "Off"):
        target = url.format(port=free_port(), tls=backend.port)
        gw = gateway(SETTINGS + trusting(authority) + around(tmp_path)
                     + location(target + PATH, f"EasKcdPark {park}", "EasKcdSPN HTTP/cas1."
                                "corp.example.test", path=PATH), tls=False, processes=1,
                     modules=(*MODULES, "setenvif", "ssl", "socache_shmcb"))
        gw.allow("AH00957", "AH01114", "AH00898", "AH02604", "AH00959", "AH01084", "AH01097",
                 "AH02003", "AH01961", "EAS2087", "EAS2089", "AH02004", "AH02008", "AH10501",
                 because="it cannot be sent")
        answer = pings(gw, script).send("alice").receive()
        assert answer.status == status
        assert answer.header("X-Early-Always") == "on"
        until(gw.requests, 5, "the access log")
        tags = sorted(set(gw.error_log.tags()))
        found.append((told(answer, gw), seen(tmp_path, 1), logged(gw), tags))
    assert found[0] == found[1]
    assert backend.requests == []


def test_time_out(gateway, held, pings, tmp_path):
    """Likewise, and by the time of the request, not of a second run."""
    found = []
    for park in ("On", "Off"):
        script, backend = held(right())
        gw = gateway(SETTINGS + around(tmp_path)
                     + published(backend, f"EasKcdPark {park}", "EasKcdCommandTimeout Ping 1s"),
                     tls=False, processes=1, modules=(*MODULES, "setenvif"))
        gw.expect("AH01102", "AH00898")
        answer = pings(gw, script).send("alice").receive()
        assert answer.status == 502
        until(gw.requests, 5, "the access log")
        found.append((told(answer, gw), seen(tmp_path, 1), logged(gw), gw.error_log.tags()))
    assert found[0] == found[1]


@pytest.mark.parametrize("answer", [right(("X-Of-Backend", "1")), in_pieces,
                                    right(status="507 Full", body=b"full")],
                         ids=["answer", "trailer", "error"])
def test_answer_later(gateway, held, pings, tmp_path, answer):
    """A request that parks has all that the answer at once has."""
    script, backend = held(answer, answer, answer)
    gw = gateway(SETTINGS + around(tmp_path) + published(backend), tls=False, processes=1,
                 modules=(*MODULES, "setenvif"))
    polls = pings(gw, script)
    script.release()
    polls.send("alice").receive()       # the log-on is cached
    told_at_once = told(polls.send("alice").receive(), gw)
    script.hold()
    client = parked(polls, script)
    script.release()
    assert told(client.receive(), gw) == told_at_once
    first, second = seen(tmp_path, 2)
    assert first == second and "port" in first
    _, first, second = until(lambda: len(gw.requests()) == 3 and logged(gw), 5, "the access log")
    assert first == second
    assert [entry["EAS_KCD_PARKED"] != "-" for entry in gw.requests()] == [False, False, True]


def test_log_id(gateway, held, pings, tmp_path):
    """The first line of the error log makes it, here a line of the copy; all logs have the same."""
    script, backend = held(right())
    script.release()
    gw = gateway('ErrorLogFormat "[%{u}t] [%-m:%l] [pid %P:tid %T] %M id=%L %{c}L"\n' + SETTINGS
                 + f'LogFormat "id=%L" id\nCustomLog "{tmp_path}/seen.log" id\n'
                 + published(backend), tls=False, processes=1,
                 log_level="notice proxy_http:trace1")
    assert pings(gw, script).send("alice").receive().status == 200
    first, second = re.findall(r"HTTP: serving URL .* (id=\S+ \S+)", gw.error_log.text())
    assert first == second
    assert seen(tmp_path, 1) == [first.split()[0]]


@measures_memory
@pytest.mark.parametrize("tls", [True, False], ids=["TLS behind", "plain behind"])
def test_token_is_gone(gateway, held, authority, pings, tls):
    """The token, and with it all else of the copy, is in no memory while the request is parked."""
    script, backend = held(right(), tls=tls)
    gw = gateway(SETTINGS + trusting(authority) + published(backend), tls=False, processes=1)
    client = parked(pings(gw, script), script)
    # The beginning is the ticket, which all tokens share.
    secret = backend.requests[0].authorization.encode()[-100:]
    until(lambda: copies(gw.children(), secret) == [], 5, "the token to be gone")
    script.release()
    assert client.receive().body == CHANGED


def test_client_leaves_before_it_parks(gateway, held, pings, tmp_path):
    """Within the second that a thread waits."""
    script, backend = held(right())
    gw = gateway(SETTINGS + around(tmp_path) + published(backend), tls=False, processes=1,
                 modules=(*MODULES, "setenvif"))
    client = pings(gw, script).send("alice")
    until(lambda: script.waiting == 1, 10, "the Ping to wait")
    shut_down(client.socket)
    entry, = until(gw.requests, 5, "the access log")
    assert (entry["status"], entry["EAS_KCD_ERROR"]) == ("499", "EAS2080")
    assert entry["EAS_KCD_PARKED"] == "-"
    assert seen(tmp_path, 1)[0].startswith("499 0 tagged ")
    until(lambda: connections(backend.port, of_peers=True) == 0, 5, "the connection's end")


def test_connection_that_is_not_kept(gateway, held, pings):
    """mod_proxy_http closes it after a request with both lengths. The copy sends nothing, and the
    request keeps its thread."""
    script, backend = held(right())
    gw = gateway(SETTINGS + published(backend, f"RequestHeader set Content-Length {len(PING)}"),
                 processes=1)
    gw.allow("AH01084", "AH01097", "AH00898", because="a failure for mod_proxy_http")
    with connect(gw.port) as client:
        client.sendall(
            f"POST {plain('Ping')} HTTP/1.1\r\nHost: {GATEWAY}\r\nContent-Type: {TYPE}\r\n"
            f"Authorization: {basic('alice', PASSWORDS['alice'])}\r\nConnection: close\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n{len(PING):x}\r\n".encode() + PING
            + b"\r\n0\r\n\r\n")
        until(lambda: script.waiting == 1, 10, "the Ping to wait")
        wait(1.5)
        script.release()
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(CHANGED)
    assert [request.body for request in backend.requests] == [PING]
    assert backend.connections == 2
    assert "parks: waits" not in gw.error_log.text()
    assert "EAS2095" in gw.error_log.text()


def test_many_on_one_connection(gateway, held, pings):
    """Ping after Ping, by turns at once and later, on one connection on each side."""
    script, backend = held(*[right()] * 6)
    gw = gateway(SETTINGS + published(backend), tls=False, processes=1)
    client = pings(gw, script).send("alice")
    for number in range(3):
        until(lambda: script.waiting == 1, 10, "the Ping to wait")
        await_parked(gw, number + 1)
        script.release()
        assert client.receive().body == CHANGED
        answer = client.post(plain("Ping"), PING, "alice", PASSWORDS["alice"])
        assert answer.body == CHANGED
        script.hold()
        if number < 2:
            client.send("POST", plain("Ping"), "alice", PASSWORDS["alice"],
                        [("Content-Type", TYPE)], PING)
    assert {request.connection for request in backend.requests} == {1}
    assert gw.error_log.tags() == []
