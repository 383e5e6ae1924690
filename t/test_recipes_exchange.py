# SPDX-License-Identifier: Apache-2.0
"""Recipes for protocols of Exchange beside ActiveSync, in the README's configuration of a host.

EAS_T_MAPI_WAIT=SECONDS   how long the backend of MAPI/HTTP lets a NotificationWait wait
"""

import os
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from lab.ad import CAS1, PASSWORDS, REALM
from lab.challenge import CHALLENGE
from lab.client import Client
from lab.examples import BLOCKS, block_with
from lab.fake_backend import response
from lab.frontdoor import BROWSER, COOKIE, PHONE
from lab.kerberos import Acceptor
from lab.unique import unique_number
from lab.wait import free_port, until

EAS, EWS, MAPI = "/Microsoft-Server-ActiveSync", "/EWS/Exchange.asmx", "/mapi/emsmdb/"
DENIED = block_with("mrsproxy").partition("    # Exchange serves this one")[2]
WAIT = float(os.environ.get("EAS_T_MAPI_WAIT", "1.8"))
BEARER = block_with("m#^Bearer")
ASKS = block_with("authorization_uri")
JSON = block_with("RedirectCount")
NOTIFICATIONS = block_with("ev\\.owa2?)$\">")
DOWNLOADS = block_with("GetFileAttachment")
MAPI_LINES = block_with("(mapi/(emsmdb|nspi)/?)$")


class Exchange:
    """A backend that knows its users: by a ticket of theirs, or by a token of Microsoft's."""

    def __init__(self, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        self.seen: list[tuple[int, str, object]] = []
        self.protects: dict[str, str] = {}      # by the first name of the path, in small letters
        self.script = lambda request, user: None

    def __call__(self, request):
        headers, user = [], request.authorization or "nobody"
        if user.startswith("Negotiate "):
            protection = self.protects.get(request.path.split("/")[1].lower(), "none")
            accepted = self.acceptor.accept(user, request.binding if protection != "none" else None)
            if protection == "require" and not accepted.bound:
                return response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])
            user, headers = accepted.user, [("WWW-Authenticate", accepted.www_authenticate)]
        self.seen.append((request.connection, user, request))
        special = self.script(request, user)
        if isinstance(special, list):
            return pieces(headers, special)
        return special if special is not None else response("200 OK", headers, user.encode())


def pieces(headers, steps):
    """An answer in chunks; an event is waited for before the next one."""
    yield response("200 OK", [*headers, ("Transfer-Encoding", "chunked")]).replace(
        b"Content-Length: 0\r\n", b"")
    for step in steps:
        if isinstance(step, bytes):
            yield b"%x\r\n%s\r\n" % (len(step), step)
        else:
            assert step.wait(20)
    yield b"0\r\n\r\n"


def session_of(c, user):
    """The cookie of a log-on by the form."""
    page = c.get("/eas-kcd/login", headers=BROWSER)
    cookie = page.header("Set-Cookie").partition(";")[0]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.body.decode()))
    fields |= {"username": user, "password": PASSWORDS[user], "trust": "public"}
    done = c.post("/eas-kcd/login", urlencode(fields).encode(), headers=[
        *BROWSER, ("Cookie", cookie), ("Content-Type", "application/x-www-form-urlencoded")])
    session, = (line.partition(";")[0] for line in done.all("Set-Cookie")
                if line.startswith(COOKIE + "="))
    return ("Cookie", session)


@pytest.fixture
def host(example, domain, authority, fake_backends, lab_dir):
    """host(recipe, …): the gateway, a client's maker, and Exchange."""
    def start(*recipes: str, instead: str | None = None, end: str = "",
              more: dict[str, str] = {}):
        keytab = domain.export_keytab(lab_dir / f"cas1-{unique_number()}.keytab", [CAS1])
        exchange = Exchange(Acceptor(keytab))
        backend = fake_backends(exchange, tls=True, proves=False)
        port = free_port()
        block = block_with("mrsproxy")
        if instead is not None:
            block = block.replace(DENIED, f"\n{instead}</VirtualHost>\n")
        place = "    # Signing out of OWA"
        assert place in block
        block = block.replace(place, "".join(recipes) + place)
        block = block.rstrip().removesuffix("</VirtualHost>") + end + "</VirtualHost>\n"
        gw = example(f"Listen 127.0.0.1:{port}\n{block}", more={
            "*:443": f"127.0.0.1:{port}", "https://cas1.corp.example.com": backend.url} | more)
        gw.start()
        return gw, lambda: Client(port, tls=True, ca_file=authority.ca_file, timeout=WAIT + 30), exchange
    return start


def bearer(name: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer eyJ0eXAi.{name}_~+/-.c2ln==")


# --- Bearer ------------------------------------------------------------------------------------

def test_bearer_passes_beside_passwords(host):
    _, client, exchange = host(BEARER)
    with client() as c:
        for path in (EAS, EWS, "/Autodiscover/Autodiscover.xml"):
            sent = bearer("alice")
            answer = c.get(path, headers=[*PHONE, sent, ("Cookie", f"{COOKIE}=x; MapiContext=1")])
            assert (answer.status, answer.body) == (200, sent[1].encode())
            assert exchange.seen[-1][2].all("Cookie") == ["MapiContext=1"]
            assert c.get(path, "bob", PASSWORDS["bob"], PHONE).body == f"bob@{REALM}".encode()


def test_session_does_not_meet_a_token(host):
    """In one request of a browser that is signed in: Exchange sees the token alone."""
    _, client, exchange = host(BEARER)
    with client() as c:
        both = [*PHONE, session_of(c, "alice")]
        assert c.get(EWS, headers=both).body == f"alice@{REALM}".encode()
        sent = bearer("bob")
        assert c.get(EWS, headers=[*both, sent]).body == sent[1].encode()
        assert exchange.seen[-1][2].all("Cookie") == []
        assert c.get(EWS, headers=both).body == f"alice@{REALM}".encode()
    assert exchange.seen[-2][0] not in (exchange.seen[-1][0], exchange.seen[-3][0])


@pytest.mark.parametrize("path, headers", [
    (EWS, [bearer("alice")]), (EAS, [bearer("alice")]),
    ("/EWS/mrsproxy.svc", []), ("/Autodiscover/autodiscover.svc", [("Authorization", "NTLM eA==")])])
def test_front_end_headers_beside_foreign_credentials(host, path, headers):
    """Where Exchange alone verifies a client, the client does not speak for Exchange's front end."""
    _, client, exchange = host(BEARER)
    claims = [("X-CommonAccessToken", "a"), ("X_IsFromCafe", "1"), ("X-BEResource", "b"),
              ("msExchLogonMailbox", "c"), ("X-Original-URL", "/ecp"), ("X-Forwarded-For", "6.6.6.6"),
              ("Cookie", "a=b; X-BEResource=evil; X-BackEndCookie=c")]
    with client() as c:
        answer = c.get(path, headers=[*PHONE, *headers, ("X-AnchorMailbox", "d"), *claims])
    assert answer.status == 200
    got = exchange.seen[-1][2]
    assert [name for name, _ in claims[:5] if got.all(name)] == []
    assert got.all("X-AnchorMailbox") == ["d"] and got.all("Cookie") == ["a=b; X-BackEndCookie=c"]
    assert "6.6.6.6" not in "".join(got.all("X-Forwarded-For"))
    assert got.all("Authorization") == [value for _, value in headers]


@pytest.mark.parametrize("values", [
    ["Bearer"], ["Bearer "], ["bearer x"], ["Bearer a b"], ["Bearer a, Basic YTpi"], ["Bearer a;b"],
    ["Bearer a\tb"], ["Bearer =a"], ["Bearer x", "Bearer y"], ["Bearer x", "Basic YTpi"],
    ["Basic YTpi", "Bearer x"], ["XBearer x"], ["Bearer\tx"], ["Bearer x\x80"]])
def test_what_is_no_token(host, values):
    """The gateway's own challenge, as without; the backend is not asked."""
    _, client, exchange = host(BEARER)
    with client() as c:
        answer = c.get(EWS, headers=[*PHONE, *(("Authorization", value) for value in values)])
    assert answer.status in (401, 400) and exchange.seen == []
    if answer.status == 401:
        assert answer.all("WWW-Authenticate") == [CHALLENGE]


def test_bearer_opens_no_other_path(host):
    """Neither what a section denies, nor what is not published, nor what people alone use."""
    gw, client, exchange = host(BEARER)
    gw.expect("AH01630")
    statuses = {"/autodiscover/autodiscover.json": 403, "/Autodiscover/autodiscover.json?@a/EWS": 403,
                "/autodiscover/autodiscover.xml/../autodiscover.json": 403, "/PowerShell": 404,
                "/owa/": 401, "/ecp/": 401, "/EWS/..%5cPowerShell/": 400,
                "/EWS/../owa/": 401, "/Autodiscover/autodiscover.xmlx": 401}
    with client() as c:
        for path, status in statuses.items():
            assert c.get(path, headers=[*PHONE, bearer("x")]).status == status, path
    assert exchange.seen == []


def test_outlook_is_told_where_tokens_are(host):
    """With our challenge, not with Exchange's, and on the paths of Outlook alone."""
    _, client, exchange = host(BEARER, ASKS)
    exchange.script = lambda request, user: response(
        "401 Unauthorized", [("WWW-Authenticate", 'Bearer error="invalid_token"')])
    with client() as c:
        asks, basic = c.get(EWS, headers=[*PHONE, ("Authorization", "Bearer")]).all("WWW-Authenticate")
        assert basic == CHALLENGE and asks.startswith('Bearer client_id="00000002-')
        assert c.get(EAS, headers=PHONE).all("WWW-Authenticate") == [CHALLENGE]
        assert c.get(EWS, headers=[*PHONE, bearer("old")]).all("WWW-Authenticate") == [
            'Bearer error="invalid_token"']


def test_nobody_gets_anothers_answer(host):
    """Tokens, passwords and a session at once; no backend connection has two of them."""
    gw, client, exchange = host(BEARER)
    people = [f"user{n:02}" for n in range(1, 9)]

    def ask(n: int) -> None:
        chance = random.Random(n)
        with client() as c:
            for _ in range(20):
                name = chance.choice(people)
                if chance.random() < 0.5:
                    expected = bearer(name)[1]
                    answer = c.get(EWS, headers=[*PHONE, bearer(name)])
                else:
                    expected = f"{name}@{REALM}"
                    answer = c.get(EWS, name, PASSWORDS[name], PHONE)
                assert (answer.status, answer.body) == (200, expected.encode())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(30)))
    users: dict[int, set[str]] = {}
    for connection, user, _ in exchange.seen:
        users.setdefault(connection, set()).add(re.sub(r"^Bearer.*", "Bearer", user))
    assert len(exchange.seen) == 600
    assert all(len(found) == 1 for found in users.values())
    assert {"Bearer"} in users.values() and len({frozenset(f) for f in users.values()}) == 9


# --- Autodiscover v2 ---------------------------------------------------------------------------

ASKED = "/autodiscover/autodiscover.json?"
EMAIL = "Email=alice.smith%40example.com"
SHAPES = [
    "", "@evil.test/owa/&Email=autodiscover/autodiscover.json%3f@evil.test",
    "a=a@evil.test/mapi/nspi/?&Email=autodiscover/autodiscover.json%3f@evil.test",
    EMAIL, f"{EMAIL}&Protocol=", f"{EMAIL}&Protocol=a%2fb", f"{EMAIL}&{EMAIL}&Protocol=EWS",
    f"{EMAIL}&Protocol=EWS&Protocol=EWS", f"{EMAIL}&Protocol=EWS&a=b", f"{EMAIL}&Protocol=EWS#",
    "Email=a@b@c&Protocol=EWS", "Email=a/b@c&Protocol=EWS", "Email=a%00@c&Protocol=EWS",
    f"Protocol=EWS&{EMAIL}/powershell", f"{EMAIL}&Protocol=EWS&RedirectCount=11",
    f"{EMAIL}%26Protocol=EWS", f"&{EMAIL}&Protocol=EWS"]


def test_autodiscover_v2(host):
    gw, client, exchange = host(instead=JSON)
    gw.expect("AH01630")
    good = [f"{EMAIL}&Protocol=ActiveSync", "Protocol=Autodiscoverv1&Email=a+b@example.com",
            f"{EMAIL}&Protocol=EWS&RedirectCount=1"]
    with client() as c:
        for query in good:
            answer = c.get(ASKED + query)
            assert (answer.status, answer.body) == (200, b"nobody"), query
        del exchange.seen[:]
        for query in SHAPES:
            assert c.get(ASKED + query).status in (400, 403), query
        for method in ("POST", "HEAD", "PUT", "OPTIONS"):
            assert c.request(method, ASKED + good[0], body=b"x").status in (403, 405), method
        for path in ("/v1.0/a@example.com", "/", "x", "/..%2f..%2fowa"):
            shape = f"/autodiscover/autodiscover.json{path}?{good[0]}"
            assert c.get(shape).status in (400, 403, 404), shape
        for name in ("alice", "bob"):       # credentials open nothing
            assert c.get(ASKED, name, PASSWORDS[name]).status == 403
    assert exchange.seen == []


# --- Extended Protection -----------------------------------------------------------------------

# As Exchange ships it since 2024.
SHIPPED = {"api": "require", "ecp": "require", "owa": "require", "mapi": "require", "rpc": "require",
           "ews": "allow", "microsoft-server-activesync": "allow", "oab": "allow",
           "autodiscover": "none", "powershell": "none"}
# Paths that neither the README nor a recipe publishes.
OTHERS = """
    ProxyPassMatch "(?i)^/((api|rpc|PowerShell)(/.*)?)$" "https://cas1.corp.example.com/$1" enablereuse=on
    <LocationMatch "(?i)^/(api|rpc|PowerShell)(/|$)">
        AuthType EasKcd
        AuthName "Mail"
        Require valid-user
        EasKcdDelegate On
    </LocationMatch>
"""
SERVED = (EAS, EWS, MAPI, "/owa/", "/ecp/", "/OAB/1/oab.xml", "/Autodiscover/Autodiscover.xml",
          "/api/v2.0/me", "/rpc/rpcproxy.dll", "/PowerShell/")


@pytest.mark.parametrize("line, refused", [("", ()), ("EasKcdChannelBinding Off",
                                                      ("/owa/", "/ecp/", MAPI, "/api/v2.0/me",
                                                       "/rpc/rpcproxy.dll"))])
def test_extended_protection_as_shipped(host, line, refused):
    """Each path is served; without channel binding, those that require it are not."""
    gw, client, exchange = host(MAPI_LINES, OTHERS, line and f"    {line}\n")
    if refused:
        gw.expect("EAS2063")
    exchange.protects = SHIPPED
    for path in SERVED:
        with client() as c:
            answer = c.get(path, "alice", PASSWORDS["alice"], PHONE)
        assert answer.status == (503 if path in refused else 200), path
    assert {request.path.split("/")[1].lower() for *_, request in exchange.seen} <= set(SHIPPED)


# --- MAPI/HTTP ---------------------------------------------------------------------------------

def call(client, kind: str, body: bytes = b"\0\1\xff"):
    return client.post(MAPI + "?MailboxId=a%40example.com", body, "alice", PASSWORDS["alice"],
                       [("Content-Type", "application/mapi-http"), ("X-RequestType", kind),
                        ("X-RequestId", "{C715155F}:1"), ("X-ClientInfo", "{2EF33C39}:1")])


@pytest.fixture
def outlook(host):
    def start(seconds: str = "2m"):
        return host(MAPI_LINES,
                    more={"EasKcdTimeout 2m": f"EasKcdTimeout {seconds}"})
    return start


def test_mapi_conversation(outlook):
    """The wait outlasts the time-out of the other requests, which ends Execute."""
    gw, client, exchange = outlook("1s")
    if WAIT < 10:
        gw.expect("AH01102", "AH00898")
    silence = threading.Event()

    def script(request, user):
        kind, = request.all("X-RequestType")
        if kind == "NotificationWait" or (kind == "Execute" and request.body == b"slow"):
            silence.wait(WAIT)
        return None
    exchange.script = script
    with client() as c:
        for kind in ("Connect", "Execute", "Disconnect"):
            assert call(c, kind).body == f"alice@{REALM}".encode()
    with client() as c, ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        wait = pool.submit(call, c, "NotificationWait")
        with client() as other:
            assert call(other, "Execute").status == 200
        if WAIT < 10:
            with client() as other:
                assert call(other, "Execute", b"slow").status == 502
        answer = wait.result()
        assert answer.body == f"alice@{REALM}".encode() and time.monotonic() - began >= WAIT


def test_mapi_body_after_a_stale_ticket(outlook):
    """Octet by octet, also where it is chunked."""
    _, client, exchange = outlook()
    body = random.Random(1).randbytes(60_000)
    refused = []

    def script(request, user):
        if request.body == body and not refused:
            refused.append(user)
            return response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])
        return None
    exchange.script = script
    with client() as c:
        assert call(c, "Execute", body).body == f"alice@{REALM}".encode()
    assert refused == [f"alice@{REALM}"]
    assert [request.body for *_, request in exchange.seen] == [body, body]


def test_mapi_paths(outlook):
    """Exactly two."""
    _, client, exchange = outlook()
    with client() as c:
        for path, status in {"/mapi/nspi": 200, "/MAPI/EMSMDB/": 200, "/mapi/": 404,
                             "/mapi/emsmdb/x": 404, "/mapi/other/": 404}.items():
            assert c.get(path, "alice", PASSWORDS["alice"], PHONE).status == status, path
        assert c.get("/mapi/nspi", headers=PHONE).status == 401


# --- notifications -----------------------------------------------------------------------------

EVENTS = b"<m:GetStreamingEvents><m:ConnectionTimeout>30</m:ConnectionTimeout></m:GetStreamingEvents>"
POLL = "/owa/ev.owa2?ns=PendingRequest&ev=PendingNotificationRequest&UA=0&cid=1"
SCRIPT = [*BROWSER, ("X-Requested-With", "XMLHttpRequest")]


@pytest.fixture
def notified(host):
    """(the gateway, a client's maker, Exchange, its two events): it streams what says so."""
    gw, client, exchange = host(NOTIFICATIONS, more={"timeout=300": "timeout=1"})
    happens = [threading.Event(), threading.Event()]
    exchange.script = lambda request, user: [
        user.encode(), happens[0], b"one", happens[1], b"two"] \
        if request.body == EVENTS or request.path == POLL else None
    yield gw, client, exchange, happens
    for event in happens:
        event.set()


def streams(c, happens, user):
    """Each piece comes when it happens, also after a silence that ends other requests."""
    answer = c.begin()
    assert (answer.status, answer.read1()) == (200, f"{user}@{REALM}".encode())
    for event, piece in zip(happens, (b"one", b"two")):
        began = time.monotonic()
        until(lambda: time.monotonic() - began > WAIT, WAIT + 5, "silence")
        event.set()
        assert answer.read1() == piece
    assert answer.read() == b""


def test_ews_streams(notified):
    _, client, exchange, happens = notified
    with client() as c:
        c.send("POST", EWS, "alice", PASSWORDS["alice"], [("Content-Type", "text/xml")], EVENTS)
        streams(c, happens, "alice")
        assert c.post(EWS, b"<next/>", "alice", PASSWORDS["alice"]).body == f"alice@{REALM}".encode()


def test_owa_polls(notified):
    """A page's other requests, and other users, do not wait for its poll."""
    _, client, exchange, happens = notified
    with client() as c, client() as other:
        alice, bob = session_of(c, "alice"), session_of(other, "bob")
        c.send("GET", POLL, headers=[*SCRIPT, alice])
        with ThreadPoolExecutor(1) as pool:
            streamed = pool.submit(streams, c, happens, "alice")
            for user, session in (("alice", alice), ("bob", bob)) * 2:
                assert other.get("/owa/x", headers=[*SCRIPT, session]).body == f"{user}@{REALM}".encode()
            streamed.result()
    polls = {connection for connection, _, request in exchange.seen if request.path == POLL}
    assert polls and not polls & {connection for connection, user, _ in exchange.seen
                                  if user != f"alice@{REALM}"}


def test_owa_poll_after_the_sign_out(notified):
    """The poll under way goes on, and the next one shows OWA that the session is over."""
    gw, client, _, happens = notified
    gw.allow("EAS1061", because="the next poll has a session that is over")
    with client() as c, client() as other:
        alice = session_of(c, "alice")
        c.send("GET", POLL, headers=[*SCRIPT, alice])
        answer = c.begin()
        assert answer.read1() == f"alice@{REALM}".encode()
        assert other.post("/eas-kcd/logout", b"", headers=[*BROWSER, alice]).status == 303
        for event in happens:
            event.set()
        assert answer.read() == b"onetwo"
        assert other.get(POLL, headers=[*SCRIPT, alice]).status == 440


def test_others_have_no_such_patience(notified):
    gw, client, exchange, _ = notified
    gw.expect("AH01102", "AH00898")
    silence = threading.Event()
    exchange.script = lambda request, user: silence.wait(WAIT) or None
    with client() as c:
        assert c.get("/OAB/x", "alice", PASSWORDS["alice"], PHONE).status == 502


# --- OWA's download domain ---------------------------------------------------------------------

HOST = "attachments.example.com"
FILE = "/owa/alice%40example.com/service.svc/s/GetFileAttachment"
TOKEN = "id=AAMk%2BpQ%3D&X-OWA-CANARY=Bo51.&token=eyJ0eXAi.eyJ2ZXIi.c2ln_-"


@pytest.fixture
def downloads(example, authority, fake_backends):
    """(the gateway, get(path, …), Exchange)."""
    exchange = Exchange(None)
    backend = fake_backends(exchange, tls=authority.certificate(HOST), proves=False)
    port = free_port()
    gw = example(f"Listen 127.0.0.1:{port}\n{DOWNLOADS}", more={
        "*:443": f"127.0.0.1:{port}", "https://cas1.corp.example.com": backend.url})
    gw.start()

    def get(path, *headers, method="GET"):
        with Client(port, tls=True, ca_file=authority.ca_file) as c:
            return c.request(method, path, headers=[("Host", HOST), *headers]).status
    return gw, get, exchange


def test_downloads(downloads, lab_dir):
    """As the browser sends it, without a user; credentials do not pass, and no log has a token."""
    gw, get, exchange = downloads
    for path in (f"{FILE}?{TOKEN}", f"{FILE.replace('FileAttachment', 'AttachmentThumbnail')}?{TOKEN}",
                 f"{FILE.upper()}?{TOKEN}"):
        assert get(path, ("Cookie", "a=b"), ("Authorization", "Basic YTpi")) == 200
        _, user, request = exchange.seen[-1]
        assert (user, request.path, request.all("Host")) == (
            "nobody", path.replace("%40", "@"), [HOST])
        assert request.all("Cookie") == [] and request.binding is not None
    log = (lab_dir / "attachments.log").read_text()
    assert "GetFileAttachment" in log and "token" not in log and "eyJ" not in log


def test_no_other_downloads(downloads):
    gw, get, exchange = downloads
    gw.expect("AH01630")
    for path in (FILE, f"{FILE}?token=", f"{FILE}?token=x", f"{FILE}?xtoken=a.b.c", f"{FILE}?token=a.b.c.d",
                 f"/owa/?{TOKEN}", f"/owa/service.svc?action=GetItem&{TOKEN}", f"/ecp/?{TOKEN}",
                 f"/owa/a@b/service.svc/s/GetItem?{TOKEN}", f"{FILE}/x?{TOKEN}",
                 f"/owa/a/service.svc/s/GetFileAttachment?{TOKEN}", f"{FILE}/../../../ecp/?{TOKEN}",
                 f"/owa/a@b%2f..%2fx/service.svc/s/GetFileAttachment?{TOKEN}",
                 f"/eas-kcd/login?{TOKEN}", "/eas-kcd/login", f"/autodiscover/autodiscover.json?{TOKEN}"):
        assert get(path) in (403, 404), path
    for method in ("POST", "PUT", "OPTIONS", "PROPFIND"):
        assert get(f"{FILE}?{TOKEN}", method=method) == 403
    assert exchange.seen == []


# --- rules for a day ---------------------------------------------------------------------------

VERSIONS = {"2.5": 403, "12.1": 403, "14.0": 403, "14.1": 200, "16.0": 200, "16.1": 200, None: 200}


def options(version):
    return [*PHONE, *([("MS-ASProtocolVersion", version)] if version else [])]


def test_oldest_phones(host, lab_dir):
    """The first phase logs and refuses nobody; the second one refuses them by 403."""
    gw, client, exchange = host(block_with("old-phones.log"))
    path = f"{EAS}?Cmd=Sync&User=alice&DeviceId=abc&DeviceType=iPhone"
    with client() as c:
        for version in VERSIONS:
            assert c.post(path, b"", "alice", PASSWORDS["alice"], options(version)).status == 200
    log = lab_dir / "old-phones.log"
    until(lambda: len(log.read_text().splitlines()) == 3, 5, "the log")
    assert f"] alice@{REALM} iPhone abc 14.0\n" in log.read_text()

    gw, client, exchange = host(block_with("Require expr \"%{reqenv:EAS_PROTOCOL_VERSION} !~"))
    gw.expect("AH01630")
    with client() as c:
        for version, status in VERSIONS.items():
            answer = c.post(path, b"", "alice", PASSWORDS["alice"], options(version))
            assert answer.status == status, version
        assert c.post(path, b"", headers=options("2.5")).status == 403     # it is not even asked
    assert len(exchange.seen) == 4


def test_emergency(host, lab_dir):
    """The file appears, and a reload closes OWA; phones and their connections go on."""
    files = lab_dir / f"emergency-{unique_number()}"
    files.mkdir()
    include = block_with("IncludeOptional").replace("/etc/eas-kcd/emergency", str(files))
    gw, client, exchange = host(end=include)
    alice = ("alice", PASSWORDS["alice"], PHONE)
    with client() as c:
        assert c.get("/owa/", *alice).status == c.get(EAS, *alice).status == 200
    closes = next(block for block in BLOCKS if "(owa|ecp)(/|$)" in block and "denied" in block)
    (files / "owa.conf").write_text(closes)
    gw.expect("AH01630")
    gw.graceful()

    def closed() -> bool:
        with client() as c:
            return c.get("/owa/", *alice).status == 403
    until(closed, 20, "OWA to be closed")
    with client() as c:
        assert c.get("/ECP/x", *alice).status == 403 and c.get(EAS, *alice).status == 200
