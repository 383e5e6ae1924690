# SPDX-License-Identifier: Apache-2.0
"""The login form as it is posted: its fields, its origin, its token, and the session it begins."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import VARYING, location
from lab.fake_backend import response
from lab.frontdoor import CHANGE, COOKIE, FORM, FORM_COOKIE, LOGOUT, Visitor
from lab.login_form import (ALICE, LIMIT, TEXTS, URLENCODED, assert_no_session, assert_refused,
                            fields_of, post, tag_of)
from lab.unique import unique_path

# --- malformed, incomplete, too much ---------------------------------------------------------

@pytest.mark.smoke
def test_incomplete(protected):
    """The form again; an incomplete one keeps its destination, an empty body has none."""
    visitor = Visitor(protected)
    for body, destination in ((b"", ""), (urlencode(fields_of(visitor, password="")).encode(),
                                          "&destination=%2fowa%2fx")):
        uri = unique_path(FORM)
        answer = post(visitor, body, uri=uri)
        assert answer.status == 303
        assert answer.header("Location") == f"{FORM}?reason=wrong{destination}"
        assert_no_session(answer)
        assert tag_of(protected, uri) == "EAS1107"


# One for each tag; t/unit/test_form.c has all the others.
MALFORMED = {
    "two user names": (b"&username=bob", "EAS1103"),
    "half an escape": (b"&x=%0", "EAS1102"),
    "65 fields": (60 * b"&x=1", "EAS1104"),
    "one byte too many": (None, "EAS1092"),
}


@pytest.mark.parametrize("framing", [(), [("Transfer-Encoding", "chunked")]],
                         ids=["length", "chunked"])
def test_malformed(protected, framing):
    visitor = Visitor(protected)
    body = urlencode(fields_of(visitor)).encode()
    for what, (more, tag) in MALFORMED.items():
        if more is None:
            more = b"&x=" + (LIMIT + 1 - len(body) - 3) * b"y"
        uri = unique_path(FORM)
        answer = post(visitor, body + more, [URLENCODED, *framing], uri)
        assert_refused(protected, answer, uri, 400, tag, what)
        assert TEXTS["bad-request"] in answer.body.decode(), what


MALFORMED_FIELDS = [("trusted", "%ff", "EAS1105"), ("trusted", "1", "EAS1106"),
                    ("destination", "", "EAS1093"), ("destination", "//evil.example", "EAS1093"),
                    ("destination", "/%2565as-kcd/logout?everywhere=1", "EAS1093")]


def test_malformed_field(protected):
    visitor = Visitor(protected)
    for field, value, tag in MALFORMED_FIELDS:
        fields = fields_of(visitor)
        del fields[field]
        uri = unique_path(FORM)
        answer = post(visitor, f"{urlencode(fields)}&{field}={value}".encode("latin-1"), uri=uri)
        assert_refused(protected, answer, uri, 400, tag, (field, value))


def test_content_type(protected):
    visitor = Visitor(protected)
    body = urlencode(fields_of(visitor)).encode()
    for content_type in (None, "multipart/form-data; boundary=x"):
        uri = unique_path(FORM)
        headers = [] if content_type is None else [("Content-Type", content_type)]
        answer = post(visitor, body, headers, uri)
        assert_refused(protected, answer, uri, 400, "EAS1100", content_type)


def test_unusual_and_well_formed(webmail):
    """The longest body, in chunks or not; another spelling of the type; unknown fields."""
    for headers, pad in (([URLENCODED], True),
                         ([URLENCODED, ("Transfer-Encoding", "chunked")], True),
                         ([("Content-Type", "Application/X-WWW-Form-URLencoded; charset=UTF-8")],
                          False)):
        visitor = Visitor(webmail)
        body = urlencode(fields_of(visitor)).encode() + b"&x="
        if pad:
            body = body.ljust(LIMIT, b"y")
        answer = post(visitor, body, headers)
        assert answer.status == 303 and answer.header("Location") == "/owa/x"
        assert visitor.get("/owa/x").json()["remote_user"] == f"alice@{REALM}"


def test_names_as_people_type_them(webmail):
    """A name in the charset of Windows is no wrong form: it is asked about."""
    for name in (" alice", "alice\t ", "\\alice", rf" {REALM} \ alice@{REALM}",
                 "\u200ealice\u00a0", f"{REALM}.\uff3calice"):
        visitor = Visitor(webmail)
        assert visitor.log_on(name, PASSWORDS["alice"], "/owa/").header("Location") == "/owa/", name
        assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    visitor, uri = Visitor(webmail), unique_path(FORM)
    body = urlencode(fields_of(visitor, username="Bo\u0161in\xe1k"), encoding="cp1252").encode()
    answer = post(visitor, body, uri=uri)
    assert "reason=wrong" in answer.header("Location")
    assert tag_of(webmail, uri) == "EAS1031"


def test_passwords_arrive_as_they_were_typed(webmail, domain):
    for password in ("  a+b c%20&d=e%00  ", "Grüße-€-日本"):
        domain.set_password("carol", password)
        visitor = Visitor(webmail)
        assert visitor.log_on("carol", password, "/owa/").header("Location") == "/owa/", password
        assert visitor.get("/owa/").json()["remote_user"] == f"carol@{REALM}"
    domain.set_password("carol", PASSWORDS["carol"])

# --- whose form it is ------------------------------------------------------------------------

def flipped(text):
    return text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1]


FOREIGN = {
    "another origin": dict(headers=[("Origin", "https://evil.example")]),
    "null among origins": dict(headers=[("Origin", "null"), ("Origin", "null")]),
    "null of another site": dict(headers=[("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]),
    "null without a token": dict(headers=[("Origin", "null")], token=None),
    "null with another browser's token": dict(headers=[("Origin", "null")], token=lambda _: "other"),
    "null without a cookie": dict(headers=[("Origin", "null")], cookies=lambda _: []),
    "plain http": dict(headers=[("Origin", "http://mail.example.test")]),
    "a path behind it": dict(headers=[("Origin", "https://mail.example.test/")]),
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


@pytest.mark.smoke
def test_forged_form(protected):
    """With the right password."""
    protected.expect("EAS1091")
    for what, case in FOREIGN.items():
        visitor = Visitor(protected)
        fields = fields_of(visitor)
        token, cookie = fields["token"], visitor.jar.pop(FORM_COOKIE)
        wanted = case.get("token", token)
        if callable(wanted):
            wanted = wanted(token)
            other = {"cookie": cookie, "other": Visitor(protected).fields()["token"]}
            wanted = other.get(wanted, wanted)
        fields["token"] = wanted
        body = urlencode({k: v for k, v in fields.items() if v is not None}).encode()
        cookies = [f"{FORM_COOKIE}={value}" for value in case.get("cookies", lambda c: [c])(cookie)]
        uri = unique_path(FORM)
        answer = post(visitor, body, [URLENCODED, *case.get("headers", ()),
                                      *([("Cookie", "; ".join(cookies))] if cookies else [])], uri)
        assert_refused(protected, answer, uri, 403, "EAS1091", what)
        assert TEXTS["bad-request"] in answer.body.decode(), what


@pytest.mark.parametrize("headers", [
    [], [("Origin", "https://mail.example.test")], [("Origin", "https://MAIL.example.test")],
    [("Sec-Fetch-Site", "same-origin")], [("Sec-Fetch-Site", "none")],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://mail.example.test")],
    [("Host", "mail.example.test:8443"), ("Origin", "https://mail.example.test:8443")],
    [("Host", "mail.example.test:443"), ("Origin", "https://mail.example.test")],
    [("Origin", "https://mail.example.test:443")], [("Origin", "null")],
    [("Origin", "https://mail.example.test.")],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "null")]], ids=str)
def test_genuine_form(webmail, headers):
    visitor = Visitor(webmail)
    answer = visitor.log_on("alice", PASSWORDS["alice"], "/owa/", headers=headers)
    assert answer.status == 303 and answer.header("Location") == "/owa/"
    assert visitor.session


def test_public_name_where_a_load_balancer_rewrites_host(gateway, ok_backend):
    """The names of the virtual host are public; any other is named, with the cure."""
    gw = gateway(f"""
EasKcdRequireTLS Off
<VirtualHost *>
    ServerName mail.example.test
    ServerAlias owa.example.test *.wild.example.test
    {location(ok_backend.url, path="/owa")}
</VirtualHost>
""", tls=False)
    gw.expect("EAS1091")
    for origin in ("https://mail.example.test", "https://owa.example.test:443"):
        for host in ("gw1.internal:8443", "10.0.0.1"):
            answer = Visitor(gw).log_on("alice", PASSWORDS["alice"], "/owa/",
                                        headers=[("Host", host), ("Origin", origin)])
            assert answer.header("Location") == "/owa/", (origin, host)
    uri = unique_path(FORM)
    for origin in ("https://webmail.example.test", "https://a.wild.example.test",
                   "https://owa.example.test:8443"):
        visitor = Visitor(gw)
        answer = visitor.submit(fields_of(visitor), [("Host", "gw1"), ("Origin", origin)], uri)
        assert answer.status == 403 and "cookies" not in answer.body.decode()
        assert "usual address" in answer.body.decode()
        assert f"Origin {origin}, Host gw1" in gw.error_log.text()
        assert 'value="/owa/x"' in answer.body.decode()


TYPED = f"{COOKIE}-typed="
NAME = 'CORP\\alice "<x>"'


def test_typed_name_and_choice_are_kept(webmail):
    """On one page, after a wrong password; neither in an address nor in a cookie that tells it."""
    for private in (True, False):
        visitor = Visitor(webmail)
        answer = visitor.log_on(NAME, "nonsense", "/owa/x", trusted=private)
        cookie = next(v for v in answer.all("Set-Cookie") if v.startswith(TYPED))
        assert answer.header("Location") == f"{FORM}?reason=wrong&destination=%2fowa%2fx"
        assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
        page = visitor.get(answer.header("Location")).body.decode()
        assert 'name="username" type="text" value="CORP\\alice &#34;&lt;x&gt;&#34;"' in page
        assert f'value="{4 if private else 0}" checked' in page and "nonsense" not in page
        assert list(visitor.jar) == [FORM_COOKIE]
        assert 'type="text" value=""' in visitor.get(answer.header("Location")).body.decode()


def test_what_was_typed_is_for_its_browser_and_for_that_page(webmail):
    visitor, other = Visitor(webmail), Visitor(webmail)
    other.fields()
    location = visitor.log_on(NAME, "nonsense", "/owa/x").header("Location")
    name, form = TYPED.removesuffix("="), visitor.jar[FORM_COOKIE]
    typed = visitor.jar[name]
    for jar, path in (({FORM_COOKIE: other.jar[FORM_COOKIE], name: typed}, location),
                      ({FORM_COOKIE: form, name: flipped(typed)}, location), ({name: typed}, location),
                      ({FORM_COOKIE: form, name: typed}, FORM)):
        reader = Visitor(webmail, jar=dict(jar))
        assert 'type="text" value=""' in reader.get(path).body.decode()
        assert name not in reader.jar


def test_backends_get_nothing_that_was_typed(webmail):
    visitor = Visitor(webmail)
    visitor.log_on("alice", PASSWORDS["alice"], "/owa/")
    visitor.jar |= {TYPED.removesuffix("="): "x", "a": "b"}
    headers = dict(visitor.get("/owa/x").json()["headers"])
    assert headers["Cookie"] == "a=b"


def test_null_is_no_origin_where_another_site_can_set_the_cookie(gateway, ok_backend):
    """Without __Host-, another site of the domain can give the browser a token of its own."""
    gw = gateway("EasKcdSessionCookie mail\n" + location(ok_backend.url, path="/owa"))
    gw.expect("EAS1091")
    visitor = Visitor(gw)
    fields = fields_of(visitor)
    assert visitor.submit(fields, [("Origin", "null")]).status == 403
    assert visitor.submit(fields).status == 303


def test_sign_out_where_the_browser_hides_the_origin(webmail):
    """The token of the sign-out page decides."""
    visitor, hidden = Visitor(webmail), [("Origin", "null")]
    visitor.log_on("alice", PASSWORDS["alice"], "/owa/")
    page = visitor.request("POST", LOGOUT, hidden, b"").body.decode()
    assert "Do you want to sign out?" in page and visitor.session
    token = re.search('name="token" value="([^"]+)"', page)[1]
    answer = visitor.submit({"token": token}, hidden, LOGOUT)
    assert answer.header("Location") == FORM + "?reason=signed-out" and not visitor.session


def test_a_form_that_is_shown_again_keeps_its_destination(protected):
    """Whatever was wrong; but only a destination of this site."""
    protected.expect("EAS1091")
    for change, status in (({"token": "x"}, 403), ({"token": "x", "destination": "//evil"}, 400)):
        visitor = Visitor(protected)
        answer = visitor.submit({**fields_of(visitor), **change})
        page = answer.body.decode()
        assert answer.status == status
        assert f'name="destination" value="{"/owa/x" if status == 403 else "/"}"' in page


def test_token_is_bound_to_the_gateway(gateway, ok_backend):
    """A token that one gateway has issued with its own secret is refused by another."""
    first, second = (gateway(location(ok_backend.url, path="/owa")) for _ in range(2))
    second.expect("EAS1091")
    fields = (visitor := Visitor(first)).fields() | ALICE
    assert Visitor(second, jar=dict(visitor.jar)).submit(fields).status == 403
    assert visitor.submit(fields).status == 303
    assert ok_backend.requests == []


def test_form_survives_a_graceful_restart(webmail):
    visitor = Visitor(webmail)
    fields = visitor.fields() | ALICE
    webmail.graceful()
    assert visitor.submit(fields).header("Location") == "/"


def test_destinations_that_were_accepted_are_led_to_as_they_are(gateway, ok_backend):
    gw = gateway(location(ok_backend.url, path="/owa"))
    visitor = Visitor(gw)
    for destination in ("/", "/owa/?a=b+c&d=%2B&e=https://x", "/owa/a%20b;c=1", "/owa/?q=%0d%0aX:1",
                        "/a:b@c", "/" + 2047 * "a"):
        hidden = visitor.fields(f"{FORM}?destination={quote(destination, safe='')}")
        assert hidden["destination"] == destination
        answer = visitor.submit(hidden | ALICE)
        assert answer.status == 303
        assert answer.all("Location") == [destination]
        assert answer.all("X") == []


# --- the session that it begins --------------------------------------------------------------

def test_a_planted_cookie_is_replaced(webmail):
    for planted in ("x", "", 120 * "A", 4000 * "B"):
        visitor = Visitor(webmail, jar={COOKIE: planted})
        answer = visitor.log_on("alice", PASSWORDS["alice"])
        assert (answer.status, visitor.session) == (303, None)
        assert "reason=other-session" in answer.header("Location")
        visitor.log_on("alice", PASSWORDS["alice"])
        assert visitor.session not in (planted, None)
        assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
        assert Visitor(webmail, jar={COOKIE: planted}).get("/owa/").status == 302


def test_a_failed_log_on_leaves_the_session_alone(webmail):
    visitor = Visitor(webmail)
    visitor.log_on("alice", PASSWORDS["alice"])
    before = visitor.session
    assert visitor.log_on("bob", "nonsense").status == 303
    assert visitor.session == before
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"


def test_every_log_on_is_another_session(webmail):
    visitors = [Visitor(webmail) for _ in range(5)]
    for visitor in visitors:
        visitor.log_on("alice", PASSWORDS["alice"])
    assert len({visitor.session for visitor in visitors}) == 5
    assert visitors[0].sign_out().status == 303
    assert [visitor.get("/owa/").status for visitor in visitors] == [302, 200, 200, 200, 200]


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


# --- refused ---------------------------------------------------------------------------------

def test_kdc_down(gateway, ok_backend, relay):
    gw = gateway(location(ok_backend.url, path="/owa"), krb5_conf=relay.krb5_conf)
    gw.expect("EAS1036")
    visitor = Visitor(gw)
    fields = fields_of(visitor, destination="/owa/?a=b")
    relay.refuse()
    uri = unique_path(FORM)
    answer = visitor.submit(fields, path=uri)
    assert_refused(gw, answer, uri, 503, "EAS1036")
    assert answer.header("Retry-After") == "30"
    page = answer.body.decode()
    assert TEXTS["try-later"] in page and PASSWORDS["alice"] not in page and "alice" not in page
    assert 'name="destination" value="/owa/?a&#61;b"' in page
    assert ok_backend.requests == []
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
    "blank": (" \t", PASSWORDS["alice"], "wrong", "EAS1001"),
    "CRLF": ("alice\r\nX: 1", PASSWORDS["alice"], "wrong", "EAS1005"),
    "3000 characters": (3000 * "a", "nonsense", "wrong", "EAS1005"),
}


@pytest.mark.smoke
def test_accounts_that_cannot_log_on(protected, domain):
    answers = {}
    for what, (user, password, reason, tag) in ACCOUNTS.items():
        if domain.checks_account_first:     # the password is not verified
            reason, tag = "wrong", domain.tag_of(user, tag)
        visitor, uri = Visitor(protected), unique_path(FORM)
        answer = visitor.submit(fields_of(visitor, username=user, password=password), path=uri)
        assert answer.status == 303, what
        form = CHANGE if reason == "expired" else FORM
        assert answer.header("Location") == f"{form}?reason={reason}&destination=%2fowa%2fx", what
        assert_no_session(answer)
        assert tag_of(protected, uri) == tag, what
        assert TEXTS[reason] in visitor.get(answer.header("Location")).body.decode(), what
        if reason == "wrong":
            headers = tuple((n, v) for n, v in answer.headers
                            if n not in VARYING and not v.startswith(TYPED))    # by its own input
            answers.setdefault((headers, answer.body), []).append(what)
    assert len(answers) == 1, answers
    assert not [line for line in protected.error_log.text().splitlines() if line.startswith("X: 1")]
