# SPDX-License-Identifier: Apache-2.0
"""The login form, byte by byte: what its path answers, and what it does not let itself be fed."""

import base64
import hashlib
import html
import itertools
import re
import socket
import struct
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from urllib.parse import quote, quote_from_bytes, urlencode

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import VARYING, location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, COOKIE, FORM, LOGOUT, PHONE, Visitor
from lab.gateway import MODULES
from lab.wait import until
from test_destination import corpus, leaving

NUMBERS = itertools.count(1)
FORM_COOKIE = COOKIE + "-form"
URLENCODED = ("Content-Type", "application/x-www-form-urlencoded")
ALICE = {"username": "alice", "password": PASSWORDS["alice"]}
LIMIT = 16384
TEXTS = {
    "wrong": "That user name and password did not work.",
    "expired": "Your password has expired or must be changed.",
    "timed-out": "Your session has ended.",
    "signed-out": "You have signed out.",
    "try-later": "Signing in is not possible just now.",
    "bad-request": "This form was incomplete or out of date.",
}


def ok(_):
    return response("200 OK", body=b"protected")


@pytest.fixture
def backend(fake_backends):
    return fake_backends(ok)


@pytest.fixture
def door(gateway, backend):
    """A gateway with everything below one protected `/`, whose backend is not to be reached."""
    gw = gateway(location(backend.url + "/", path="/"))
    gw.expect("EAS1062")
    yield gw
    assert backend.requests == []


@pytest.fixture
def plain_door(gateway, backend):
    """The same over plain HTTP, for what no HTTP client would send."""
    gw = gateway("EasKcdRequireTLS Off\nTimeout 2\n" + location(backend.url + "/", path="/"),
                 tls=False)
    yield gw
    assert backend.requests == []


@pytest.fixture
def mail(gateway, backends):
    """A gateway whose backend tells who has come."""
    gw = gateway(location(backends("cas1").url, path="/owa"))
    gw.expect("EAS1062")
    return gw


def unique(path=FORM):
    """The path with a query that means nothing, by which the log entry is found."""
    return f"{path}?n={next(NUMBERS)}"


def tag_of(gw, uri):
    """What the access log says of the request for this URI."""
    entry, = until(lambda: [e for e in gw.requests() if e["uri"] == uri], 10, f"a log of {uri}")
    return entry["EAS_KCD_ERROR"]


def assert_no_session(answer):
    assert not any(line.startswith(COOKIE + "=") for line in answer.all("Set-Cookie"))


def assert_refused(gw, answer, uri, status, tag, what=""):
    assert answer.status == status, what
    assert answer.header("Location") is None, what
    assert_no_session(answer)
    assert tag_of(gw, uri) == tag, what


def post(visitor, body, headers=(URLENCODED,), uri=None):
    return visitor.request("POST", uri or unique(), headers, body)


# --- what every answer says of itself --------------------------------------------------------

def assert_page_headers(answer, style_hash):
    for name, value in {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src 'self' '{style_hash}'; "
                                   "img-src 'self'; form-action 'self' https:; frame-ancestors 'none'; "
                                   "base-uri 'none'",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }.items():
        assert answer.all(name) == [value], (answer.status, name)
    assert answer.header("WWW-Authenticate") is None
    for line in answer.all("Set-Cookie"):
        name, *attributes = line.split("; ")
        assert name.split("=")[0] in (COOKIE, FORM_COOKIE)
        assert set(attributes) - {"Max-Age=0"} == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
        assert len(line) < 4096


def style_hash_of(page):
    style, = re.findall(rb"<style>(.*?)</style>", page, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(style).digest()).decode()


def test_headers_of_every_answer(mail, relay, gateway, backend):
    down = gateway(location(backend.url, path="/owa"), krb5_conf=relay.krb5_conf)
    bare = gateway(location(backend.url, path="/owa"), tls=False)
    mail.expect("EAS1030", "EAS1091")
    down.expect("EAS1036")
    bare.expect("EAS1096")
    relay.refuse()
    visitor = Visitor(mail)
    pages = {                       # by what it is: an answer, its status
        "form": (visitor.get(FORM), 200),
        "destination": (visitor.get(FORM + "?destination=//evil.example"), 400),
        "not ours": (Visitor(mail).submit(ALICE), 403),
        "KDC down": (Visitor(down).log_on("alice", PASSWORDS["alice"]), 503),
        "confirm": (visitor.get(LOGOUT, [("Sec-Fetch-Site", "cross-site")]), 200),
    }
    others = {
        "wrong": (visitor.log_on("alice", "nonsense"), 303),
        "right": (visitor.log_on("alice", PASSWORDS["alice"]), 303),
        "sign out": (visitor.get(LOGOUT), 303),
        "unknown": (visitor.get("/eas-kcd/nothing"), 404),
        "method": (visitor.request("PUT", FORM), 405),
        "plain HTTP": (Visitor(bare).get(FORM), 403),
        "plain HTTP, POST": (Visitor(bare).submit(ALICE), 403),
    }
    style_hash = style_hash_of(pages["form"][0].body)
    for what, (answer, status) in (pages | others).items():
        assert answer.status == status, what
        assert_page_headers(answer, style_hash)
    for what, (answer, _) in pages.items():
        assert answer.header("Content-Type") == "text/html; charset=utf-8", what
        assert int(answer.header("Content-Length")) == len(answer.body) > 1000, what
        assert style_hash_of(answer.body) == style_hash, what
    assert backend.requests == []


def test_reasons(door):
    visitor = Visitor(door)
    for reason, text in TEXTS.items():
        page = visitor.get(f"{FORM}?reason={reason}").body.decode()
        # There is no address for the bad request's text.
        assert (text in page) is (reason != "bad-request")
        assert sum(other in page for other in TEXTS.values()) <= 1
    for reason in ("", "WRONG", "confirm-logout", "<script>", "%22%3e%3csvg%3e"):
        page = visitor.get(f"{FORM}?reason={reason}").body.decode()
        assert not any(text in page for text in TEXTS.values()), reason
        assert "svg" not in page and "script" not in page


def test_head(door):
    visitor = Visitor(door)
    page, head = visitor.get(FORM), visitor.request("HEAD", FORM)
    assert head.status == 200 and head.body == b""
    assert head.header("Content-Length") == str(len(page.body))
    assert_page_headers(head, style_hash_of(page.body))


@pytest.mark.parametrize("path", [FORM, LOGOUT])
def test_other_methods(door, path):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "BREW"):
        uri = unique(path)
        answer = Visitor(door).request(method, uri, [URLENCODED], b"")
        assert_refused(door, answer, uri, 405, "-", method)
        assert answer.all("Set-Cookie") == [], method


def test_methods_that_are_allowed(door):
    """RFC 9110, 15.5.6: a 405 says which."""
    allowed = Visitor(door).request("PUT", FORM).header("Allow")
    assert set(allowed.replace(" ", "").split(",")) - {"TRACE"} == {"GET", "HEAD", "POST"}


def test_unknown_paths(door):
    door.expect("AH00026")
    for path in ("/eas-kcd/", "/eas-kcd/x", "/eas-kcd/login/", "/eas-kcd/LOGIN",
                 "/eas-kcd/login.html", "/eas-kcd/loginx", "/eas-kcd/login%2f",
                 "/eas-kcd/login%00", "/eas-kcd/login;x", "/eas-kcd/login/x", "/eas-kcd/logout/",
                 "/eas-kcd/login%20"):
        for method in ("GET", "POST"):
            answer = Visitor(door).request(method, path, [URLENCODED], urlencode(ALICE).encode())
            assert answer.status in (404, 400 if "%00" in path else 404), path
            assert_no_session(answer)


@pytest.mark.parametrize("conf", ["", "AllowEncodedSlashes On\n", "AllowEncodedSlashes NoDecode\n"])
@pytest.mark.parametrize("mapping", ["", "mapping=encoded"])
def test_no_way_around_through_the_login_path(gateway, backend, conf, mapping):
    """What needs no user is the login path only, however another path is made to look like it."""
    gw = gateway(conf + f"""
<Location "/">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    ProxyPass "{backend.url}/" {mapping}
</Location>
""")
    gw.expect("EAS1062", "AH00026")
    for path in ("/eas-kcd/../owa/", "/eas-kcd/%2e%2e/owa/", "/eas-kcd/.%2e/owa/",
                 "/eas-kcd/..%2fowa/", "/eas-kcd/%2e%2e%2fowa/", "/eas-kcd%2f..%2fowa/",
                 "/eas-kcd/..;/owa/", "/eas-kcd/login/../../owa/", "/eas-kcd//../owa/",
                 "//eas-kcd/../owa/", "/./eas-kcd/login/%2e%2e/%2e%2e/owa/", "/eas-kcd",
                 "/EAS-KCD/login", "/%65as-kcd/%2e%2e/owa/", "/%65as-kcd/x", "/eas-kcd/%5c../owa/",
                 "//eas-kcd/x", "/eas-kcd%2fx", "/x/../eas-kcd/x"):
        for agent in (BROWSER, PHONE):
            answer = Visitor(gw, agent).get(path)
            assert answer.status in (302, 400, 401, 404), path
            assert b"protected" not in answer.body, path
    assert backend.requests == []


def test_credentials_in_the_address_do_nothing(door):
    visitor = Visitor(door)
    uri = unique() + "&" + urlencode(ALICE)
    answer = visitor.get(uri)
    assert answer.status == 200
    assert_no_session(answer)
    page = answer.body.decode()
    assert "alice" not in page and PASSWORDS["alice"] not in page
    assert tag_of(door, uri) == "-"
    assert PASSWORDS["alice"] not in door.error_log.text()
    # Nor are they taken for what a POST lacks.
    uri = unique() + "&" + urlencode(ALICE)
    answer = post(visitor, urlencode({"token": visitor.fields()["token"]}).encode(), uri=uri)
    assert answer.status == 303 and answer.header("Location") == FORM + "?reason=wrong"
    assert_no_session(answer)
    assert tag_of(door, uri) == "EAS1107"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("agent", [BROWSER, PHONE], ids=["browser", "phone"])
def test_nothing_follows_the_refusal(door, agent, method):
    """A redirect or a challenge, complete, and then the next answer on the connection."""
    with door.client() as client:
        for _ in range(2):
            answer = client.request(method, "/owa/secret", headers=agent)
            form = agent == BROWSER and method in ("GET", "HEAD")
            assert answer.status == (302 if form else 401)
            assert b"protected" not in answer.body


# --- what is posted: malformed, incomplete, too much -----------------------------------------

def fields_of(visitor, **more):
    return {"token": visitor.fields()["token"], **ALICE, "destination": "/owa/x", "trusted": "0",
            **more}


INCOMPLETE = {
    "empty body": lambda f: b"",
    "nothing": lambda f: urlencode({"token": f["token"]}).encode(),
    "no user name": lambda f: urlencode({**f, "username": ""}).encode(),
    "no password": lambda f: urlencode({**f, "password": ""}).encode(),
    "password without a value": lambda f: urlencode({k: v for k, v in f.items()
                                                     if k != "password"}).encode() + b"&password",
    "the password's field missing": lambda f: urlencode({"token": f["token"],
                                                         "username": "alice"}).encode(),
    "ampersands only": lambda f: b"&&&",
}


def test_incomplete(door):
    visitor = Visitor(door)
    for what, body in INCOMPLETE.items():
        uri = unique()
        answer = post(visitor, body(fields_of(visitor)), uri=uri)
        assert answer.status == 303, what
        assert answer.header("Location").startswith(FORM + "?reason=wrong"), what
        assert_no_session(answer)
        assert tag_of(door, uri) == "EAS1107", what


def test_incomplete_keeps_the_destination(door):
    """Whoever forgets the password still wants to go where they were going."""
    visitor = Visitor(door)
    answer = post(visitor, urlencode(fields_of(visitor, password="")).encode())
    assert answer.status == 303
    assert answer.header("Location") == FORM + "?reason=wrong&destination=%2fowa%2fx"


MALFORMED = {
    "two user names": (b"&username=bob", "EAS1103"),
    "two passwords": (b"&password=x", "EAS1103"),
    "two tokens": (b"&token=x", "EAS1103"),
    "two destinations": (b"&destination=%2F", "EAS1103"),
    "two of trusted": (b"&trusted=4", "EAS1103"),
    "two names, one of them escaped": (b"&%75sername=bob", "EAS1103"),
    "two names, one without a value": (b"&username", "EAS1103"),
    "a percent sign": (b"&x=%", "EAS1102"),
    "half an escape": (b"&x=%0", "EAS1102"),
    "half an escape, inside": (b"&x=%4&y=1", "EAS1102"),
    "no hexadecimal": (b"&x=%zz", "EAS1102"),
    "IIS's own escape": (b"&x=%u0041", "EAS1102"),
    "an escaped NUL": (b"&x=%00", "EAS1102"),
    "a NUL": (b"&x=\0", "EAS1102"),
    "65 fields": (60 * b"&x=1", "EAS1104"),
    "100 ampersands": (100 * b"&", "EAS1104"),
    "one byte too many": (None, "EAS1092"),
    "100 000 fields": (100_000 * b"&", "EAS1092"),
}


@pytest.mark.parametrize("framing", [(), [("Transfer-Encoding", "chunked")]],
                         ids=["length", "chunked"])
def test_malformed(door, framing):
    visitor = Visitor(door)
    body = urlencode(fields_of(visitor)).encode()
    for what, (more, tag) in MALFORMED.items():
        if more is None:
            more = b"&x=" + (LIMIT + 1 - len(body) - 3) * b"y"
        uri = unique()
        answer = post(visitor, body + more, [URLENCODED, *framing], uri)
        assert_refused(door, answer, uri, 400, tag, what)
        assert TEXTS["bad-request"] in answer.body.decode(), what


MALFORMED_FIELDS = [
    ("username", "%ff", "EAS1105"), ("username", "%c0%af", "EAS1105"),
    ("username", "\xe9", "EAS1105"), ("destination", "/%ed%a0%80", "EAS1105"),
    ("token", "%80", "EAS1105"), ("trusted", "1", "EAS1106"), ("trusted", "", "EAS1106"),
    ("trusted", "4%20", "EAS1106"), ("password", "a%00b", "EAS1102"),
    ("username", "alice%00", "EAS1102"), ("destination", "", "EAS1093"),
    ("destination", "owa", "EAS1093"), ("destination", "//evil.example", "EAS1093")]


def test_malformed_field(door):
    visitor = Visitor(door)
    for field, value, tag in MALFORMED_FIELDS:
        fields = fields_of(visitor)
        del fields[field]
        uri = unique()
        answer = post(visitor, f"{urlencode(fields)}&{field}={value}".encode("latin-1"), uri=uri)
        assert_refused(door, answer, uri, 400, tag, (field, value))


def test_content_type(door):
    visitor = Visitor(door)
    body = urlencode(fields_of(visitor)).encode()
    for content_type in (
            None, "", "text/plain", "application/json", "multipart/form-data; boundary=x",
            "application/x-www-form-urlencodedx", "application/x-www-form-urlencoded, text/plain",
            "text/html; application/x-www-form-urlencoded"):
        uri = unique()
        headers = [] if content_type is None else [("Content-Type", content_type)]
        answer = post(visitor, body, headers, uri)
        assert_refused(door, answer, uri, 400, "EAS1100", content_type)


def test_multipart(door):
    visitor = Visitor(door)
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                   for name, value in fields_of(visitor).items()) + "--x--\r\n"
    uri = unique()
    answer = post(visitor, body.encode(), [("Content-Type", "multipart/form-data; boundary=x")],
                  uri)
    assert_refused(door, answer, uri, 400, "EAS1100")


def test_what_is_well_formed_though_unusual(mail):
    """The longest body, in chunks or not; another spelling of the type; unknown fields."""
    for headers, pad in (([URLENCODED], True),
                         ([URLENCODED, ("Transfer-Encoding", "chunked")], True),
                         ([("Content-Type", "Application/X-WWW-Form-URLencoded; charset=UTF-8")],
                          False)):
        visitor = Visitor(mail)
        body = urlencode(fields_of(visitor)).encode() + b"&x="
        if pad:
            body = body.ljust(LIMIT, b"y")
        answer = post(visitor, body, headers)
        assert answer.status == 303 and answer.header("Location") == "/owa/x"
        assert visitor.get("/owa/x").json()["remote_user"] == f"alice@{REALM}"


def test_passwords_arrive_as_they_were_typed(mail, domain):
    for password in ("a+b c%20&d=e", "  leading and trailing  ", "Grüße-€-日本", '"\'<>\\;#?/',
                     "%25%00-is-text", "x" * 120):
        domain.set_password("carol", password)
        visitor = Visitor(mail)
        assert visitor.log_on("carol", password, "/owa/").header("Location") == "/owa/", password
        assert visitor.get("/owa/").json()["remote_user"] == f"carol@{REALM}"
    domain.set_password("carol", PASSWORDS["carol"])


# --- a client that stops, stalls or lies -----------------------------------------------------

def raw(gw, headers, body, end):
    """Send a POST's beginning, then *end* the sending; what comes until the server hangs up."""
    uri = unique()
    visitor = Visitor(gw)
    token = visitor.fields()["token"]
    head = [f"POST {uri} HTTP/1.1", "Host: mail.example.test",
            "Content-Type: application/x-www-form-urlencoded",
            f"Cookie: {FORM_COOKIE}={visitor.jar[FORM_COOKIE]}", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", gw.port), timeout=30) as connection:
        connection.sendall("\r\n".join(head).encode()
                           + body.replace(b"TOKEN", token.encode()))
        end(connection)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass                # reset: by us, or because there was more that nobody has read
    return uri, answer


def stay(_):
    """Say no more, and wait."""


def stop(connection):
    connection.shutdown(socket.SHUT_WR)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


BODY = urlencode(ALICE).encode() + b"&token=TOKEN&destination=%2Fowa%2F"
BROKEN = {
    "stops": (["Content-Length: 5000"], BODY, stop),
    "stops at once": (["Content-Length: 5000"], b"", stop),
    "stalls": (["Content-Length: 5000"], BODY, stay),
    "resets": (["Content-Length: 5000"], BODY, reset),
    "stops in a chunk": (["Transfer-Encoding: chunked"], b"200\r\n" + BODY, stop),
    "stops between chunks": (["Transfer-Encoding: chunked"],
                             b"3\r\nx=1\r\n", stop),
    "stops before the last chunk": (["Transfer-Encoding: chunked"],
                                    b"%x\r\n%s\r\n" % (len(BODY) + 38, BODY), stop),
    "no chunk": (["Transfer-Encoding: chunked"], b"zz\r\n" + BODY, stop),
    "negative chunk": (["Transfer-Encoding: chunked"], b"-5\r\n" + BODY, stop),
    "huge chunk": (["Transfer-Encoding: chunked"], b"ffffffffffffffff1\r\n" + BODY, stop),
    "100 MB announced": (["Content-Length: 104857600"], BODY + 20_000 * b"y", stay),
    "100 MB in chunks": (["Transfer-Encoding: chunked"], b"6400000\r\n" + 20_000 * b"y", stay),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_body(plain_door, what):
    headers, body, end = BROKEN[what]
    uri, answer = raw(plain_door, headers, body, end)
    if end is not reset:
        # What does not fit a number httpd itself refuses, when it comes to read it.
        status = b"413" if what == "huge chunk" else b"400"
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
        assert answer.count(b"HTTP/1.1 ") == answer.count(b"</html>") == 1, answer
    assert COOKIE.encode() + b"=" not in answer
    assert tag_of(plain_door, uri) == "EAS1092"
    assert Visitor(plain_door).log_on("alice", PASSWORDS["alice"], "/owa/").status == 303


@pytest.mark.parametrize("headers", [["Content-Length: x"], ["Content-Length: -1"],
                                     ["Content-Length: 5, 6"], ["Transfer-Encoding: gzip"],
                                     ["Content-Length: 99999999999999999999999999"],
                                     ["Transfer-Encoding: chunked, gzip"]], ids=str)
def test_framing_that_httpd_itself_refuses(plain_door, headers):
    plain_door.expect("AH01587", "AH01592", "AH01593", "AH10365", "AH02555")
    _, answer = raw(plain_door, headers, BODY, stop)
    assert re.match(rb"HTTP/1.1 (400|501|413) ", answer), answer[:100]
    assert COOKIE.encode() + b"=" not in answer


def test_a_body_that_is_too_long_is_not_asked_for(plain_door):
    """auth/form.h: refused unread. Else whoever announces much holds a thread for long."""
    uri, answer = raw(plain_door, ["Content-Length: 104857600", "Expect: 100-continue"], b"", stop)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert tag_of(plain_door, uri) == "EAS1092"


def test_no_password_in_any_log(gateway, backend, domain):
    """At trace8, whatever becomes of the form."""
    secret = "Kanarien+Vogel im Käfig&1"
    domain.set_password("carol", secret)
    gw = gateway("EasKcdRequireTLS Off\nTimeout 2\n" + location(backend.url, path="/owa"),
                 tls=False, log_level="notice eas_kcd:trace8 authz_core:trace8")
    gw.expect("EAS1091")
    visitor = Visitor(gw)
    assert visitor.log_on("carol", secret).header("Location") == "/"
    assert "?reason=wrong" in visitor.log_on("carol", secret + "x").header("Location")
    assert visitor.log_on("dirk", secret).status == 303
    assert visitor.log_on(secret, secret).status == 303
    assert visitor.log_on("", secret).status == 303
    fields = fields_of(visitor, username="carol", password=secret)
    for more, _ in MALFORMED.values():
        post(visitor, urlencode(fields).encode() + (more or LIMIT * b"y"))
    assert visitor.submit(fields, [("Origin", "https://evil.example")]).status == 403
    assert visitor.submit(fields | {"destination": "//x"}).status == 400
    assert post(visitor, urlencode(fields).encode(), [("Content-Type", "text/plain")]).status == 400
    raw(gw, ["Content-Length: 5000"], urlencode(fields).encode(), stop)
    text = "".join((gw.root / name).read_text(errors="replace")
                   for name in ("error.log", "access.log", "output.log"))
    assert "EAS1030" in text and "EAS1103" in text
    # As a user name it is the name that was typed; there it may be.
    text = "\n".join(line for line in text.splitlines() if "EAS1031" not in line)
    spellings = {secret, quote(secret), quote(secret, safe=""), urlencode({"": secret})[1:],
                 base64.b64encode(secret.encode()).decode(), secret.encode().hex(), "Kanarien"}
    assert [spelling for spelling in spellings if spelling in text] == []
    domain.set_password("carol", PASSWORDS["carol"])


# --- whose form it is ------------------------------------------------------------------------

def flipped(text):
    return text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1]


FOREIGN = {
    "another origin": dict(headers=[("Origin", "https://evil.example")]),
    "no origin to speak of": dict(headers=[("Origin", "null")]),
    "empty origin": dict(headers=[("Origin", "")]),
    "a longer host": dict(headers=[("Origin", "https://mail.example.test.evil.example")]),
    "a host before it": dict(headers=[("Origin", "https://evil-mail.example.test")]),
    "a subdomain": dict(headers=[("Origin", "https://a.mail.example.test")]),
    "the parent": dict(headers=[("Origin", "https://example.test")]),
    "another port": dict(headers=[("Origin", "https://mail.example.test:8443")]),
    "a user before it": dict(headers=[("Origin", "https://mail.example.test@evil.example")]),
    "two origins": dict(headers=[("Origin", "https://mail.example.test"),
                                 ("Origin", "https://evil.example")]),
    "cross-site": dict(headers=[("Sec-Fetch-Site", "cross-site")]),
    "same-site": dict(headers=[("Sec-Fetch-Site", "same-site")]),
    "an empty site": dict(headers=[("Sec-Fetch-Site", "")]),
    "an unknown site": dict(headers=[("Sec-Fetch-Site", "self")]),
    "cross-site with our origin": dict(headers=[("Sec-Fetch-Site", "cross-site"),
                                                ("Origin", "https://mail.example.test")]),
    "no token": dict(token=None),
    "empty token": dict(token=""),
    "short token": dict(token=lambda token: token[:-4]),
    "long token": dict(token=lambda token: token + "AAAA"),
    "padded token": dict(token=lambda token: token + "="),
    "flipped token": dict(token=flipped),
    "the cookie as token": dict(token=lambda token: "cookie"),
    "blank in the token": dict(token=lambda token: token + " "),
    "another browser's token": dict(token=lambda token: "other"),
    "no cookie": dict(cookies=lambda cookie: []),
    "empty cookie": dict(cookies=lambda cookie: [""]),
    "flipped cookie": dict(cookies=lambda cookie: [flipped(cookie)]),
    "two cookies": dict(cookies=lambda cookie: [cookie, "x"]),
    "the cookie twice": dict(cookies=lambda cookie: [cookie, cookie]),
}


def test_a_form_that_is_not_ours(door):
    """With the right password."""
    door.expect("EAS1091")
    for what, case in FOREIGN.items():
        visitor = Visitor(door)
        fields = fields_of(visitor)
        token, cookie = fields["token"], visitor.jar.pop(FORM_COOKIE)
        wanted = case.get("token", token)
        if callable(wanted):
            wanted = wanted(token)
            other = {"cookie": cookie, "other": Visitor(door).fields()["token"]}
            wanted = other.get(wanted, wanted)
        fields["token"] = wanted
        body = urlencode({k: v for k, v in fields.items() if v is not None}).encode()
        cookies = [f"{FORM_COOKIE}={value}" for value in case.get("cookies", lambda c: [c])(cookie)]
        uri = unique()
        answer = post(visitor, body, [URLENCODED, *case.get("headers", ()),
                                      *([("Cookie", "; ".join(cookies))] if cookies else [])], uri)
        assert_refused(door, answer, uri, 403, "EAS1091", what)
        assert TEXTS["bad-request"] in answer.body.decode(), what


def test_form_cookies_are_random(door):
    cookies = {Visitor(door).get(FORM).header("Set-Cookie").partition("=")[2].split(";")[0]
               for _ in range(20)}
    assert len(cookies) == 20
    assert all(len(base64.urlsafe_b64decode(cookie + "==")) * 8 >= 128 for cookie in cookies)


@pytest.mark.parametrize("headers", [
    [], [("Origin", "https://mail.example.test")], [("Origin", "https://MAIL.example.test")],
    [("Sec-Fetch-Site", "same-origin")], [("Sec-Fetch-Site", "none")],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://mail.example.test")],
    [("Host", "mail.example.test:8443"), ("Origin", "https://mail.example.test:8443")]], ids=str)
def test_a_form_that_is_ours(mail, headers):
    visitor = Visitor(mail)
    answer = visitor.log_on("alice", PASSWORDS["alice"], "/owa/", headers=headers)
    assert answer.status == 303 and answer.header("Location") == "/owa/"
    assert visitor.session


def test_token_is_bound_to_the_gateway(gateway, backend):
    """What one gateway has issued with its own secret is worth nothing at another."""
    first, second = (gateway(location(backend.url, path="/owa")) for _ in range(2))
    second.expect("EAS1091")
    fields = (visitor := Visitor(first)).fields() | ALICE
    assert Visitor(second, jar=dict(visitor.jar)).submit(fields).status == 403
    assert visitor.submit(fields).status == 303
    assert backend.requests == []


def test_form_survives_a_graceful_restart(mail):
    visitor = Visitor(mail)
    fields = visitor.fields() | ALICE
    mail.graceful()
    assert visitor.submit(fields).header("Location") == "/"


# --- what is shown again ---------------------------------------------------------------------

class Structure(HTMLParser):
    """A page without what it says: tags and names of attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, [name for name, _ in attrs]))


def structure(answer):
    return Structure(answer.body.decode()).tags


# Whether it is a path of this site, however ugly.
MARKUP = {
    '"><svg/onload=alert(1)>': False, "'><svg/onload=alert(1)>": False,
    "<script>alert(1)</script>": False, "javascript:alert(1)": False, "/%n%s%x": False,
    "/owa/</form><form/action=//evil.example>": False,
    "/owa/\"><script>alert(1)</script>": True, "/owa/'onfocus='alert(1)'autofocus='": True,
    '/owa/"onfocus="alert(1)"x="': True, "/owa/</form><form/action=?//evil.example>": True,
    "/owa/&quot;&gt;&lt;svg&gt;": True, "/owa/`onload=x`": True, "/{{token}}": True,
    "/{{style}}": True, "/owa/+ADw-script+AD4-": True, "/owa/%22%3e%3csvg%3e": True,
    "/owa/--><svg>": True, "/owa/]]><svg>": True, "/owa/</style><svg>": True,
}


def test_markup_is_not_reflected(door):
    door.expect("EAS1091")
    visitor = Visitor(door)
    plain = structure(visitor.get(FORM))
    token = visitor.fields()["token"]
    for payload, is_path in MARKUP.items():
        for name in ("destination", "reason", "username", "title", "message", "x"):
            path = f"{FORM}?{name}={quote(payload, safe='')}"
            page = visitor.get(path)
            assert structure(page) == plain, (name, payload)
            refused = name == "destination" and not is_path
            assert page.status == (400 if refused else 200), (name, payload)
            shown = payload if name == "destination" and is_path else "/"
            assert visitor.fields(path) == {"token": token, "destination": shown}
            assert payload not in page.body.decode() or not re.search("[<>\"'&`=]", payload)
        for answer in (visitor.log_on(payload, "x"), visitor.log_on("alice", "x", payload),
                       visitor.submit({"token": payload, **ALICE})):
            assert answer.status in (303, 400, 403), payload
            assert_no_session(answer)
            if answer.status == 303:    # httpd's own page
                assert {tag for tag, _ in structure(answer)} == {"html", "head", "title", "body",
                                                                 "h1", "p", "a"}
                assert urllib.parse.urlsplit(answer.header("Location")).path == FORM
            else:
                assert structure(answer) == plain, payload


def test_title_is_escaped(gateway, backend):
    """It is the administrator's, but an ampersand is no mistake."""
    gw = gateway('<Location "/eas-kcd/">\nAuthName "A&B <i>Mail</i> \'x\'"\n</Location>\n'
                 + location(backend.url, path="/owa"))
    page = Visitor(gw).get(FORM)
    assert "<h1>A&amp;B &lt;i&gt;Mail&lt;/i&gt; &#39;x&#39;</h1>" in page.body.decode()


@pytest.mark.parametrize("encode", [lambda p: p, lambda p: quote_from_bytes(p, safe="").encode()],
                         ids=["once", "twice"])
def test_destinations_of_the_corpus(door, encode):
    """Where the form would lead after all is never elsewhere, and never a repaired address."""
    door.expect("EAS1091")
    visitor = Visitor(door)
    shown, sent, refused = {}, set(), 0
    with door.client() as client:
        for payload in map(encode, corpus()):
            query = quote_from_bytes(payload, safe="")
            answer = client.get(f"{FORM}?destination={query}", headers=BROWSER)
            assert answer.status in (200, 400), payload
            assert answer.header("Location") is None
            if answer.status == 200:
                value, = re.findall(r'name="destination" value="([^"]*)"', answer.body.decode())
                shown[payload] = value
            # The destination is judged before the token.
            answer = post(visitor, urlencode(ALICE).encode() + b"&token=&destination="
                          + query.encode(), uri=FORM)
            assert answer.status in (400, 403), payload
            assert answer.header("Location") is None
            refused += answer.status == 400
            if answer.status == 403:
                sent.add(payload)
    shown = {payload: html.unescape(value).encode() for payload, value in shown.items()}
    assert {p: v for p, v in shown.items() if p != v} == {}
    assert sent == set(shown)
    assert leaving([payload.decode() for payload in shown]) == []
    assert refused > 400


def test_destinations_that_were_accepted_are_led_to_as_they_are(gateway, backend):
    gw = gateway(location(backend.url, path="/owa"))
    visitor = Visitor(gw)
    for destination in ("/", "/owa/?a=b+c&d=%2B&e=https://x", "/owa/a%20b;c=1", "/owa/?q=%0d%0aX:1",
                        "/a:b@c", "/" + 2047 * "a"):
        hidden = visitor.fields(f"{FORM}?destination={quote(destination, safe='')}")
        assert hidden["destination"] == destination
        answer = visitor.submit(hidden | ALICE)
        assert answer.status == 303
        assert answer.all("Location") == [destination]
        assert answer.all("X") == []


def test_a_destination_that_is_refused_is_logged(door):
    """As it is when it is posted: every refusal has its tag."""
    uri = unique() + "&destination=//evil.example"
    answer = Visitor(door).get(uri)
    assert answer.status == 400
    assert tag_of(door, uri) == "EAS1093"


@pytest.mark.parametrize("query", ["destination=/a&destination=//evil.example",
                                   "destination=//evil.example&destination=/a",
                                   "destination=/owa%00//evil.example", "destination=/owa%zz"])
def test_ambiguous_destination_in_the_address(door, query):
    """Bad encodings and duplicates are refused, as they are in a body, and not repaired."""
    answer = Visitor(door).get(f"{FORM}?{query}")
    assert answer.status == 400
    assert answer.header("Location") is None


@pytest.mark.parametrize("name", ["destination", "url", "next", "return", "redirect", "goto"])
def test_sign_out_has_no_destination(mail, name):
    """Nothing in the request chooses where it leads."""
    visitor = Visitor(mail)
    visitor.log_on("alice", PASSWORDS["alice"])
    for method, body in (("GET", None), ("POST", f"{name}=//evil.example".encode())):
        answer = visitor.request(method, f"{LOGOUT}?{name}=//evil.example", [URLENCODED], body)
        assert answer.status == 303
        assert answer.all("Location") == [FORM + "?reason=signed-out"]
        assert b"evil" not in answer.body
    assert visitor.session is None
    assert visitor.get("/owa/").status == 302


def test_host_header_never_shows(door):
    """Locations are paths, so that it does not matter who the client says we are."""
    for headers in ([("Host", "evil.example")], [("X-Forwarded-Host", "evil.example")],
                    [("Host", "mail.example.test:8443")], [("Forwarded", "host=evil.example")]):
        for path in (FORM, "/owa/", LOGOUT):
            answer = Visitor(door).get(path, headers)
            assert answer.status in (200, 302, 303)
            assert "evil" not in "".join(answer.all("Location")) + answer.body.decode()
            assert all(value.startswith("/") for value in answer.all("Location"))


# --- sessions at log-on ----------------------------------------------------------------------

def test_a_planted_cookie_is_replaced(mail):
    for planted in ("x", "", 120 * "A", 4000 * "B"):
        visitor = Visitor(mail, jar={COOKIE: planted})
        assert visitor.log_on("alice", PASSWORDS["alice"]).status == 303
        assert visitor.session not in (planted, None)
        assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
        assert Visitor(mail, jar={COOKIE: planted}).get("/owa/").status == 302


def test_a_planted_session_dies_at_log_on(mail):
    """The attacker's own, good session in the victim's browser (session fixation)."""
    attacker = Visitor(mail)
    attacker.log_on("bob", PASSWORDS["bob"])
    planted = attacker.session
    victim = Visitor(mail, jar={COOKIE: planted})
    assert victim.log_on("alice", PASSWORDS["alice"]).status == 303
    assert victim.session != planted
    assert victim.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    assert attacker.session == planted
    assert attacker.get("/owa/").status == 302


def test_a_failed_log_on_leaves_the_session_alone(mail):
    visitor = Visitor(mail)
    visitor.log_on("alice", PASSWORDS["alice"])
    before = visitor.session
    assert visitor.log_on("bob", "nonsense").status == 303
    assert visitor.session == before
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"


def test_every_log_on_is_another_session(mail):
    visitors = [Visitor(mail) for _ in range(5)]
    for visitor in visitors:
        visitor.log_on("alice", PASSWORDS["alice"])
    assert len({visitor.session for visitor in visitors}) == 5
    assert visitors[0].get(LOGOUT).status == 303
    assert [visitor.get("/owa/").status for visitor in visitors] == [302, 200, 200, 200, 200]


# --- where the form is -----------------------------------------------------------------------

def test_below_a_proxied_root(gateway, backends):
    """`ProxyPass /` has everything, and all of it needs a user; not so the form."""
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url + "/", path="/"))
    gw.expect("EAS1062")
    visitor = Visitor(gw)
    assert visitor.get("/owa/").header("Location") == FORM + "?destination=%2fowa%2f"
    assert visitor.get(FORM).status == 200
    assert visitor.log_on("alice", PASSWORDS["alice"], "/owa/").header("Location") == "/owa/"
    assert cas1.requests() == []
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    until(cas1.requests, 5, "the backend's log line")
    cas1.mark()
    assert visitor.get(LOGOUT).status == 303
    assert visitor.get("/eas-kcd/x").status == 404
    assert cas1.requests() == []


@pytest.mark.parametrize("mapping", [
    'ProxyPassMatch "^/(.*)$" "{url}/$1"', 'ProxyPass "/" "{url}/" mapping=encoded',
    'RewriteEngine On\nRewriteRule "^/(.*)$" "{url}/$1" [P]',
    'DocumentRoot "/usr/share"'], ids=lambda mapping: mapping.split()[0])
def test_form_comes_before_every_mapping(gateway, backend, mapping):
    gw = gateway(mapping.format(url=backend.url) + """
<Location "/">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
</Location>
""")
    visitor = Visitor(gw)
    assert visitor.get(FORM).status == 200
    assert visitor.log_on("alice", PASSWORDS["alice"], "/owa/").header("Location") == "/owa/"
    assert visitor.get(LOGOUT).status == 303
    assert backend.requests == []


REQUIRES = {
    "another address": ("Require ip 10.0.0.1", 403),
    "nobody": ("Require all denied", 403),
    "another address and a user":
        ("<RequireAll>\nRequire ip 10.0.0.1\nRequire valid-user\n</RequireAll>", 403),
    "not from here": ("<RequireAll>\nRequire not ip 127.0.0.1\nRequire valid-user\n</RequireAll>",
                      403),
    "this address and a user":
        ("<RequireAll>\nRequire ip 127.0.0.1\nRequire valid-user\n</RequireAll>", 200),
    "this address, or a user": ("Require ip 127.0.0.1\nRequire valid-user", 200),
    "another address, or a user": ("Require ip 10.0.0.1\nRequire valid-user", 200),
    "one user": (f"Require user nobody@{REALM}", 200),
}


@pytest.mark.parametrize("what", REQUIRES)
def test_exempt_from_users_only(gateway, backend, what):
    require, status = REQUIRES[what]
    gw = gateway(location(backend.url + "/", path="/", require=require))
    gw.expect("AH01630")
    visitor = Visitor(gw)
    assert visitor.get(FORM).status == status
    answer = visitor.log_on("alice", PASSWORDS["alice"])
    assert answer.status == (303 if status == 200 else 403)
    if status == 403:
        assert visitor.jar == {}
        assert "AH01630" in gw.error_log.text()
    assert backend.requests == []


def test_another_path(gateway, backends):
    cas1 = backends("cas1")
    gw = gateway("EasKcdLoginPath /owa/auth/\n" + location(cas1.url, path="/owa"))
    gw.expect("EAS1062")
    visitor = Visitor(gw)
    form = "/owa/auth/login"
    assert visitor.get("/owa/").header("Location") == form + "?destination=%2fowa%2f"
    page = visitor.get(form)
    assert page.status == 200 and f'action="{form}"'.encode() in page.body
    answer = visitor.submit(visitor.fields(form) | ALICE | {"destination": "/owa/"}, path=form)
    assert answer.header("Location") == "/owa/"
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    assert visitor.get("/owa/auth/logout").header("Location") == form + "?reason=signed-out"
    assert visitor.get("/owa/").status == 302
    assert visitor.get(FORM).status == 404


@pytest.mark.parametrize("path", ["eas/", "/eas", "/", "//x/", "/a/../b/", "/a b/", "/a%2f/"])
def test_paths_that_are_none(gateway, path):
    code, said = gateway(f'EasKcdLoginPath "{path}"', start=False).check_config()
    assert code != 0 and "EasKcdLoginPath" in said and "/eas-kcd/" in said


PAGE = """<!DOCTYPE html><title>{{title}}</title><style>{{style}}</style>
<p class="{{reason}}">{{message}}</p>
<form method="post" action="{{action}}"><input type="hidden" name="token" value="{{token}}">
<input type="hidden" name="destination" value="{{destination}}">
<input name="username" value="{{username}}"><input type="password" name="password">
<input type="radio" name="trusted" value="0" {{checked_public}}>
<input type="radio" name="trusted" value="4" {{checked_private}}><button>Anmelden – Grüße</button>
</form>{ {not} } one }} {{title}}
"""


def test_a_page_of_ones_own(gateway, backends, lab_dir):
    file = lab_dir / "login.html"
    file.write_text(PAGE)
    gw = gateway(f'EasKcdLoginPage "{file}"\n<Location "/eas-kcd/">\nAuthName "A&B"\n</Location>\n'
                 + location(backends("cas1").url, path="/owa"))
    gw.expect("EAS1062")
    visitor = Visitor(gw)
    page = visitor.get(FORM + "?reason=wrong&destination=/owa/%22x").body.decode()
    assert "{{" not in page
    assert "<title>A&amp;B</title>" in page and "{ {not} } one }} A&amp;B" in page
    assert f'<p class="wrong">{TEXTS["wrong"]}' in page
    assert 'name="destination" value="/owa/&#34;x"' in page and "Anmelden – Grüße" in page
    assert 'value="0" checked>' in page and 'value="4" >' in page
    assert_page_headers(visitor.get(FORM), style_hash_of(page.encode()))
    assert visitor.log_on("alice", PASSWORDS["alice"], "/owa/").header("Location") == "/owa/"
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"


BAD_PAGES = {
    "unknown placeholder": (PAGE.replace("{{title}}", "{{titel}}").encode(), "EAS1130", "titel"),
    "empty placeholder": (PAGE.replace("{{title}}", "{{}}").encode(), "EAS1130", "line 1"),
    "blank in a placeholder": (PAGE.replace("{{reason}}", "{{ reason }}").encode(), "EAS1130",
                               "line 2"),
    "open": (PAGE.replace("{{style}}", "{{style").encode(), "EAS1131", "line 1"),
    "open at the end": (PAGE.encode() + b"{{title", "EAS1131", "title"),
    "no token": (PAGE.replace("{{token}}", "").encode(), "EAS1132", "token"),
    "no action": (PAGE.replace("{{action}}", "").encode(), "EAS1132", "action"),
    "no destination": (PAGE.replace("{{destination}}", "").encode(), "EAS1132", "destination"),
    "empty": (b"", "EAS1132", "placeholder"),
    "Latin-1": (PAGE.encode("latin-1", "replace"), "EAS1133", "UTF-8"),
    "UTF-16": (PAGE.encode("utf-16"), "EAS1133", "UTF-8"),
    "NUL": (PAGE.encode() + b"\0", "EAS1133", "UTF-8"),
    "too long": (PAGE.encode() + (1 << 22) * b" ", "EAS3030", "EasKcdLoginPage"),
}


@pytest.mark.parametrize("what", BAD_PAGES)
def test_a_broken_page_of_ones_own(gateway, lab_dir, what):
    """It stops start-up, and `httpd -t` already: the words name the directive and the place."""
    page, tag, names = BAD_PAGES[what]
    file = lab_dir / "broken.html"
    file.write_bytes(page)
    gw = gateway(f'EasKcdLoginPage "{file}"', start=False)
    code, said = gw.check_config()
    assert code != 0 and tag in said and names in said, said
    assert tag in gw.refusal()


def test_a_broken_page_names_its_directive(gateway, lab_dir):
    """DESIGN 3: a sentence naming the directive and the cure."""
    file = lab_dir / "unnamed.html"
    file.write_text(PAGE.replace("{{token}}", ""))
    code, said = gateway(f'EasKcdLoginPage "{file}"', start=False).check_config()
    assert code != 0 and ("EasKcdLoginPage" in said or "unnamed.html" in said), said


def test_a_page_that_is_not_there(gateway):
    code, said = gateway("EasKcdLoginPage /nonexistent.html", start=False).check_config()
    assert code != 0 and "EAS3030" in said and "/nonexistent.html" in said


# --- refused otherwise -----------------------------------------------------------------------

def test_plain_http(gateway, backend):
    """No form, no look at the password, no cookie without TLS."""
    gw = gateway(location(backend.url + "/", path="/"), tls=False)
    gw.expect("EAS1096", "EAS1060")
    for method, body in (("GET", None), ("HEAD", None), ("POST", urlencode(ALICE).encode())):
        uri = unique()
        answer = Visitor(gw).request(method, uri, [URLENCODED], body)
        assert_refused(gw, answer, uri, 403, "EAS1096")
        assert answer.all("Set-Cookie") == [] and answer.header("WWW-Authenticate") is None
    assert Visitor(gw).get(LOGOUT).status == 403
    assert backend.requests == []


def test_kdc_down(gateway, backend, relay):
    gw = gateway(location(backend.url, path="/owa"), krb5_conf=relay.krb5_conf)
    gw.expect("EAS1036")
    visitor = Visitor(gw)
    fields = fields_of(visitor, destination="/owa/?a=b")
    relay.refuse()
    uri = unique()
    answer = visitor.submit(fields, path=uri)
    assert_refused(gw, answer, uri, 503, "EAS1036")
    assert answer.header("Retry-After") == "30"
    page = answer.body.decode()
    assert TEXTS["try-later"] in page and PASSWORDS["alice"] not in page and "alice" not in page
    assert 'name="destination" value="/owa/?a&#61;b"' in page
    assert backend.requests == []
    relay.relay()
    assert visitor.submit(fields).header("Location") == "/owa/?a=b"


ACCOUNTS = {                # user, password, reason, tag
    "must change": ("mike", PASSWORDS["mike"], "expired", "EAS1033"),
    "must change, wrong": ("mike", "nonsense", "wrong", "EAS1030"),
    "disabled": ("dirk", PASSWORDS["dirk"], "wrong", "EAS1032"),
    "disabled, wrong": ("dirk", "nonsense", "wrong", "EAS1030"),
    "expired account": ("ernst", PASSWORDS["ernst"], "wrong", "EAS1032"),
    "unknown": ("nobody", "nonsense", "wrong", "EAS1031"),
    "wrong": ("alice", "nonsense", "wrong", "EAS1030"),
    "machine": ("gateway$", PASSWORDS["gateway"], "wrong", "EAS1002"),
    "service": ("HTTP/gateway.corp.example.test", PASSWORDS["gateway"], "wrong", "EAS1002"),
    "unmapped domain": (r"EVIL\alice", PASSWORDS["alice"], "wrong", "EAS1003"),
    "blank": ("alice ", PASSWORDS["alice"], "wrong", "EAS1001"),
    "CRLF": ("alice\r\nX: 1", PASSWORDS["alice"], "wrong", "EAS1005"),
    "3000 characters": (3000 * "a", "nonsense", "wrong", "EAS1005"),
}


def test_accounts_that_may_not(door, domain):
    answers = {}
    for what, (user, password, reason, tag) in ACCOUNTS.items():
        if domain.checks_account_first:     # the password is not verified
            reason, tag = "wrong", domain.tag_of(user, tag)
        visitor, uri = Visitor(door), unique()
        answer = visitor.submit(fields_of(visitor, username=user, password=password), path=uri)
        assert answer.status == 303, what
        assert answer.header("Location") == f"{FORM}?reason={reason}&destination=%2fowa%2fx", what
        assert_no_session(answer)
        assert tag_of(door, uri) == tag, what
        assert TEXTS[reason] in visitor.get(answer.header("Location")).body.decode(), what
        if reason == "wrong":
            headers = tuple((n, v) for n, v in answer.headers if n not in VARYING)
            answers.setdefault((headers, answer.body), []).append(what)
    assert len(answers) == 1, answers
    assert not [line for line in door.error_log.text().splitlines() if line.startswith("X: 1")]


def test_a_header_too_large_shows_no_cookie(door):
    """Httpd's own error page."""
    canary = "SecretCookieValue"
    with door.client() as client:
        answer = client.get(FORM, headers=[("Cookie", f"{COOKIE}={canary}; x={9000 * 'y'}")])
    assert answer.status == 400
    assert canary not in answer.body.decode()


@pytest.mark.parametrize("conf", ["", "CacheStoreNoStore On\nCacheStorePrivate On\n"
                                      "CacheIgnoreCacheControl On\nCacheIgnoreNoLastMod On\n"
                                      "CacheDefaultExpire 600\n"], ids=["decent", "foolish"])
def test_caches_keep_no_form(gateway, fake_backends, conf):
    """A token that is handed to everybody protects nobody. test_isolation.py holds the same
    configuration against the pages of known users."""
    served = itertools.count()
    backend = fake_backends(lambda _: response("200 OK", [("Cache-Control", "max-age=600")],
                                               b"%d" % next(served)))
    gw = gateway("CacheEnable socache /\nCacheQuickHandler On\nCacheSocache shmcb\n" + conf
                 + f'<Location "/open">\nProxyPass "{backend.url}"\n</Location>\n'
                 + location(backend.url, path="/owa"),
                 modules=(*MODULES, "cache", "cache_socache"))
    gw.expect("EAS1062")
    assert gw.get("/open").body == gw.get("/open").body, "the cache is not working"
    for path in (FORM, FORM + "?reason=wrong"):
        first, second = Visitor(gw), Visitor(gw)
        assert first.fields(path)["token"] != second.fields(path)["token"]
        assert first.jar[FORM_COOKIE] != second.jar[FORM_COOKIE]
    for path in ("/owa/", LOGOUT):
        assert Visitor(gw).get(path).header("Cache-Control") == "no-store"
    visitor = Visitor(gw)
    assert visitor.get("/owa/").status == 302
    visitor.log_on("alice", PASSWORDS["alice"])
    assert visitor.get("/owa/").status == 200
    assert Visitor(gw).get("/owa/").status == 302


# --- many at once ----------------------------------------------------------------------------

# Cold, each is proved by the KDC: libkrb5 gives up by itself on one that has 200 in its queue.
@pytest.mark.parametrize("cache,threads", [("off", 50), ("5m", 200)], ids=["cold", "warm"])
def test_200_log_ons_at_once(gateway, fake_backends, cache, threads):
    """Each is its own user's session."""
    backend = fake_backends(
        lambda request: response("200 OK", body=request.all("X-User")[0].encode()))
    gw = gateway(f"""
EasKcdKdcTimeout 60s
EasKcdPasswordCache {cache}
<Location "/owa">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    RequestHeader set X-User "expr=%{{REMOTE_USER}}"
    ProxyPass "{backend.url}"
</Location>
""", threads=120)

    def log_on(user):
        visitor = Visitor(gw)
        done = visitor.log_on(user, PASSWORDS[user], "/owa/")
        return user, visitor, (done.status, done.header("Location"))

    users = [f"user{n:02}" for n in range(1, 21)]
    if cache != "off":
        for user in users:
            log_on(user)
    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(log_on, 10 * users))
        assert {outcome for _, _, outcome in results} == {(303, "/owa/")}
        assert len({visitor.session for _, visitor, _ in results}) == 200
        seen = pool.map(lambda result: result[1].get("/owa/").body.decode(), results)
        assert list(seen) == [f"{user}@{REALM}" for user in 10 * users]
