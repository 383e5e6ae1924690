# SPDX-License-Identifier: Apache-2.0
"""The backend's key changes: a stale ticket is renewed, and the request repeated, body and all."""

import hashlib
import os
import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ad import CAS1, PASSWORDS
from lab.backend import GssBackend
from lab.client import basic, connect
from lab.exchange import ask, both_tokens, location
from lab.fake_backend import always_401, response
from lab.gateway import MODULES
from lab.kerberos import Acceptor
from lab.names import GATEWAY
from lab.sanitizer import moves_clock
from lab.simulated import PerRequest, echo
from lab.unique import unique_number
from lab.wait import until

LIMIT = 131072      # EasKcdRetryBody's default
USERS = [f"user{n:02}" for n in range(1, 11)]
CANARY = [("X-Canary", "first"), ("Set-Cookie", "canary=first"), ("Content-Language", "tlh"),
          ("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", "NTLM")]


class Service:
    """A service whose key can change, and its acceptor, which knows only the newest key."""

    def __init__(self, domain, directory):
        self.domain, self.number = domain, unique_number()
        self.account = f"rotating{self.number}"
        self.spn = f"HTTP/{self.account}.corp.example.test"
        self.keytab = directory / f"{self.account}.keytab"
        domain.add_service(self.account, self.spn)
        domain.allow_delegation("gateway", [self.spn])
        self._take_keys()

    def rotate(self):
        """The old key is gone at once, at the KDC as at the backend."""
        self.domain.rotate_key(self.account)
        self._take_keys()

    def _take_keys(self):
        new = self.keytab.with_suffix(f".{unique_number()}")
        self.domain.export_keytab(new, [self.spn])
        new.chmod(0o644)
        new.replace(self.keytab)
        self.acceptor = Acceptor(self.keytab)


@pytest.fixture(scope="module")
def service(domain, lab_dir):
    return Service(domain, lab_dir)


class Backend(PerRequest):
    """Accepts what the service's newest key opens; its 401s say more than they should."""

    def __init__(self, service):
        super().__init__(service.acceptor)
        self.service = service
        self.refusals = 0

    def __call__(self, request):
        self.acceptor = self.service.acceptor
        accepted = self.accept(request)
        if accepted is None:
            self.refusals += 1
            return response("401 Unauthorized", CANARY, b"who are you?")
        return echo(request, accepted.user, accepted.www_authenticate)


@pytest.fixture
def stale(gateway, fake_backends, service, relay):
    """stale(*lines): (gateway, backend) where the gateway's ticket for alice has become useless.
    The relay counts from there on."""
    def start(*lines, users=("alice",), rotate=True, **options):
        server = fake_backends(Backend(service), proves=False)
        options.setdefault("processes", 1)
        gw = gateway(location(server.url, f"EasKcdSPN {service.spn}", *lines),
                     krb5_conf=relay.krb5_conf, **options)
        for user in users:
            assert ask(gw, "/eas", user).status == 200
        if rotate:
            service.rotate()
        relay.reset()
        server.requests.clear()
        return gw, server
    return start


def some(size):
    return random.Random(size).randbytes(size)


def assert_repeated(gw, server, answer, body=b"", times=1):
    """Served at the second attempt, and nothing of the first is seen."""
    assert answer.status == 200
    echo = answer.json()
    assert (echo["body_length"], echo["body_sha1"]) == (len(body), hashlib.sha1(body).hexdigest())
    for name, _ in CANARY:
        assert answer.header(name) is None, name
    assert gw.error_log.tags().count("EAS2056") == times
    first, second = server.requests
    assert first.connection != second.connection
    assert first.authorization != second.authorization
    assert first.line == second.line and second.body == body


def tickets(relay):
    return relay.counts["TGS-REQ/s4u2proxy"]


# --- once ------------------------------------------------------------------------------------

@both_tokens
@pytest.mark.parametrize("override", ["Off", "On"])
def test_get(stale, relay, override):
    gw, server = stale(f"ProxyErrorOverride {override}")
    assert_repeated(gw, server, ask(gw, "/eas", "alice"))
    assert tickets(relay) == 1
    assert [e.level for e in gw.error_log.entries() if e.tag == "EAS2056"][0] in ("info", "notice")
    for _ in range(3):      # the new ticket stays
        assert ask(gw, "/eas", "alice").status == 200
    assert tickets(relay) == 1 and server.script.refusals == 1


@pytest.mark.smoke
def test_head(stale):
    gw, server = stale()
    assert ask(gw, "/eas", "alice", "HEAD").status == 200
    assert [request.line.split(" ")[0] for request in server.requests] == ["HEAD", "HEAD"]


SIZES = [0, 1, 1000, 8192, 16384, 65536, LIMIT - 1, LIMIT]
FRAMINGS = {"Content-Length": [], "chunked": [("Transfer-Encoding", "chunked")],
            "Expect": [("Expect", "100-continue")],
            "chunked, Expect": [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]}


@both_tokens
@pytest.mark.parametrize("framing", FRAMINGS)
def test_body(stale, relay, framing):
    """Each size is another user's, whose ticket is stale."""
    gw, server = stale(users=USERS[:len(SIZES)])
    for size, user in zip(SIZES, USERS):
        gw.mark()
        relay.reset()
        server.requests.clear()
        answer = ask(gw, "/eas", user, "POST", FRAMINGS[framing], some(size))
        assert_repeated(gw, server, answer, some(size))
        assert tickets(relay) == 1


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
def test_body_that_comes_slowly(stale, framing):
    """Pieces of a body, with pauses between them, are the same body."""
    gw, server = stale()
    body = some(40_000)
    how = f"Content-Length: {len(body)}" if framing == "Content-Length" else (
        "Transfer-Encoding: chunked")
    with connect(gw.port) as client:
        client.sendall(f"POST /eas HTTP/1.1\r\nHost: {GATEWAY}\r\nConnection: close\r\n"
                       f"Authorization: {basic('alice', PASSWORDS['alice'])}\r\n{how}\r\n\r\n"
                       .encode())
        for at in range(0, len(body), 10_000):
            time.sleep(0.05)
            piece = body[at:at + 10_000]
            client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
        if framing == "chunked":
            client.sendall(b"0\r\n\r\n")
        seen = b"".join(iter(lambda: client.recv(65536), b""))
    assert seen.startswith(b"HTTP/1.1 200 ")
    assert [request.body for request in server.requests] == [body, body]


def test_refusal_before_the_body(stale):
    """The backend says 401 when it has seen the head, and then takes the body without a word."""
    gw, server = stale()
    backend, refused = server.script, set()

    def early(head):
        backend.acceptor = backend.service.acceptor
        if backend.accept(head) is not None:
            return b""
        refused.add(head.authorization)
        return response("401 Unauthorized", CANARY)

    server.early = early
    server.script = lambda request: (b"" if request.authorization in refused
                                     else backend(request))
    for size in (LIMIT, 100):
        answer = ask(gw, "/eas", "alice", "POST", body=some(size))
        assert answer.status == 200
        assert answer.json()["body_sha1"] == hashlib.sha1(some(size)).hexdigest()
    assert len(refused) == 1


def test_http2(stale, authority, tmp_path):
    gw, server = stale(modules=(*MODULES, "http2"))
    gw.stop()
    gw.conf_file.write_text("Protocols h2 http/1.1\n" + gw.conf_file.read_text())
    body = tmp_path / "body"
    body.write_bytes(some(100_000))
    gw.start()
    server.requests.clear()
    gw.get("/eas", "alice", PASSWORDS["alice"])
    server.script.service.rotate()
    server.requests.clear()
    done = subprocess.run(
        ["curl", "--silent", "--http2", "--cacert", authority.ca_file, "--resolve",
         f"{GATEWAY}:{gw.port}:127.0.0.1", "--data-binary", f"@{body}", "--user",
         f"alice:{PASSWORDS['alice']}", "--write-out", "%{http_code} %{http_version}", "--output",
         tmp_path / "answer", f"https://{GATEWAY}:{gw.port}/eas"],
        text=True, timeout=30, stdout=subprocess.PIPE)
    assert done.stdout == "200 2"
    assert [request.body for request in server.requests] == [some(100_000)] * 2


# --- the limit -------------------------------------------------------------------------------

@pytest.mark.parametrize("size, lines", [(LIMIT + 1, ()), (1_000_000, ()),
                                         (11, ("EasKcdRetryBody 10",)),
                                         (1, ("EasKcdRetryBody 0",))])
def test_longer_bodies_stream_once(stale, relay, size, lines):
    """Each framing is another user's, whose ticket is stale."""
    gw, server = stale(*lines, users=USERS[:len(FRAMINGS)])
    gw.expect("EAS2063")
    for headers, user in zip(FRAMINGS.values(), USERS):
        relay.reset()
        server.requests.clear()
        answer = ask(gw, "/eas", user, "POST", headers, some(size))
        assert answer.status == 503 and answer.header("Retry-After") == "30"
        assert answer.header("X-Canary") is None and answer.header("WWW-Authenticate") is None
        assert [request.body for request in server.requests] == [some(size)]
        # But the ticket is gone, and the next request has a new one.
        for _ in range(8):
            answer = ask(gw, "/eas", user, "POST", headers, some(size))
            assert answer.json()["body_sha1"] == hashlib.sha1(some(size)).hexdigest()
        assert tickets(relay) == 1
    assert gw.error_log.tags().count("EAS2056") == 0
    assert server.script.refusals == len(FRAMINGS)


@pytest.mark.parametrize("size, repeated", [(10, True), (11, False)])
def test_limit_can_be_set(stale, size, repeated):
    gw, server = stale("EasKcdRetryBody 10")
    if not repeated:
        gw.expect("EAS2063")
    answer = ask(gw, "/eas", "alice", "POST", body=some(size))
    assert answer.status == (200 if repeated else 503)
    assert len(server.requests) == (2 if repeated else 1)


def test_long_bodies_arrive_whole_with_a_good_ticket(gateway, fake_backends, service):
    server = fake_backends(Backend(service), proves=False)
    gw = gateway(location(server.url, f"EasKcdSPN {service.spn}"), processes=1)
    for framing in FRAMINGS.values():
        for size in (LIMIT, LIMIT + 1, 3_000_000):
            answer = ask(gw, "/eas", "alice", "POST", framing, some(size))
            assert answer.json()["body_sha1"] == hashlib.sha1(some(size)).hexdigest()
    assert len(server.requests) == 12


# --- never a storm ---------------------------------------------------------------------------

@moves_clock
@pytest.mark.parametrize("override", ["Off", "On"])
def test_always_401(gateway, fake_backends, relay, override):
    """At most one new ticket for a user in a minute."""
    backend = fake_backends(always_401)
    gw = gateway(location(backend.url, f"ProxyErrorOverride {override}"), processes=1,
                 krb5_conf=relay.krb5_conf, clock=True)
    gw.expect("EAS2063")

    def trouble(user):
        answer = ask(gw, "/eas", user)
        return (answer.status, answer.header("Retry-After"), answer.header("WWW-Authenticate"))

    for user in ("alice", "bob"):
        relay.reset()
        assert [trouble(user) for _ in range(10)] == [(503, "30", None)] * 10
        assert tickets(relay) == 2
    assert len(backend.requests) == 2 * (2 + 9)
    assert gw.error_log.tags().count("EAS2056") == 2
    assert gw.error_log.tags().count("EAS2063") == 20
    assert len({request.connection for request in backend.requests}) == len(backend.requests)
    gw.set_clock("+61s")
    relay.reset()
    assert [trouble("alice") for _ in range(5)] == [(503, "30", None)] * 5
    assert tickets(relay) == 1


def test_storm(gateway, fake_backends, relay):
    """Ten users, with sixteen requests each at once."""
    backend = fake_backends(always_401)
    gw = gateway("EasKcdKdcTimeout 60s\n" + location(backend.url), processes=1,
                 krb5_conf=relay.krb5_conf)
    gw.expect("EAS2063")
    for user in USERS:
        assert ask(gw, "/eas", user).status == 503
    assert tickets(relay) == 2 * len(USERS)
    relay.reset()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda user: ask(gw, "/eas", user).status, USERS * 16))
    assert answers == [503] * 160
    assert relay.counts.total() == 0


@both_tokens
def test_many_requests_find_out_at_once(stale, relay):
    """All of them have the old ticket; one new one does for all."""
    gw, server = stale()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: ask(gw, "/eas", "alice", "POST", body=some(n * 100)),
                                range(64)))
    assert [answer.status for answer in answers] == [200] * 64
    assert [answer.json()["body_length"] for answer in answers] == [n * 100 for n in range(64)]
    assert tickets(relay) == 1


@pytest.mark.smoke
def test_other_users_keep_their_tickets(stale, relay, service):
    gw, server = stale(users=("alice", "bob"))
    for user in ("alice", "bob"):
        assert ask(gw, "/eas", user).status == 200
    assert tickets(relay) == 2
    assert server.script.refusals == 2


@both_tokens
def test_kdc_is_down_when_a_new_ticket_is_wanted(stale, relay):
    gw, server = stale()
    gw.expect("EAS2021")
    relay.refuse()
    for _ in range(2):
        answer = ask(gw, "/eas", "alice")
        assert answer.status == 503 and answer.header("Retry-After") == "30"
        assert answer.header("WWW-Authenticate") is None and answer.header("X-Canary") is None
    relay.relay()
    until(lambda: ask(gw, "/eas", "alice").status == 200, 40, "the KDC to be asked again")


def test_one_401_while_the_kdc_is_down(stale, relay):
    """It may concern this request alone. The ticket still serves all others."""
    gw, server = stale(rotate=False)
    gw.expect("EAS2021")
    script = server.script
    server.script = lambda request: (always_401(request) if request.path == "/closed"
                                     else script(request))
    relay.refuse()
    assert ask(gw, "/eas/closed", "alice").status == 503
    for _ in range(3):
        assert ask(gw, "/eas", "alice").status == 200
    relay.relay()


# --- a 401 that is none of ours --------------------------------------------------------------

def test_without_a_user_nothing_is_repeated(gateway, fake_backends):
    backend = fake_backends(always_401)
    gw = gateway(location(backend.url, require="Require all granted"), processes=1)
    assert gw.post("/eas", b"hello").status == 401
    assert len(backend.requests) == 1
    assert "EAS2056" not in gw.error_log.tags()


# --- a fresh authenticator for every write ---------------------------------------------------

@both_tokens
def test_replay_cache(gateway, fake_backends, domain, lab_dir):
    """The backend remembers every authenticator."""
    keytab = domain.export_keytab(lab_dir / "once-only.keytab", [CAS1])
    script = PerRequest(Acceptor(keytab, f"file2:{lab_dir}/replay.rcache"))
    backend = fake_backends(script, proves=False)
    gw = gateway(location(backend.url), processes=2)

    def work(_):
        with gw.client() as client:
            return [ask(client, "/eas", "alice").status for _ in range(100)]

    with ThreadPoolExecutor(16) as pool:
        assert {status for result in pool.map(work, range(16)) for status in result} == {200}
    assert script.seen == {"accepted": 1600}
    with pytest.raises(Exception, match="replay"):
        script.acceptor.accept(backend.requests[0].authorization)


@both_tokens
def test_ping(gateway, fake_backends, domain, lab_dir):
    """mod_proxy sends the head alone, waits for 100, and sends the body: one token for both."""
    keytab = domain.export_keytab(lab_dir / "pinged.keytab", [CAS1])
    script = PerRequest(Acceptor(keytab, f"file2:{lab_dir}/pinged.rcache"))
    heads = []

    def early(head):
        heads.append(head.authorization)
        return b"HTTP/1.1 100 Continue\r\n\r\n" if head.all("Expect") else b""

    backend = fake_backends(script, proves=False, early=early)
    gw = gateway(location(backend.url, parameters="ping=5"), processes=1)
    with gw.client() as client:
        for n in range(5):
            assert ask(client, "/eas", "alice", "POST", body=some(n)).json()["body_length"] == n
    assert len(set(heads)) == len(heads) == 5
    assert "refused" not in script.seen


class Pinged(PerRequest):
    """Keeps its connections. A head that awaits 100 on one of *hangs* or *silent* gets none."""

    def __init__(self, acceptor):
        super().__init__(acceptor)
        self.hangs, self.silent, self.heads = (), (), []
        self.end = threading.Event()

    def early(self, head):
        self.heads.append(head.connection)
        if head.all("Expect") and head.connection in self.silent:
            self.end.wait()
        if head.all("Expect") and head.connection in {*self.hangs, *self.silent}:
            return None
        return b""


@pytest.fixture
def pinged(fake_backends, acceptor):
    script = Pinged(acceptor)
    yield fake_backends(script, proves=False, early=script.early)
    script.end.set()


@pytest.mark.parametrize("size", [100, LIMIT + 1])
@pytest.mark.parametrize("how", ["hangs", "silent"])
def test_kept_connection_that_gives_no_100(gateway, pinged, how, size):
    """The backend has no body, so that the request goes to a new connection, whatever its method."""
    gw = gateway(location(pinged.url, parameters="ping=1"), processes=1)
    gw.allow("AH01102", "AH00898", because="mod_proxy complains, too")
    setattr(pinged.script, how, (1,))
    with gw.client() as client:
        assert ask(client, "/eas", "alice").status == 200
        answer = ask(client, "/eas", "alice", "POST", body=some(size))
        assert answer.json()["body_sha1"] == hashlib.sha1(some(size)).hexdigest()
    assert [request.connection for request in pinged.requests] == [1, 2]
    assert pinged.script.heads == [1, 1, 2]


def test_body_that_has_left_is_not_repeated(gateway, pinged, acceptor):
    """After the 100, the backend may have executed the request."""
    gw = gateway(location(pinged.url, parameters="ping=1"), processes=1)
    gw.allow("AH01102", "AH00898", because="mod_proxy complains, too")
    gw.expect("EAS2057")
    with gw.client() as client:
        assert ask(client, "/eas", "alice").status == 200
        pinged.script = lambda _: None
        assert ask(client, "/eas", "alice", "POST", body=some(100)).status == 503
    assert [request.connection for request in pinged.requests] == [1, 1]


def test_backend_that_never_gives_100(gateway, pinged):
    gw = gateway(location(pinged.url, parameters="ping=1"), processes=1)
    gw.allow("AH01102", "AH00898", because="mod_proxy complains, too")
    gw.expect("EAS2111")
    pinged.script.silent = range(1, 100)
    answer = ask(gw, "/eas", "alice", "POST", body=some(100))
    assert answer.status == 503 and answer.header("Retry-After") == "30"
    line, = [entry for entry in gw.error_log.entries() if entry.tag == "EAS2111"]
    assert f"{pinged.url} does not answer Expect: 100-continue" in line.text
    assert pinged.requests == [] and pinged.script.heads == [1]
    assert ask(gw, "/eas", "alice").status == 200, "without a body there is no test"


def beside(pinged, good, retry):
    """The two as members of a balancer; the one with ping= has its turn first."""
    return f'''<Proxy "balancer://cas">
    BalancerMember "{pinged.url}" ping=1 retry={retry} lbset=0
    BalancerMember "{good.url}" retry=600 lbset=1
</Proxy>
''' + location("balancer://cas")


def test_other_member_gets_a_long_body(gateway, pinged, fake_backends, acceptor):
    """It is in mod_proxy's hands still, although the kept part of it has left the module."""
    good = fake_backends(PerRequest(acceptor), proves=False)
    gw = gateway(beside(pinged, good, 600), processes=1)
    gw.expect("EAS2111", "AH01102", "AH00898")
    pinged.script.silent = range(1, 100)
    size = LIMIT + 100_000
    with gw.client() as client:
        answer = ask(client, "/eas", "alice", "POST", body=some(size))
        assert answer.status == 200 and answer.header("Retry-After") is None
        assert answer.json()["body_sha1"] == hashlib.sha1(some(size)).hexdigest()
        connection = client.socket
        assert ask(client, "/eas", "alice").status == 200, "nothing follows the answer"
        assert client.socket is connection
    assert pinged.requests == [] and len(good.requests) == 2
    first = until(gw.requests, 5, "the log")[0]
    assert (first["status"], first["EAS_KCD_ERROR"]) == ("200", "-")


def test_body_that_the_other_member_has_is_not_repeated(gateway, pinged, fake_backends, acceptor):
    """mod_proxy's note of ping= is of the first member; the other one gets a body at once."""
    good = fake_backends(PerRequest(acceptor), proves=False)
    gw = gateway(beside(pinged, good, 1), processes=1)
    gw.expect("EAS2057", "EAS2111", "AH01102", "AH00898")
    pinged.script.silent = range(1, 100)
    with gw.client() as client:
        assert ask(client, "/eas", "alice", "POST", body=some(100)).status == 200
        until(lambda: ask(client, "/eas", "alice").status == 200 and pinged.requests, 10,
              "the first member to be tried again")
        good.requests.clear()
        good.script = lambda _: None
        assert ask(client, "/eas", "alice", "POST", body=some(100)).status == 503
    request, = good.requests
    assert request.connection == 1 and request.body == some(100)
    assert "EAS2057" in gw.error_log.tags()


# --- under load ------------------------------------------------------------------------------

@both_tokens
def test_rotation_under_load(gateway, domain, lab_dir, service):
    """A real acceptor loses its old key while ten users post: nobody notices anything."""
    backend = GssBackend(lab_dir / f"rotating-{unique_number()}", service.keytab, domain.krb5_conf,
                         name="cas1.corp.example.test")
    backend.start()
    stop = threading.Event()
    try:
        gw = gateway("EasKcdKdcTimeout 60s\n" + location(backend.url, f"EasKcdSPN {service.spn}"),
                     threads=40)

        def work(user):
            done = 0
            with gw.client() as client:
                while not stop.is_set():
                    body = os.urandom(random.choice((0, 10, 5000, 60_000, LIMIT)))
                    answer = ask(client, "/eas", user, "POST", body=body)
                    assert answer.status == 200
                    assert answer.json()["body_sha1"] == hashlib.sha1(body).hexdigest()
                    done += 1
            return done

        with ThreadPoolExecutor(len(USERS)) as pool:
            # Both children know everybody before the key changes.
            list(pool.map(lambda user: [ask(gw, "/eas", user) for _ in range(8)], USERS))
            running = [pool.submit(work, user) for user in USERS]
            try:
                until(lambda: len(backend.requests()) > 300, 30, "the load to begin")
                service.rotate()
                until(lambda: gw.error_log.tags().count("EAS2056") >= len(USERS), 15,
                      "everybody to be refused once")
                at = len(backend.requests())
                until(lambda: len(backend.requests()) > at + 300, 30, "the load to go on")
            finally:
                stop.set()
            assert sum(result.result() for result in running) > 300
    finally:
        backend.stop()
