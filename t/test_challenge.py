# SPDX-License-Identifier: Apache-2.0
"""How a request without a user is asked for one: by the form, by Basic, or by neither."""

import re
import socket
import ssl
from urllib.parse import unquote

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import UNGUARDED, location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, COOKIE, FORM, PHONE
from lab.wait import until

CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'
ALICE = f"alice@{REALM}"
DEAD = ("Cookie", f"{COOKIE}=dead")
AJAX = ("X-Requested-With", "XMLHttpRequest")
CHROME = BROWSER[0]
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ANY = "*/*"
WIN = "Windows NT 10.0; Win64; x64"

# Who can do forms: (agent, its Accept, what it gets). The first are ISA's own list, in its order.
AGENTS = [
    ("Mozilla/4.0 (compatible; MSIE 6.0; Windows 95; PalmSource; Blazer 3.0)", HTML, "form"),
    ("DoCoMo/2.0 N905i(c100;TB;W24H16)", HTML, "basic"),
    ("Mozilla/4.0 (compatible; MSIE 4.01; Windows CE; PPC; 240x320)", HTML, "form"),
    ("Mozilla/5.0 (Symbian OS) AppleWebKit/413 Safari/413", HTML, "form"),
    ("SonyEricssonK800i/R1ED Browser/NetFront/3.3", HTML, "basic"),
    ("Mozilla/2.0 (compatible; MS FrontPage 4.0)", "auth/sicily, */*", "basic"),
    ("MSFrontPage/12.0", ANY, "basic"),
    ("MSRPC", ANY, "basic"),
    ("", HTML, "basic"),
    ("-", HTML, "basic"),
    # people
    (f"Mozilla/5.0 ({WIN}) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36", HTML, "form"),
    (f"Mozilla/5.0 ({WIN}) AppleWebKit/537.36 Chrome/140.0 Edg/140.0", HTML, "form"),
    (f"Mozilla/5.0 ({WIN}; rv:143.0) Gecko/20100101 Firefox/143.0", HTML, "form"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.6 Safari/605.1.15", HTML, "form"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Mobile/15E148", HTML, "form"),
    ("Mozilla/5.0 (Linux; Android 15; SM-S928B) SamsungBrowser/28.0", HTML, "form"),
    ("Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0 Mobile Safari/537.36", HTML, "form"),
    ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
     "text/html, application/xhtml+xml, */*", "form"),
    ("Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18", HTML, "form"),
    ("Opera/9.80 (J2ME/MIDP; Opera Mini/9.80) Presto/2.5.25", "TEXT/HTML", "form"),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", HTML, "form"),
    # phones, by ActiveSync
    ("Apple-iPhone14C3/2001.50", ANY, "basic"),
    ("Apple-iPad13C1/2107.93", ANY, "basic"),
    ("iOS/18.6 (22G86) dataaccessd/1.0", ANY, "basic"),
    ("Android-SAMSUNG-SM-G991B/101.110000", ANY, "basic"),
    ("SAMSUNG-GT-I9300/101.403", ANY, "basic"),
    ("Android-Mail/2025.08.17.797", ANY, "basic"),
    ("Android/9-EAS-2.0", ANY, "basic"),
    ("Outlook-iOS-Android/1.0", ANY, "basic"),
    ("Outlook-iOS/2.0", ANY, "basic"),
    ("MSFT-WP/8.10.14219", ANY, "basic"),
    ("MSFT-PPC/5.2.5082", ANY, "basic"),
    ("MSFT-SPhone/5.2.203", ANY, "basic"),
    ("TouchDown(MSRPC)/8.1.00052/", ANY, "basic"),
    ("NokiaE71/3.00(158)MailforExchange", ANY, "basic"),
    ("RIM-Z10-STL100-1/10.3.3", ANY, "basic"),
    ("WindowsMail/17.5.9600", ANY, "basic"),
    ("Microsoft.Windows.Mail/16005.14326", ANY, "basic"),
    # Outlook, EWS and what else is no browser
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", ANY, "basic"),
    ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0; ms-office)",
     ANY, "basic"),
    ("MacOutlook/16.89.24091630 (Intelx64 Mac OS X Version 14.6)", ANY, "basic"),
    ("Mac OS X/14.6 (23G80) ExchangeWebServices/1.0", ANY, "basic"),
    ("ExchangeServicesClient/15.01.2507.006", ANY, "basic"),
    ("Microsoft WinRM Client", ANY, "basic"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0", ANY, "basic"),
    ("Evolution/3.46.4", ANY, "basic"),
    ("curl/8.14.1", ANY, "basic"),
    ("Wget/1.25.0", HTML, "basic"),
    ("python-requests/2.32", ANY, "basic"),
    ("Lynx/2.9.2 libwww-FM/2.14", HTML, "basic"),
]

EXCHANGE_PATHS = [
    "/Microsoft-Server-ActiveSync", "/Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=b",
    "/MICROSOFT-SERVER-ACTIVESYNC", "/microsoft-server-activesync/default.eas",
    "/microsoft-Server-activeSync/", "/%4dicrosoft-Server-Active%53ync",
    "//Microsoft-Server-ActiveSync", "/./x/../Microsoft-Server-ActiveSync",
    "/Autodiscover/Autodiscover.xml", "/autodiscover/autodiscover.json?Email=a@b", "/AUTODISCOVER",
    "/EWS/Exchange.asmx", "/ews/exchange.asmx", "/ews", "/MAPI/emsmdb/", "/mapi/nspi",
    "/RPC/RpcProxy.dll?cas1:6001", "/rpc", "/OAB/guid/oab.xml", "/oab/",
]
OTHER_PATHS = ["/", "/owa/", "/owa/EWS", "/ewsx", "/oabulletin", "/rpc.html", "/ecp", "/mapi-http",
               "/Microsoft-Server-ActiveSyncX", "/owa?url=/EWS", "/public/Autodiscover/x"]


def kind(answer):
    """What an answer is: form, basic, script, forbidden; anything unclean about it is an error."""
    assert answer.header("Content-Length") in (None, str(len(answer.body)))
    if answer.status == 302:
        assert answer.header("Location").startswith(FORM)
        assert answer.header("Cache-Control") == "no-store"
    if answer.status == 440:
        assert answer.header("Cache-Control") == "no-store"
    assert answer.all("WWW-Authenticate") == [CHALLENGE] * (answer.status == 401)
    return {302: "form", 401: "basic", 440: "script", 403: "forbidden"}[answer.status]


def logged(gw, path):
    """What the access log says of the one request for this path."""
    return until(lambda: [entry for entry in gw.requests() if entry["uri"] == path], 5,
                 f"{path} in the log")[-1]


@pytest.fixture
def closed(gateway, backends):
    """closed(*lines): a gateway that lets nobody in without a user; nobody must get through."""
    cas1 = backends("cas1")

    def start(*lines, **options):
        made = gateway(UNGUARDED + location(f"{cas1.url}/", *lines, path="/", **options), reuse=True)
        return made
    yield start
    assert cas1.requests() == []


def ask(gw, cases):
    """{case: what it gets} for (method, path, headers) in cases, on one connection."""
    got = {}
    with gw.client() as client:
        for name, (method, path, headers) in cases.items():
            body = b"x=1" if method in ("POST", "PUT", "PROPFIND") else None
            got[name] = kind(client.request(method, path, headers=headers, body=body))
    assert set(gw.error_log.tags()) == {"EAS1062"}
    return got


# --- the built-in rule -----------------------------------------------------------------------

def agent_headers(agent, accept):
    return [*([("User-Agent", agent)] if agent != "-" else []), ("Accept", accept)]


def test_agents(closed):
    assert len(AGENTS) >= 40
    got = ask(closed(), {agent: ("GET", "/owa/", agent_headers(agent, accept))
                         for agent, accept, _ in AGENTS})
    assert got == {agent: expected for agent, _, expected in AGENTS}


def test_no_agent_sees_a_form_where_phones_sync(closed):
    cases = {(agent, path): ("GET", path, agent_headers(agent, HTML))
             for agent, _, _ in AGENTS for path in EXCHANGE_PATHS[:2]}
    assert set(ask(closed(), cases).values()) == {"basic"}


def test_exchange_paths_never_get_a_form(closed):
    """In any spelling; not a browser, not a script, not a browser with a dead cookie."""
    ways = {"browser": BROWSER, "script": [*BROWSER, AJAX], "dead cookie": [*BROWSER, DEAD],
            "fetch": [*BROWSER, ("Sec-Fetch-Mode", "cors")], "phone": PHONE}
    cases = {(path, way): ("GET", path, headers) for path in EXCHANGE_PATHS
             for way, headers in ways.items()}
    gw = closed()
    assert {case: what for case, what in ask(gw, cases).items() if what != "basic"} == {}
    assert set(ask(gw, {path: ("GET", path, BROWSER) for path in OTHER_PATHS}).values()) == {"form"}


@pytest.mark.parametrize("challenge", ["form", "auto"])
def test_exchange_paths_get_no_form_whatever_is_configured(closed, challenge):
    """`form` is for whoever can; on these paths nobody can."""
    got = ask(closed(f"EasKcdChallenge {challenge}"),
              {path: ("GET", path, BROWSER) for path in EXCHANGE_PATHS})
    assert set(got.values()) == {"forbidden" if challenge == "form" else "basic"}


REQUESTS = {
    "GET": ("GET", BROWSER, "form"),
    "HEAD": ("HEAD", BROWSER, "form"),
    "POST": ("POST", BROWSER, "basic"),
    "OPTIONS": ("OPTIONS", BROWSER, "basic"),
    "PUT": ("PUT", BROWSER, "basic"),
    "DELETE": ("DELETE", BROWSER, "basic"),
    "PROPFIND": ("PROPFIND", BROWSER, "basic"),
    "unknown method": ("BREW", BROWSER, "basic"),
    "small letters": ("get", BROWSER, "basic"),
    "no Accept": ("GET", [CHROME], "basic"),
    "Accept all": ("GET", [CHROME, ("Accept", "*/*")], "basic"),
    "Accept JSON": ("GET", [CHROME, ("Accept", "application/json")], "basic"),
    "Accept in capitals": ("GET", [CHROME, ("Accept", "TEXT/HTML")], "form"),
    "Accept in two": ("GET", [CHROME, ("Accept", "image/png"), ("Accept", "text/html")], "form"),
    "no agent": ("GET", [("Accept", HTML)], "basic"),
    "agent of all": ("GET", [("User-Agent", "x" * 3000 + "Mozilla"), ("Accept", HTML)], "form"),
    "XHR": ("GET", [*BROWSER, AJAX], "script"),
    "XHR by POST": ("POST", [*BROWSER, AJAX], "script"),
    "XHR of a phone": ("GET", [*PHONE, AJAX], "script"),
    "navigate": ("GET", [*BROWSER, ("Sec-Fetch-Mode", "navigate")], "form"),
    "navigate by POST": ("POST", [*BROWSER, ("Sec-Fetch-Mode", "navigate")], "basic"),
    "cors": ("GET", [*BROWSER, ("Sec-Fetch-Mode", "cors")], "script"),
    "cors by POST": ("POST", [*BROWSER, ("Sec-Fetch-Mode", "cors")], "script"),
    "no-cors": ("GET", [CHROME, ("Accept", "*/*"), ("Sec-Fetch-Mode", "no-cors")], "script"),
    "same-origin": ("GET", [*BROWSER, ("Sec-Fetch-Mode", "same-origin")], "script"),
    "websocket": ("GET", [*BROWSER, ("Sec-Fetch-Mode", "websocket")], "script"),
    "dead cookie": ("GET", [*BROWSER, DEAD], "form"),
    "dead cookie by POST": ("POST", [*BROWSER, DEAD], "script"),
    "dead cookie, no agent": ("GET", [DEAD], "script"),
    "two cookies": ("POST", [("Cookie", f"{COOKIE}=a; {COOKIE}=b")], "script"),
    "other cookie": ("POST", [*BROWSER, ("Cookie", "UserContext=1")], "basic"),
    "wrong scheme": ("GET", [*BROWSER, ("Authorization", "Bearer")], "form"),
    "Outlook's probe": ("GET", [*PHONE, ("Authorization", "Bearer")], "basic"),
    "Negotiate": ("GET", [*PHONE, ("Authorization", "Negotiate YII=")], "basic"),
    # What else has ever chosen another way in
    "PAOS": ("GET", [("Accept", "text/html; application/vnd.paos+xml"),
                     ("PAOS", 'ver="urn:liberty:paos:2003-08"')], "basic"),
    "Upgrade": ("GET", [*PHONE, ("Upgrade", "websocket"), ("Connection", "Upgrade")], "basic"),
    "Range": ("GET", [*PHONE, ("Range", "bytes=0-0")], "basic"),
    "If-None-Match": ("GET", [*PHONE, ("If-None-Match", "*")], "basic"),
    "forwarded": ("GET", [*PHONE, ("X-Forwarded-User", "alice"), ("REMOTE_USER", "alice"),
                          ("X-Remote-User", "alice"), ("Session", "alice")], "basic"),
    "override": ("POST", [*PHONE, ("X-HTTP-Method-Override", "GET"),
                          ("X-Original-URL", "/eas-kcd/login")], "basic"),
}


def test_requests(closed):
    got = ask(closed(), {name: (method, "/owa/x", headers)
                         for name, (method, headers, _) in REQUESTS.items()})
    assert got == {name: expected for name, (_, _, expected) in REQUESTS.items()}


# --- the three answers, byte by byte ----------------------------------------------------------

def raw(gw, head, body=b"", more=b""):
    """All that comes back for bytes on a TLS connection of their own, until the server closes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", gw.port), 10) as tcp, \
            context.wrap_socket(tcp, server_hostname="mail.example.test") as stream:
        lines = [*head, "Host: mail.example.test", "", ""]
        stream.sendall("\r\n".join(lines).encode() + body + more)
        received = b""
        while block := stream.recv(65536):
            received += block
    return received


def browser_lines(*more):
    return [f"{name}: {value}" for name, value in BROWSER] + list(more)


def test_login_timeout_status_line(closed):
    got = raw(closed(), ["GET /owa/x HTTP/1.1", *browser_lines(": ".join(AJAX), ": ".join(DEAD),
                                                               "Connection: close")])
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 440 Login Time-out\r\n")
    assert b"www-authenticate" not in head.lower()
    cookie, = [line for line in head.split(b"\r\n") if line.lower().startswith(b"set-cookie:")]
    assert cookie == (b"Set-Cookie: " + COOKIE.encode()
                      + b"=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert b"\r\nContent-Length: %d" % len(body) in head


def test_login_timeout_body(closed):
    """One plain sentence, for whoever looks into the browser's console."""
    assert closed().get("/owa/x", headers=[*BROWSER, AJAX]).body == b"The session has ended.\n"


def test_login_timeout_leaves_the_form_cookie_alone(closed):
    gw = closed()
    answer = gw.get("/owa/x", headers=[*BROWSER, AJAX, ("Cookie", COOKIE + "-form=x; a=1")])
    assert kind(answer) == "script"
    assert answer.all("Set-Cookie") == []


def test_login_timeout_has_no_body_on_head(closed):
    got = raw(closed(), ["HEAD /owa/x HTTP/1.1", *browser_lines(": ".join(AJAX)),
                         "Connection: close"])
    assert got.startswith(b"HTTP/1.1 440 Login Time-out\r\n") and got.endswith(b"\r\n\r\n")


def test_redirect_to_the_form_is_kept_by_no_cache(closed):
    answer = closed().get("/owa/?a=1&b=%2F", headers=BROWSER)
    assert answer.status == 302
    assert answer.header("Cache-Control") == "no-store"
    assert answer.header("Location") == FORM + "?destination=%2fowa%2f%3fa%3d1%26b%3d%252F"
    assert answer.all("Set-Cookie") == [] and answer.all("WWW-Authenticate") == []


def test_head_is_answered_as_get(closed):
    gw = closed()
    for headers in (BROWSER, PHONE, [*BROWSER, AJAX], [*BROWSER, DEAD]):
        get = gw.get("/owa/x", headers=headers)
        head = gw.request("HEAD", "/owa/x", headers=headers)
        assert (head.status, head.body) == (get.status, b"")
        for name in ("Location", "WWW-Authenticate", "Set-Cookie", "Cache-Control"):
            assert head.all(name) == get.all(name), name


@pytest.mark.parametrize("line", ["X-Requested-With: x", "Accept-Language: de"], ids=["440", "401"])
def test_body_is_not_taken_for_a_request(closed, line):
    """A form sent after the session's end: refused, and its body is neither run nor answered."""
    smuggled = b"GET /owa/smuggled HTTP/1.1\r\nHost: mail.example.test\r\n\r\n"
    got = raw(closed(), ["POST /owa/x HTTP/1.1", *browser_lines(line),
                         f"Content-Length: {len(smuggled)}"], smuggled,
              b"GET /owa/last HTTP/1.1\r\nHost: mail.example.test\r\nConnection: close\r\n\r\n")
    first = b"HTTP/1.1 440 " if line.startswith("X-") else b"HTTP/1.1 401 "
    assert got.startswith(first)
    assert got.count(b"HTTP/1.1 ") == 2 and got.count(b"HTTP/1.1 401 Unauthorized") >= 1


def test_a_large_body_is_not_asked_for(closed):
    """Expect: 100-continue without credentials: the answer at once, and no 100 before it."""
    got = raw(closed(), ["POST /owa/x HTTP/1.1", "Expect: 100-continue",
                         f"Content-Length: {50 << 20}"])
    assert got.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert got.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in got


LOCAL = {       # the request's target: the destination that the form gets, None for none
    "/": "/",
    "/owa/?ae=Folder&t=IPF.Note": "/owa/?ae=Folder&t=IPF.Note",
    "/owa/%0d%0aSet-Cookie:x=y": None,
    "/owa/%00": "-",
    "//evil.example/owa": None,
    "///evil.example": None,
    "/\\evil.example": None,
    "/owa/\\x": None,
    "/%2f/evil.example": "-",
    "/owa/@evil.example": "/owa/@evil.example",
    "https://evil.example/owa": None,
    "/.//evil.example": None,
}


@pytest.mark.parametrize("target", LOCAL)
def test_destination_is_a_local_path(closed, target):
    got = raw(closed(), [f"GET {target} HTTP/1.1", *browser_lines(), "Connection: close"])
    head = got.partition(b"\r\n\r\n")[0].decode()
    if not head.startswith("HTTP/1.1 302 "):
        assert head.startswith(("HTTP/1.1 400 ", "HTTP/1.1 404 ", "HTTP/1.1 421 "))
        return
    sent, = re.findall(r"^Location: (.*?)\r?$", head, re.MULTILINE)
    path, _, query = sent.partition("?")
    assert path == FORM
    destination = unquote(query.removeprefix("destination=")) if query else None
    if destination is not None and LOCAL[target] is None:
        # The WHATWG parser, in short: no second slash or backslash anywhere at the start, once
        # tabs and line ends are gone, and no dot segments that could uncover one.
        assert not any(c in destination for c in "\\\r\n\t"), destination
        assert not destination.startswith("//") and "//" not in destination, destination
        assert "://" not in destination
        assert destination.startswith("/")
    elif destination is not None:
        assert destination == LOCAL[target]


# --- EasKcdChallenge, EasKcdFormFor -----------------------------------------------------------

WAYS = {"browser": ("GET", "/owa/", BROWSER), "phone": ("GET", "/owa/", PHONE),
        "nobody": ("GET", "/owa/", []), "POST": ("POST", "/owa/", BROWSER),
        "script": ("GET", "/owa/", [*BROWSER, AJAX]), "dead": ("GET", "/owa/", [*PHONE, DEAD]),
        "dead browser": ("GET", "/owa/", [*BROWSER, DEAD])}

CONFIGURED = {
    "auto": ("EasKcdChallenge auto", "form basic basic basic script script form"),
    "auto in capitals": ("EasKcdChallenge AUTO", "form basic basic basic script script form"),
    "nothing": ("", "form basic basic basic script script form"),
    "basic": ("EasKcdChallenge basic", "basic basic basic basic basic basic basic"),
    "form": ("EasKcdChallenge form", "form forbidden forbidden forbidden forbidden forbidden form"),
    "for all": ("EasKcdFormFor true", "form form form form form form form"),
    "for nobody": ("EasKcdFormFor false", "basic basic basic basic script script script"),
    "for phones": ('EasKcdFormFor "%{HTTP_USER_AGENT} =~ /^Apple/"',
                   "basic form basic basic script form script"),
    "basic for all": ("EasKcdChallenge basic\nEasKcdFormFor true",
                      "basic basic basic basic basic basic basic"),
    "form for nobody": ("EasKcdChallenge form\nEasKcdFormFor false",
                        "forbidden forbidden forbidden forbidden forbidden forbidden forbidden"),
}


@pytest.mark.parametrize("name", CONFIGURED)
def test_configured(closed, name):
    lines, expected = CONFIGURED[name]
    got = ask(closed(lines), WAYS)
    assert got == dict(zip(WAYS, expected.split(), strict=True))


@pytest.mark.parametrize("challenge,expected", [("auto", "basic"), ("form", "forbidden")])
def test_expression_that_fails_matches_nobody(closed, challenge, expected):
    gw = closed(f"EasKcdChallenge {challenge}",
                "EasKcdFormFor \"file('/nonexistent/file') == '' || true\"")
    for headers in (BROWSER, PHONE):
        assert kind(gw.get("/owa/", headers=headers)) == expected
    # httpd itself reports that, in our name and without a tag, which check_log() forgives nobody.
    assert re.search(r"eas_kcd:error.* Evaluation of expression from .*/httpd.conf:\d+ failed: "
                     "Cannot open file /nonexistent/file", gw.error_log.text())
    gw.mark()


def test_expression_that_cannot_be_parsed(gateway):
    gw = gateway("EasKcdFormFor \"%{HTTP_ACCEPT} =~\"\n", start=False)
    status, said = gw.check_config()
    assert status != 0
    assert "EasKcdFormFor: cannot parse the expression '%{HTTP_ACCEPT} =~'" in said


def test_unknown_challenge(gateway):
    status, said = gateway("EasKcdChallenge digest\n", start=False).check_config()
    assert status != 0
    assert "EasKcdChallenge: 'digest' is none of auto, form and basic" in said


# --- do not always authenticate ---------------------------------------------------------------

GRANTED = "Require all granted"


def picky(request):
    """As Exchange: some paths are for anybody, at others it asks for a user, in its own manner."""
    path = request.line.split()[1]
    if "/private" in path and request.authorization is None:
        return response("401 Unauthorized", [
            ("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", "NTLM"),
            ("WWW-Authenticate", 'Basic realm="cas1"'), ("X-OWA-Error", "secret"),
            ("Set-Cookie", "UserContext=1"), ("Content-Type", "text/html")],
            b"the backend's own page")
    return response("200 OK", [("X-Was", request.authorization or "nobody")], b"fine")


@pytest.fixture
def relaxed(gateway, fake_backends):
    """relaxed(*lines): a gateway where nothing is required; its backend decides."""
    backend = fake_backends(picky, reuse=True)

    def start(*lines):
        return gateway(UNGUARDED + location(f"{backend.url}/", *lines, path="/",
                                            require=GRANTED), reuse=True), backend
    return start


def test_nothing_is_asked_where_nothing_is_required(relaxed):
    gw, backend = relaxed()
    for headers in (BROWSER, PHONE, [], [*BROWSER, DEAD], [*BROWSER, AJAX],
                    [("Authorization", "Bearer")]):
        answer = gw.get("/owa/x", headers=headers)
        assert (answer.status, answer.body) == (200, b"fine")
        assert answer.header("X-Was") == "nobody"
    assert len(backend.requests) == 6
    assert logged(gw, "/owa/x")["user"] == "-"
    assert gw.error_log.tags() == []


@pytest.mark.parametrize("error_override", ["Off", "On"])
def test_the_backend_asks(relaxed, error_override):
    gw, backend = relaxed(f"ProxyErrorOverride {error_override}")
    expected = {"browser": "form", "phone": "basic", "nobody": "basic", "POST": "basic",
                "script": "script"}
    for name, wanted in expected.items():
        method, _, headers = WAYS[name]
        path = f"/private?{name}"
        answer = gw.request(method, path, headers=headers,
                            body=b"x" if method == "POST" else None)
        assert kind(answer) == wanted, name
        assert b"backend's own" not in answer.body
        assert answer.all("Set-Cookie") == [] and answer.all("X-OWA-Error") == []
        assert logged(gw, path)["EAS_KCD_ERROR"] == "EAS2064"
        if wanted == "form":
            assert answer.header("Location") == FORM + "?destination=%2fprivate%3fbrowser"
    assert len(backend.requests) == len(expected)
    assert all(request.authorization is None for request in backend.requests)


def test_the_backend_asks_a_script(relaxed):
    """The status line, which httpd would call a 500, survives mod_proxy too."""
    gw, backend = relaxed()
    got = raw(gw, ["GET /private HTTP/1.1", *browser_lines(": ".join(AJAX)), "Connection: close"])
    assert got.startswith(b"HTTP/1.1 440 Login Time-out\r\n")
    assert got.endswith(b"The session has ended.\n")
    assert got.count(b"HTTP/1.1 ") == 1
    assert len(backend.requests) == 1


def test_the_backend_asks_on_head(relaxed):
    gw, _ = relaxed()
    for headers, wanted in ((BROWSER, "form"), (PHONE, "basic"), ([*BROWSER, AJAX], "script")):
        answer = gw.request("HEAD", "/private", headers=headers)
        assert (kind(answer), answer.body) == (wanted, b"")


def test_the_backend_asks_whose_cookie_is_dead(relaxed):
    """A browser with a dead cookie must not pop up a password box, whoever asks."""
    gw, _ = relaxed()
    assert kind(gw.post("/private", b"x", headers=[*BROWSER, DEAD])) == "script"
    assert kind(gw.get("/private", headers=[*BROWSER, DEAD])) == "form"
    assert kind(gw.get("/EWS/private", headers=[*BROWSER, DEAD])) == "basic"


def test_the_connection_goes_on_after_the_backend_asked(relaxed):
    gw, backend = relaxed()
    with gw.client() as client:
        for _ in range(3):
            assert client.get("/private", headers=PHONE).status == 401
            assert client.get("/owa/x", headers=PHONE).body == b"fine"
            assert client.get("/private", "alice", PASSWORDS["alice"], PHONE).body == b"fine"
    assert len(backend.requests) == 9


def test_right_credentials_where_none_are_required(gateway, backends):
    cas1 = backends("cas1")
    gw = gateway(UNGUARDED + location(cas1.url, require=GRANTED))
    for agent in (BROWSER, PHONE, []):
        answer = gw.get("/eas/x", "alice", PASSWORDS["alice"], agent)
        assert answer.json()["remote_user"] == ALICE
        assert answer.header("Cache-Control").startswith("private")
    assert logged(gw, "/eas/x")["user"] == ALICE


WRONG = {"wrong": ("alice", "nonsense", "EAS1030"), "empty": ("alice", "", "EAS1012"),
         "unknown": ("nobody", "x", "EAS1031"), "no name": ("", "x", "EAS1001")}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_credentials_where_none_are_required(gateway, fake_backends, name):
    user, password, tag = WRONG[name]
    backend = fake_backends(picky)
    gw = gateway(UNGUARDED + location(backend.url, path="/owa", require=GRANTED))
    for agent, wanted in ((BROWSER, "form"), (PHONE, "basic"), ([*BROWSER, AJAX], "script")):
        path = f"/owa?{wanted}"
        assert kind(gw.get(path, user, password, agent)) == wanted
        assert logged(gw, path)["EAS_KCD_ERROR"] == tag
        assert logged(gw, path)["user"] == "-"
    assert backend.requests == []


def test_malformed_credentials_where_none_are_required(gateway, fake_backends):
    backend = fake_backends(picky)
    gw = gateway(location(backend.url, path="/owa", require=GRANTED))
    for value, tag in (("Basic !!!", "EAS1010"), ("Basic YWxpY2U=", "EAS1011")):
        assert kind(gw.get(f"/owa?{tag}", headers=[("Authorization", value)])) == "basic"
        assert logged(gw, f"/owa?{tag}")["EAS_KCD_ERROR"] == tag
    assert backend.requests == []


# --- always authenticate ----------------------------------------------------------------------

REQUIRES = {"granted": GRANTED, "an address": "Require ip 127.0.0.1",
            "any": "<RequireAny>\nRequire valid-user\nRequire ip 127.0.0.1\n</RequireAny>",
            "Satisfy": "Require all granted\nRequire valid-user"}


@pytest.mark.parametrize("require", REQUIRES)
def test_always_authenticate(closed, require):
    """Whatever would let a request through without a user."""
    gw = closed("EasKcdAlwaysAuthenticate On", require=REQUIRES[require])
    got = ask(gw, WAYS)
    assert got == dict(zip(WAYS, "form basic basic basic script script form".split()))


@pytest.mark.parametrize("require", REQUIRES)
def test_not_always_authenticate(gateway, fake_backends, require):
    backend = fake_backends(picky)
    gw = gateway(location(backend.url, "EasKcdAlwaysAuthenticate Off", path="/owa",
                          require=REQUIRES[require]))
    assert gw.get("/owa", headers=BROWSER).header("X-Was") == "nobody"
    assert gw.get("/owa", "alice", PASSWORDS["alice"]).header("X-Was").startswith("Negotiate ")


def test_always_authenticate_accepts(gateway, backends):
    gw = gateway(UNGUARDED + location(backends("cas1").url, "EasKcdAlwaysAuthenticate On",
                                     require=GRANTED))
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).json()["remote_user"] == ALICE
    assert gw.get("/eas").status == 401


def test_always_authenticate_is_merged(gateway, fake_backends):
    """Given outside, taken back inside."""
    backend = fake_backends(picky)
    gw = gateway(UNGUARDED + "EasKcdAlwaysAuthenticate On\n"
                 + location(backend.url, path="/owa", require=GRANTED)
                 + location(backend.url, "EasKcdAlwaysAuthenticate Off", path="/open",
                            require=GRANTED))
    assert gw.get("/owa").status == 401
    assert gw.get("/open").status == 200
    assert len(backend.requests) == 1
