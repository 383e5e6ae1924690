# SPDX-License-Identifier: Apache-2.0
"""A backend connection that has not ended an exchange well is not used again."""

import contextlib
import http.client
import threading
import time

import pytest

from lab.ad import PASSWORDS
from lab.client import basic, connect
from lab.exchange import ask, location, open_location
from lab.fake_backend import response
from lab.names import GATEWAY
from lab.owners import THREE, owners
from lab.simulated import PerRequest, echo
from lab.wait import until


class Moody:
    """Echoes; but what /eas/odd asks for is answered by *mood*."""

    def __init__(self, keeper, mood):
        self.keeper, self.mood = keeper, mood

    def __call__(self, request):
        token = request.authorization
        accepted = self.keeper.acceptor.accept(token) if token else None
        answer = (echo(request, accepted.user, accepted.www_authenticate) if accepted
                  else echo(request, None))
        return self.mood(answer) if request.path.endswith("/odd") else answer


given_up = threading.Event()


def late(answer):
    """The gateway has answered by then."""
    given_up.wait(10)
    return answer


def again(answer):
    """The gateway has sent its next request by then."""
    yield answer
    time.sleep(0.2)
    yield answer


def endless(answer):
    head = answer.partition(b"Content-Length")[0]
    yield head + b"Content-Length: 100000000\r\n\r\n"
    while True:
        yield bytes(1 << 16)


# script, status (None: the answer breaks off), tags
MOODS = {
    "late": (late, 502, ("AH01102", "AH00898")),
    "half": (lambda answer: iter((answer[:-20], None)), None, ("AH01110",)),
    "only a head": (lambda answer: iter((answer.partition(b"{")[0], None)), None, ("AH01110",)),
    "half a head": (lambda answer: iter((answer[:30], None)), 502, ()),
    "nothing": (lambda answer: None, 502, ("AH01102", "AH00898")),
    "garbage": (lambda answer: b"\0\1\2\r\n\r\n", 502, ("AH01102", "AH00898")),
    "twice": (lambda answer: answer + answer, 200, ()),
    "again, later": (again, 200, ()),
    "close": (lambda answer: answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), 200, ()),
}


def odd_status(gw, user):
    """The status of the odd request; None where the answer breaks off."""
    with gw.client() as client:
        try:
            return ask(client, "/eas/odd", user).status
        except (http.client.HTTPException, OSError, ValueError):
            return None


@pytest.mark.parametrize("user", ["alice", None])
@pytest.mark.parametrize("mood", MOODS)
def test_broken_answer_stays_with_its_request(gateway, fake_backends, keeper, mood, user):
    """Later requests, of the same user first, get answers of their own."""
    script, status, tags = MOODS[mood]
    if mood == "again, later" and user is None:     # nothing tells the two answers apart
        script = MOODS["twice"][0]
    if mood == "nothing" and user:
        status, tags = 503, (*tags, "EAS2057")
    backend = fake_backends(Moody(keeper, script), proves=False, reuse=True)
    gw = gateway(location(backend.url, require="Require all granted", parameters="timeout=1")
                 + open_location(backend.url), processes=1, reuse=True)
    gw.expect(*tags)
    gw.allow("EAS2053", because="the late copy may meet the next request, and proves nothing to it")
    for who in (user, *THREE, None):
        assert ask(gw, "/eas", who).status == 200
    for _ in range(3):
        given_up.clear()
        assert odd_status(gw, user) == status
        given_up.set()
        following = [ask(gw, "/eas", who).status for who in (user, *THREE, None, user)]
        # The late copy of an answer proves nothing to the next request.
        assert following[1:] == [200] * 5
        assert following[0] in ({200, 502} if mood == "again, later" else {200})
    odd = [n for n, request in enumerate(backend.requests) if request.path.endswith("/odd")]
    for at in odd:
        if mood not in ("twice", "again, later"):
            later = {request.connection for request in backend.requests[at + 1:]}
            assert backend.requests[at].connection not in later


# --- a connection that the backend closes ----------------------------------------------------

class Brief:
    """Hangs up under the second request of each connection: as a server that closes a kept
    connection just when a request is on its way."""

    def __init__(self, per_request):
        self.per_request, self.known = per_request, set()

    def __call__(self, request):
        if request.connection in self.known:
            return None
        self.known.add(request.connection)
        return self.per_request(request)


@pytest.mark.parametrize("kept", [True, False], ids=["kept client", "new client"])
@pytest.mark.parametrize("method,status", [("GET", 200), ("HEAD", 200), ("POST", 503)])
def test_kept_connection_closed_under_a_request(gateway, fake_backends, per_request, method, status,
                                                kept):
    """A request that may be repeated is; another one is delivered once at most, and answered."""
    backend = fake_backends(Brief(per_request), proves=False, reuse=True)
    gw = gateway(location(backend.url), processes=1, reuse=True)
    gw.expect("AH01102", *["EAS2057"] * (status == 503), *["AH00898"] * (not kept))
    body = b"body" if method == "POST" else None
    with gw.client() as client:
        assert ask(client, "/eas", "alice").status == 200
        answer = ask(client if kept else gw, "/eas", "alice", method, body=body)
    assert answer.status == status
    assert [request.connection for request in backend.requests] == [1, 1, 2][:2 + (status == 200)]
    assert [bool(answer.header(name)) for name in ("Retry-After", "WWW-Authenticate")] == [
        status == 503, False]


@pytest.mark.smoke
@pytest.mark.parametrize("kept", [True, False], ids=["kept client", "new client"])
def test_new_connection_closed_under_a_request(gateway, fake_backends, per_request, kept):
    """Not the chance of a moment: it is not tried again, whatever the client's connection."""
    backend = fake_backends(per_request, proves=False, reuse=True)
    gw = gateway(location(backend.url, "EasKcdBackendReuse Off"), processes=1, reuse=True)
    gw.expect("AH01102", "EAS2057", *["AH00898"] * (not kept))
    with gw.client() as client:
        assert ask(client, "/eas", "alice").status == 200
        backend.script = lambda request: None
        assert ask(client if kept else gw, "/eas", "alice").status == 503
    assert len(backend.requests) == 2


# --- clients that leave, and odd requests ----------------------------------------------------

@pytest.mark.parametrize("mood", [endless, late], ids=["in the answer", "before the answer"])
def test_clients_that_leave(gateway, fake_backends, keeper, mood):
    backend = fake_backends(Moody(keeper, mood), proves=False, reuse=True)
    gw = gateway(location(backend.url) + open_location(backend.url), processes=1, reuse=True)
    gw.allow("AH01086", "AH01110", "AH01102", "AH00898", "AH00957", "AH01114",
             because="the last of them may be under way when the backend stops")
    for user in THREE:
        assert ask(gw, "/eas", user).status == 200
        with connect(gw.port) as client:
            client.sendall(b"GET /eas/odd HTTP/1.1\r\nHost: mail.example.test\r\nAuthorization: "
                           + basic(user, PASSWORDS[user]).encode() + b"\r\n\r\n")
            if mood is endless:
                assert client.recv(4096).startswith(b"HTTP/1.1 200")
            until(lambda: backend.requests[-1].path.endswith("/odd"), 10, "the request to arrive")
        for who in (user, *THREE, None):
            assert ask(gw, "/eas" if who else "/open", who).status == 200
    if mood is endless:
        odd = [n for n, r in enumerate(backend.requests) if r.path.endswith("/odd")]
        for at in odd:
            assert backend.requests[at].connection not in {
                request.connection for request in backend.requests[at + 1:]}


@pytest.mark.parametrize("framing", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sent", [1000, 100_000, 1_000_000])
def test_clients_that_leave_in_their_request(gateway, fake_backends, keeper, first_user, sent,
                                             framing):
    """Half a request is on the connection, and no other request completes it."""
    backend = fake_backends(first_user, proves=False, reuse=True)
    gw = gateway(location(backend.url) + open_location(backend.url), processes=1, reuse=True)
    if sent == 1_000_000:
        gw.allow("AH01097", "AH02608",
                 because="a slow httpd sees the client's reset before so much of the body")
    body = bytes(sent) if "Length" in framing else b"%x\r\n%s\r\n" % (sent, bytes(sent))
    for user in THREE:
        with connect(gw.port) as client:
            client.sendall(f"POST /eas/half HTTP/1.1\r\nHost: {GATEWAY}\r\n{framing}\r\n"
                           f"Authorization: {basic(user, PASSWORDS[user])}\r\n\r\n".encode()
                           + body)
        for who in (user, *THREE, None):
            assert ask(gw, "/eas" if who else "/open", who).status == 200
    assert not [request for request in backend.requests if request.path.endswith("/half")]
    assert {len(users) for users in owners(backend, keeper).values()} == {1}


@pytest.mark.parametrize("method,status", [("CONNECT", 400), ("FOO", 200), ("PRI", 200),
                                           ("get", 200), ("OPTIONS", 200), ("PROPFIND", 200)])
def test_odd_methods(gateway, fake_backends, keeper, first_user, method, status):
    """Whatever becomes of them, who comes next has connections and answers of their own."""
    backend = fake_backends(first_user, proves=False, reuse=True)
    gw = gateway(location(backend.url) + open_location(backend.url), processes=1, reuse=True)
    for user in THREE:
        answer = gw.request(method, "/eas", user, PASSWORDS[user], body=b"GET / HTTP/1.1\r\n\r\n")
        assert answer.status == status
        for who in (user, *THREE, None):
            assert ask(gw, "/eas" if who else "/open", who).status == 200
    assert {len(users) for users in owners(backend, keeper).values()} == {1}


@pytest.mark.parametrize("then", ["reads on", "hangs up"])
def test_answer_before_the_body(gateway, fake_backends, keeper, per_request, then):
    """An early refusal: what is left of the body is not the next request, and the next
    request's answer is its own."""
    def early(head):
        if not head.line.startswith("POST"):
            return b""
        refusal = response("413 Content Too Large", [("WWW-Authenticate", keeper.proof(head))])
        return refusal if then == "reads on" else iter((refusal, None))

    backend = fake_backends(lambda request: b"" if request.body else per_request(request),
                            early=early, proves=False)
    gw = gateway(location(backend.url) + open_location(backend.url), processes=1)
    gw.allow("AH01097", "AH01086", "AH01102", "AH01110", "AH10154", "AH01084", "EAS2057",
             "AH00898", because="it depends on the moment how much of the body is sent")
    for size in (10, 100_000, 3_000_000) * 2:
        with gw.client() as client:
            with contextlib.suppress(OSError):  # the gateway need not have read it all either
                answer = client.post("/eas", bytes(size), "alice", PASSWORDS["alice"])
                assert answer.status in (413, 502, 503)
        for user in ("alice", "bob"):
            assert ask(gw, "/eas", user).status == 200
        assert ask(gw, "/open").status == 401
    assert {request.line.split(" ")[0] for request in backend.requests} <= {"POST", "GET"}


# --- protocols that would lead out of it -----------------------------------------------------

UPGRADES = [[("Connection", "Upgrade"), ("Upgrade", protocol), *more] for protocol, more in (
    ("websocket", [("Sec-WebSocket-Key", "x3JJHMbDL1EzLkh9GBhXDw=="),
                   ("Sec-WebSocket-Version", "13")]),
    ("h2c", [("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")]),
    ("TLS/1.0", []), ("anything, websocket", []))]


@pytest.mark.parametrize("parameters", ["", "upgrade=ANY", "upgrade=websocket"])
@pytest.mark.parametrize("headers", UPGRADES, ids=lambda headers: headers[1][1])
def test_upgrades_do_not_pass(gateway, fake_backends, per_request, headers, parameters):
    backend = fake_backends(per_request, proves=False, reuse=True)
    gw = gateway(location(backend.url, parameters=parameters),
                 processes=1, reuse=True)
    for _ in range(2):
        assert ask(gw, "/eas", "alice", headers=headers).status == 200
    assert [request.all("Upgrade") for request in backend.requests] == [[], []]
    assert all("pgrade" not in value for request in backend.requests
               for value in request.all("Connection"))


@pytest.mark.parametrize("asked", [True, False], ids=["asked for", "unasked"])
@pytest.mark.parametrize("parameters", ["", "upgrade=ANY", "upgrade=websocket"])
def test_backend_that_switches_protocols(gateway, fake_backends, keeper, parameters, asked):
    def switching(request):
        return (f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"WWW-Authenticate: {keeper.proof(request)}\r\n\r\n").encode() + b"tunnel" * 100

    backend = fake_backends(switching, proves=False, reuse=True)
    gw = gateway(location(backend.url, parameters=parameters),
                 processes=1, reuse=True)
    gw.expect("AH00898")
    answer = gw.get("/eas", "alice", PASSWORDS["alice"], UPGRADES[0] if asked else [])
    assert answer.status == 502
    assert b"tunnel" not in answer.body
    backend.script = PerRequest(keeper.acceptor)
    assert ask(gw, "/eas", "alice").status == 200
    assert backend.requests[0].connection != backend.requests[1].connection
