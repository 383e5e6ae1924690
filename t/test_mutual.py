# SPDX-License-Identifier: Apache-2.0
"""The backend proves itself with each answer (AP-REP), or the client gets nothing of it."""

import base64
import http.client
import random
from dataclasses import dataclass, field

import pytest

from lab.ad import CAS1, PASSWORDS, REALM
from lab.client import basic, connect
from lab.exchange import ask, both_tokens, location, trusting
from lab.fake_backend import response
from lab.kerberos import token_of
from lab.names import GATEWAY
from lab.simulated import Sessions, damaged, unwrapped
from lab.wait import until

CANARY = "Wes-Brot-ich-ess"
TELLING = [("X-Canary", CANARY), ("Set-Cookie", f"canary={CANARY}"),
           ("Location", f"https://{CANARY}.example.test/"), ("ETag", f'"{CANARY}"'),
           ("Content-Disposition", f"inline; filename={CANARY}"), ("Retry-After", "77"),
           ("Content-Type", f"text/{CANARY}"), ("Content-Language", "tlh")]
NTLM = "NTLM TlRMTVNTUAACAAAA"
# gokrb5's reply to a token that it accepts: a state and the mechanism.
COMPLETED = "Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg=="


@dataclass
class Backend:
    """A script that answers with *status* and what *proofs* makes of the right proof."""

    keeper: object
    status: str = "200 OK"
    proofs: object = staticmethod(lambda right: [right])
    body: bytes = CANARY.encode() * 10
    persistent: bool = False    # a remark of the answers with a proof
    previous: list = field(default_factory=list)

    def __call__(self, request):
        right = self.keeper.proof(request)
        values = self.proofs(right) if right else []
        self.previous.append(right)
        more = [("WWW-Authenticate", value) for value in values]
        if more and self.persistent:
            more.append(("Persistent-Auth", "true"))
        return response(self.status, [*TELLING, *more], self.body)


def negotiate(data):
    return "Negotiate " + base64.b64encode(data).decode()


WRONG = {
    "last bit": lambda right: [damaged(right)],
    "middle": lambda right: [damaged(right, -40)],
    "cut": lambda right: [negotiate(token_of(right)[:-1])],
    "half": lambda right: [negotiate(token_of(right)[:40])],
    "no base64": lambda right: ["Negotiate !!!!"],
    "half base64": lambda right: [right + "!"],
    "two tokens": lambda right: [right + " " + right],
    "no SPNEGO": lambda right: [negotiate(b"hello")],
    "without SPNEGO": lambda right: [unwrapped(right)],
    "nothing in it": lambda right: ["Negotiate oQA="],
    "completed, with an empty token": lambda right: [
        negotiate(bytes.fromhex("a10b3009a0030a0100a2020400"))],
    "huge length": lambda right: [negotiate(bytes.fromhex("a184ffffffff3005a0030a0100"))],
    "two, both wrong": lambda right: [damaged(right), "Negotiate oQA="],
    "beside a state": lambda right: [COMPLETED, damaged(right), COMPLETED],
    "with NTLM": lambda right: [NTLM, damaged(right)],
}
RIGHT = {
    "alone": lambda right: [right],
    "lower case": lambda right: [right.replace("Negotiate", "negotiate")],
    "before a wrong one": lambda right: [right, damaged(right)],
    "among others": lambda right: [NTLM, right, 'Basic realm="x"'],
    "before another in its line": lambda right: [f"{right}, NTLM"],
    "beside a state": lambda right: [COMPLETED, right],
    "between others in its line": lambda right: [f'Basic realm="a, b", {right} ,NTLM'],
}


@pytest.fixture
def backend(keeper):
    return Backend(keeper)


@pytest.fixture
def published(gateway, fake_backends, authority, backend):
    """published(*lines): (gateway of one child, the backend's server)."""
    def start(*lines, tls=False, **options):
        server = fake_backends(backend, tls=tls, proves=False, reuse=True)
        gw = gateway(trusting(authority) + location(server.url, *lines, **options), processes=1,
                     reuse=True)
        return gw, server
    return start


def everything(answer):
    """All that a client can see of an answer."""
    return repr(answer.headers).encode() + answer.body


def assert_nothing_passed(answer, status):
    assert answer.status == status
    assert CANARY.encode() not in everything(answer)
    for name in ("WWW-Authenticate", "Content-Language", "Set-Cookie", "Location", "ETag"):
        assert answer.header(name) is None, name
    assert answer.header("Content-Type").startswith("text/html")


def assert_all_passed(answer, backend, status):
    assert (answer.status, answer.body) == (status, backend.body)
    assert answer.header("X-Canary") == CANARY
    assert answer.header("Set-Cookie") == f"canary={CANARY}"
    assert answer.header("WWW-Authenticate") is None


def assert_shown(gw, tag):
    until(lambda: tag in {entry["EAS_KCD_ERROR"] for entry in gw.requests()}, 5, f"{tag} to show")


def get(gw, user="alice", method="GET", **options):
    return gw.request(method, "/eas", user, PASSWORDS[user], **options)


# --- right, wrong ----------------------------------------------------------------------------

@both_tokens
@pytest.mark.parametrize("mode", ["required", "optional"])
@pytest.mark.parametrize("what", RIGHT)
def test_right(published, backend, what, mode):
    gw, server = published(f"EasKcdMutualAuth {mode}")
    backend.proofs = RIGHT[what]
    for _ in range(3):
        assert_all_passed(get(gw), backend, 200)
    assert server.connections == 1


@both_tokens
@pytest.mark.parametrize("inner", [None, "native", "gssapi"])
def test_right_after_a_wrong_one(published, backend, token, inner):
    """GSSAPI's context ends with the first wrong one. The inner section decides."""
    gw, _ = published(*([f"EasKcdToken {inner}"] if inner else []))
    backend.proofs = lambda right: [damaged(right), right]
    if (inner or token) == "native":
        assert_all_passed(get(gw), backend, 200)
    else:
        gw.expect("EAS2053")
        assert_nothing_passed(get(gw), 502)


@both_tokens
@pytest.mark.parametrize("mode", ["required", "optional"])
@pytest.mark.parametrize("what", WRONG)
def test_wrong(published, backend, what, mode):
    gw, server = published(f"EasKcdMutualAuth {mode}")
    gw.expect("EAS2053")
    for proven in (False, True):
        if proven:      # a connection that has proved itself may be silent, but never lie
            backend.proofs = RIGHT["alone"]
            assert_all_passed(get(gw), backend, 200)
        backend.proofs = WRONG[what]
        assert_nothing_passed(get(gw), 502)
    assert gw.error_log.tags().count("EAS2053") == 2
    assert_shown(gw, "EAS2053")
    backend.proofs = RIGHT["alone"]
    assert_all_passed(get(gw), backend, 200)
    assert [request.connection for request in server.requests] == [1, 2, 2, 3]


@pytest.mark.parametrize("status", ["204 No Content", "302 Found", "304 Not Modified",
                                    "404 Not Found", "500 Internal Server Error",
                                    "503 Service Unavailable", "449 Retry After Provision"])
@pytest.mark.parametrize("override", ["Off", "On"])
def test_wrong_with_every_status(published, backend, status, override):
    gw, _ = published(f"ProxyErrorOverride {override}")
    gw.expect("EAS2053")
    backend.status, backend.proofs = status, WRONG["last bit"]
    if status.startswith(("204", "304")):
        backend.body = b""
    assert_nothing_passed(get(gw), 502)


def spoiled(value, rng):
    """A value with a few bytes of its token changed, lost, doubled or made up."""
    token = bytearray(token_of(value))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(token))
        match rng.randrange(4):
            case 0:
                token[at] = rng.randrange(256)
            case 1:
                del token[at:at + rng.randrange(1, 40)]
            case 2:
                token[at:at] = token[at:at + rng.randrange(1, 40)]
            case 3:
                token[at:at] = rng.randbytes(rng.randrange(1, 40))
        if not token:
            break
    return negotiate(bytes(token))


@both_tokens
def test_spoiled_at_random(published, backend):
    """An AP-REP that is whole authenticates the backend, whatever its wrapping."""
    gw, _ = published("# a gateway of its own: the log is limited")
    gw.expect("EAS2053")
    rng = random.Random(4)
    sent = []

    def proofs(right):
        sent.append((right, spoiled(right, rng)))
        return [sent[-1][1]]

    backend.proofs = proofs
    refused = 0
    with gw.client() as client:
        for _ in range(500):
            answer = client.get("/eas", "alice", PASSWORDS["alice"])
            assert answer.status in (200, 502)
            right, value = sent[-1]
            if answer.status == 200:
                assert token_of(right)[-50:] in token_of(value)     # of what is encrypted
            refused += answer.status == 502
    assert refused > 300
    backend.proofs = RIGHT["alone"]
    assert get(gw).status == 200


@both_tokens
def test_replayed(published, backend):
    """The proof of the same user's earlier request, on the same connection and the same ticket."""
    gw, server = published()
    gw.expect("EAS2053")
    assert get(gw).status == 200
    backend.proofs = lambda right: [backend.previous[0]]
    assert_nothing_passed(get(gw), 502)
    assert [request.connection for request in server.requests] == [1, 1]


@both_tokens
def test_of_another_user(published, backend):
    gw, _ = published()
    gw.expect("EAS2053")
    assert get(gw, "bob").status == 200
    backend.proofs = lambda right: [backend.previous[0]]
    for _ in range(2):
        assert_nothing_passed(get(gw, "alice"), 502)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("size", [0, 8_000_000])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_no_byte_of_a_body_passes(published, backend, method, size, tls):
    gw, _ = published(tls=tls)
    gw.expect("EAS2053")
    backend.body = (CANARY.encode() * (size // len(CANARY) + 1) if method != "HEAD" else b"")
    backend.proofs = WRONG["last bit"]
    answer = get(gw, method=method, body=b"x" if method == "POST" else None)
    assert answer.status == 502
    assert CANARY.encode() not in everything(answer)
    assert len(answer.body) < 2000
    backend.proofs = RIGHT["alone"]
    assert get(gw).status == 200


# --- the backend knows the user, and says 401 ------------------------------------------------

@both_tokens
@pytest.mark.parametrize("override", ["Off", "On"])
def test_user_that_the_backend_refuses(published, backend, relay, override):
    """A new ticket would change nothing, and a POST is not repeated."""
    gw, server = published(f"ProxyErrorOverride {override}")
    gw.allow("EAS2074", because="each refusal is logged")
    assert get(gw).status == 200
    seen = len(server.requests)
    backend.status = "401 Unauthorized"
    for method, body in (("GET", None), ("POST", b"x")):
        assert_nothing_passed(get(gw, method=method, body=body), 403)
    assert len(server.requests) == seen + 2
    backend.status = "200 OK"
    assert_all_passed(get(gw), backend, 200)
    until(lambda: len(gw.requests()) == 4, 5, "the access log")
    assert [entry["EAS_KCD_TICKET"] for entry in gw.requests()[1:]] == ["hit"] * 3
    assert gw.error_log.tags().count("EAS2074") == 2 and "EAS2056" not in gw.error_log.tags()


def test_refusal_without_an_end(published, backend, keeper):
    """The body of a response that does not pass is not read for as long as the backend likes."""
    gw, server = published()
    gw.expect("EAS2074")
    sent = []

    def endless(request):
        yield (b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n"
               b"WWW-Authenticate: " + keeper.proof(request).encode() + b"\r\n\r\n")
        while True:
            yield b"1000\r\n" + bytes(4096) + b"\r\n"
            sent.append(4096)

    server.script = endless
    assert get(gw).status == 403
    assert sum(sent) < 16_000_000, "what sockets and mod_proxy hold"


# --- missing ---------------------------------------------------------------------------------

def missing(right):
    return []


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "206 Partial Content",
                                    "302 Found", "304 Not Modified"])
def test_missing(published, backend, status):
    gw, server = published()
    gw.expect("EAS2052")
    backend.status, backend.proofs = status, missing
    if status.startswith(("204", "304")):
        backend.body = b""
    for _ in range(2):
        assert_nothing_passed(get(gw), 502)
    assert gw.error_log.tags().count("EAS2052") == 2
    assert_shown(gw, "EAS2052")
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.smoke
def test_other_schemes_prove_nothing(published, backend):
    gw, _ = published()
    gw.expect("EAS2052")
    backend.proofs = lambda right: [NTLM, 'Basic realm="x"', "Kerberos " + right.split()[1]]
    assert_nothing_passed(get(gw), 502)


BARE = [COMPLETED, "Negotiate oQcwBaADCgEA", "Negotiate oQcwBaADCgEC"]


@both_tokens
@pytest.mark.parametrize("value", BARE, ids=["gokrb5", "completed", "rejected"])
def test_state_alone_is_no_proof(published, backend, value):
    """Nothing of it could be verified: it counts as if it were not there."""
    gw, _ = published()
    gw.expect("EAS2052")
    backend.proofs = lambda right: [value]
    assert_nothing_passed(get(gw), 502)
    backend.status = "404 Not Found"
    assert_nothing_passed(get(gw), 404)
    assert gw.error_log.tags().count("EAS2052") == 1


@both_tokens
def test_state_alone_where_optional(published, backend):
    gw, server = published("EasKcdMutualAuth optional")
    backend.proofs = lambda right: [COMPLETED]
    for _ in range(2):
        assert_all_passed(get(gw), backend, 200)
    assert server.connections == 1


def test_missing_where_optional(published, backend):
    gw, server = published("EasKcdMutualAuth optional")
    backend.proofs = missing
    for _ in range(2):
        assert_all_passed(get(gw), backend, 200)
    assert server.connections == 1


@both_tokens
@pytest.mark.smoke
def test_missing_on_a_connection_that_has_proved_itself(published, backend):
    """A backend that authenticates connections proves itself once; and to one user only."""
    gw, server = published()
    gw.expect("EAS2052")
    backend.persistent = True
    assert_all_passed(get(gw), backend, 200)
    backend.proofs = missing
    for _ in range(3):
        assert_all_passed(get(gw), backend, 200)
    assert server.connections == 1
    assert_nothing_passed(get(gw, "bob"), 502)
    assert_all_passed(get(gw), backend, 200)
    for status in ("404 Not Found", "500 Internal Server Error"):
        backend.status = status
        assert_all_passed(get(gw), backend, int(status[:3]))
    assert {request.connection for request in server.requests} == {1, 2}


def test_a_proof_does_not_cover_the_next_answer(published, backend):
    """The backend has not said that it authenticates connections."""
    gw, server = published()
    gw.expect("EAS2052")
    assert_all_passed(get(gw), backend, 200)
    backend.proofs = missing
    assert_nothing_passed(get(gw), 502)
    backend.status = "404 Not Found"
    assert_nothing_passed(get(gw), 404)
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_a_remark_without_a_proof_says_nothing(published, backend):
    gw, server = published()
    gw.expect("EAS2052")
    server.script = lambda _: response("200 OK", [*TELLING, ("Persistent-Auth", "true")], b"x")
    for _ in range(2):
        assert_nothing_passed(get(gw), 502)


def test_a_session_of_the_backend_that_belongs_to_another_user(published, keeper):
    """The backend reads its cookie, not the token, on a connection that has proved itself."""
    gw, server = published()
    gw.expect("EAS2052")
    server.script = sessions = Sessions(keeper.acceptor)
    with gw.client() as client:
        cookie = ask(client, "/eas", "alice").header("Set-Cookie").partition(";")[0]
        assert ask(client, "/eas", "bob").status == 200
        answer = ask(client, "/eas", "bob", headers=[("Cookie", cookie)])
    assert answer.status == 502
    assert b"alice" not in everything(answer)
    assert gw.logged()["EAS_KCD_ERROR"] == "EAS2052"
    assert [request.connection for request in server.requests] == [1, 2, 2]
    assert sessions.seen == {"accepted": 2}


def test_every_new_connection_proves_itself_anew(published, backend):
    gw, server = published("EasKcdBackendReuse Off")
    gw.expect("EAS2052")
    backend.persistent = True
    assert_all_passed(get(gw), backend, 200)
    backend.proofs = missing
    assert_nothing_passed(get(gw), 502)


ERRORS = ["400 Bad Request", "403 Forbidden", "404 Not Found", "413 Content Too Large",
          "449 Retry After Provision", "500 Internal Server Error", "503 Service Unavailable",
          "507 Insufficient Storage"]


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("override", ["Off", "On"])
def test_errors_without_a_proof(published, backend, status, override):
    """The status passes, and when to come again; nothing that could be anybody else's."""
    gw, _ = published(f"ProxyErrorOverride {override}")
    backend.status, backend.proofs = status, missing
    for _ in range(2):
        answer = get(gw)
        assert_nothing_passed(answer, int(status[:3]))
        assert override == "On" or answer.header("Retry-After") == "77"
    if override == "On":
        return      # httpd itself takes the answer's place
    stripped = [entry for entry in gw.error_log.entries() if entry.tag == "EAS2055"]
    assert [entry.level for entry in stripped] == ["info"] * 2
    assert all(entry.text.endswith(f" (user alice@{REALM}, service {CAS1})") for entry in stripped)


@pytest.mark.parametrize("status", ERRORS)
def test_errors_with_a_proof(published, backend, status):
    gw, server = published()
    backend.status = status
    for _ in range(2):
        answer = get(gw)
        assert_all_passed(answer, backend, int(status[:3]))
        assert answer.header("Retry-After") == "77"
    assert "EAS2055" not in gw.error_log.tags()
    assert server.connections == 1


@pytest.mark.parametrize("status", ERRORS)
def test_errors_without_a_proof_where_optional(published, backend, status):
    gw, _ = published("EasKcdMutualAuth optional")
    backend.status, backend.proofs = status, missing
    assert_all_passed(get(gw), backend, int(status[:3]))


def test_an_error_proves_a_connection_only_with_a_proof(published, backend):
    gw, _ = published()
    gw.expect("EAS2052")
    backend.status, backend.proofs = "404 Not Found", missing
    assert_nothing_passed(get(gw), 404)
    backend.status = "200 OK"
    assert_nothing_passed(get(gw), 502)


# --- answers to nobody's question ------------------------------------------------------------

def test_answers_before_any_request(gateway, fake_backends, keeper, backend):
    """Whatever was there before the token left cannot be its answer."""
    gw = gateway(location(fake_backends(
        backend, proves=False, greeting=response("200 OK", TELLING, backend.body)).url))
    gw.expect("EAS2052")
    for user in ("alice", "bob"):
        assert_nothing_passed(get(gw, user), 502)


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_interim_answers(published, keeper, mode):
    """103 comes before the proof; what it says is not the client's business (it is passed by a way
    of httpd's that no filter sees)."""
    interim = f"HTTP/1.1 103 Early Hints\r\nX-Canary: {CANARY}\r\n\r\n".encode()
    gw, server = published(f"EasKcdMutualAuth {mode}")
    server.script = lambda request: interim + response(
        "200 OK", [("WWW-Authenticate", keeper.proof(request))], b"final")
    with connect(gw.port) as client:
        client.sendall(f"GET /eas HTTP/1.1\r\nHost: {GATEWAY}\r\nConnection: close\r\n"
                       f"Authorization: {basic('alice', PASSWORDS['alice'])}\r\n\r\n".encode())
        seen = b"".join(iter(lambda: client.recv(65536), b""))
    assert b"HTTP/1.1 200 OK" in seen and seen.endswith(b"final")
    assert CANARY.encode() not in seen


@both_tokens
def test_a_real_acceptor_proves_itself(gateway, backends, authority):
    """mod_auth_gssapi, per request and bound to the connection, plain and TLS, 200 and errors."""
    for bound in (False, True):
        for tls in (False, True):
            cas1 = backends("cas1", tls=tls, connection_bound=bound)
            gw = gateway(trusting(authority) + location(cas1.url), processes=1)
            for status in (200, 404, 200, 500):
                for user in ("alice", "bob"):
                    assert ask(gw, f"/eas?status={status}", user).status == status
            assert not {"EAS2052", "EAS2053", "EAS2055"} & set(gw.error_log.tags())


def test_balancer_member_without_a_proof_is_not_blamed(gateway, fake_backends, backend, backends):
    """502 is what the client gets; the other member is asked next because it is its turn."""
    backend.proofs = missing
    bad, good = fake_backends(backend, proves=False), backends("cas2")
    gw = gateway(f"""
<Proxy "balancer://cas">
    BalancerMember "{bad.url}" retry=600
    BalancerMember "{good.url}" retry=600
</Proxy>
""" + location("balancer://cas"), processes=1)
    gw.expect("EAS2052")
    statuses = [ask(gw, "/eas", "alice").status for _ in range(8)]
    assert statuses.count(502) == 4 and statuses.count(200) == 4


@both_tokens
def test_proof_over_many_requests(gateway, fake_backends, keeper, backend):
    """Sequence numbers, subkeys and clocks: a thousand proofs, and none is misjudged."""
    gw = gateway(location(fake_backends(backend, proves=False).url), processes=1)
    with gw.client() as client:
        for _ in range(1000):
            try:
                assert client.get("/eas", "alice", PASSWORDS["alice"]).status == 200
            except http.client.RemoteDisconnected:
                pytest.fail("the gateway hung up")
