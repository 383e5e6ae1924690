# SPDX-License-Identifier: Apache-2.0
"""The session cookie: its attributes, its one spelling, and what the backend sees of cookies."""

import base64

import pytest

from lab.ad import PASSWORDS
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, COOKIE, FORM, FORM_COOKIE, LOGOUT, PHONE, Visitor
from lab.sessions import OWA, holder, log_on, refused, refused_all, served, user
from lab.two_hosts import HOST_A, HOST_B, two_hosts

CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'


@pytest.fixture
def owa(gateway, mailbox):
    return gateway(location(mailbox.url, path=OWA), reuse=True)


# --- attributes ------------------------------------------------------------------------------

CLEARING = '"cache", "cookies"'


def attributes_of(line):
    pair, *attributes = [part.strip() for part in line.split(";")]
    return pair.partition("=")[0], sorted(a.lower() for a in attributes)


def test_attributes_on_every_path(gateway, mailbox):
    gw = gateway(location(mailbox.url, path=OWA)
                 + location(mailbox.url, path="/Microsoft-Server-ActiveSync")
                 + location(mailbox.url, path="/barred", require="Require user nobody"))
    gw.expect("EAS1063", "EAS1091", "AH01631")
    alice = Visitor(gw)
    dead = [("Cookie", COOKIE + "=dead")]
    got = [
        (200, alice.get(FORM)),
        (303, alice.log_on("alice", "nonsense")),
        (303, alice.log_on("alice", PASSWORDS["alice"])),
        (303, alice.log_on("alice", PASSWORDS["alice"], trusted=True)),
        (400, alice.get(FORM + "?destination=//evil")),
        (403, Visitor(gw).submit({"username": "alice", "password": "x", "token": "x",
                                  "destination": "/", "trusted": "0"})),
        (302, gw.get(OWA, headers=[*BROWSER, *dead])),
        (440, gw.get(OWA, headers=[*dead])),
        (440, gw.get(OWA, headers=[*BROWSER, *dead, ("Sec-Fetch-Mode", "cors")])),
        (401, gw.get("/Microsoft-Server-ActiveSync", headers=[*PHONE, *dead])),
        (403, alice.get("/barred")),
        (303, alice.log_on("bob", PASSWORDS["bob"])),
        (303, alice.log_on("bob", PASSWORDS["bob"])),
        (200, alice.get(LOGOUT)),
        (303, alice.sign_out()),
        (303, alice.sign_out()),
    ]
    assert [answer.status for _, answer in got] == [status for status, _ in got]
    for _, answer in got:       # a browser may drop cookies that come with it
        lines = answer.all("Set-Cookie")
        ends = [line for line in lines if "Max-Age=0" in line]
        assert answer.header("Clear-Site-Data") == (CLEARING if ends else None)
        assert not ends or ends == lines
    assert len([1 for _, answer in got if answer.header("Clear-Site-Data")]) == 4
    lines = [line for _, answer in got for line in answer.all("Set-Cookie")]
    live = ["httponly", "path=/", "samesite=lax", "secure"]
    for line in lines:
        name, attributes = attributes_of(line)
        assert name in (COOKIE, FORM_COOKIE, COOKIE + "-typed")
        assert attributes in (live, sorted(["max-age=0", *live])), line
        assert len(line) < 400 and "domain" not in line.lower()
    names = [attributes_of(line)[0] for line in lines]
    assert names.count(COOKIE) == 7 and names.count(FORM_COOKIE) >= 2
    assert all(answer.all("Set-Cookie") for status, answer in got if status == 302)
    for status, answer in got:      # it may come after the next log-on, whose cookie must stay
        if status in (401, 440):
            assert not answer.all("Set-Cookie") and answer.header("Clear-Site-Data") is None
    assert mailbox.requests == []


def test_no_plain_cookie_behind_a_tls_terminator(gateway, mailbox):
    """EasKcdRequireTLS Off: what goes out is for the browser's TLS all the same."""
    gw = gateway("EasKcdRequireTLS Off\n" + location(mailbox.url, path=OWA), tls=False)
    visitor = Visitor(gw)
    answer = visitor.log_on("alice", PASSWORDS["alice"])
    line, = answer.all("Set-Cookie")
    assert attributes_of(line) == (COOKIE, ["httponly", "path=/", "samesite=lax", "secure"])


def test_another_name(gateway, mailbox):
    gw = gateway("EasKcdSessionCookie mail-session\n" + location(mailbox.url, path=OWA))
    visitor = Visitor(gw)
    answer = visitor.log_on("alice", PASSWORDS["alice"])
    line, = answer.all("Set-Cookie")
    assert attributes_of(line) == ("mail-session",
                                   ["httponly", "path=/", "samesite=lax", "secure"])
    served(visitor)
    assert mailbox.requests[-1].all("Cookie") == []
    refused(mailbox, holder(gw, visitor.jar["mail-session"]))


# --- what is no cookie of ours ---------------------------------------------------------------

def raw(cookie):
    return base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))


def text(sealed):
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


@pytest.mark.smoke
def test_changed_cookies_are_refused(owa, mailbox):
    """Three bits and three lengths; t/unit/test_session.c has all of them."""
    alice = log_on(owa)
    sealed = raw(alice.session)
    flips = [bytes(byte ^ 1 if n == at else byte for n, byte in enumerate(sealed))
             for at in (0, len(sealed) // 2, len(sealed) - 1)]
    lengths = [sealed[:-1], sealed[1:], sealed + b"\0"]
    refused_all(owa, mailbox, [f"{COOKIE}={text(other)}" for other in flips + lengths])
    served(alice)


def test_other_spellings_are_refused(owa, mailbox):
    """The value has one spelling, and so has the name: another one is another cookie."""
    alice = log_on(owa)
    cookie = alice.session
    spellings = [cookie + "=", f'"{cookie}"', cookie.swapcase(), cookie[:40] + " " + cookie[40:],
                 "=" + cookie, cookie + "%00", "\xff" + cookie]
    refused_all(owa, mailbox, [f"{COOKIE}={s}; a=1" for s in spellings])
    refused_all(owa, mailbox, [f"{name}={cookie}" for name in (
        COOKIE.lower(), COOKIE.upper(), COOKIE + " ", "x" + COOKIE, COOKIE + "x")])
    served(alice)


def test_two_session_cookies_are_refused(owa, mailbox):
    alice, bob = log_on(owa), log_on(owa, "bob")
    a, b = f"{COOKIE}={alice.session}", f"{COOKIE}={bob.session}"
    refused_all(owa, mailbox, [f"{a}; {b}", f"{b}; {a}", f"{a}; {a}", f"{a};{COOKIE}=",
                                f"{COOKIE}=; {a}", f"{a}; x=1; {COOKIE}=dead",
                                f"{COOKIE}=dead; {a}"])
    with owa.client() as client:       # httpd joins two headers by a comma
        for pair in ((a, b), (b, a), (a, a)):
            answer = client.get(OWA, headers=[*BROWSER, *(("Cookie", value) for value in pair)])
            assert answer.status == 302
    assert mailbox.requests == []
    served(alice)
    served(bob, "bob")


def test_hostile_cookie_headers(owa, mailbox):
    alice = log_on(owa)
    hostile = ["", ";", ";;", "; ;", "=", "==;=", COOKIE, COOKIE + "=", COOKIE + ";", f"{COOKIE}==",
               f"{COOKIE}=; {COOKIE}", f"{COOKIE}=" + "A" * 8000, f"{COOKIE}=\xff\xfe",
               f"{COOKIE}=%s%n%x", ("a=1; " * 1600)[:8100], (";" * 8100), ("=" * 8100),
               (COOKIE + "=;") * 500, f"{COOKIE}={text(bytes(61))}",
               f"{COOKIE}={text(bytes([1]) + bytes(200))}", "\t" * 100 + COOKIE + "=x"]
    refused_all(owa, mailbox, hostile)
    canary = "canary" * 2000
    answer = owa.get(OWA, headers=[*BROWSER, ("Cookie", f"{COOKIE}={canary}")])
    assert answer.status == 400
    assert b"canary" not in answer.body and alice.session.encode() not in answer.body
    assert mailbox.requests == []
    served(alice)


# --- the backend -----------------------------------------------------------------------------

KEPT = {        # {} is our cookie; the rest is all that the backend shall see
    "{}": [],
    "a=1; {}; b=2": ["a=1; b=2"],
    'a="x; y"; {}; b': ['a="x; y"; b'],
    "{}; " + FORM_COOKIE + "=x; a=1, c=\xff": ["a=1, c=\xff"],
}


@pytest.mark.smoke
def test_backend_sees_all_cookies_but_ours(owa, mailbox):
    alice = log_on(owa)
    with owa.client() as client:
        for template, expected in KEPT.items():
            header = template.replace("{}", f"{COOKIE}={alice.session}")
            answer = client.get(OWA, headers=[("Cookie", header)])
            assert (answer.status, answer.body.decode()) == (200, user("alice")), template
            assert mailbox.requests[-1].all("Cookie") == [e.strip() for e in expected], template


def test_backend_does_not_see_dead_cookies_either(gateway, mailbox):
    """Where no user is required, the request goes on without a user and without our cookies."""
    gw = gateway(location(mailbox.url, path=OWA, require="Require all granted"))
    for header, kept in (("{0}=dead; a=1", ["a=1"]), ("{0}=x; a=1; {0}=y", ["a=1"]),
                         ("{0}", []), ("a=1, {0}=x", ["a=1"]), ("{0} = x; a", ["a"]),
                         ("a=1;\t{0}\t=x", ["a=1"])):
        answer = gw.get(OWA, headers=[("Cookie", header.format(COOKIE))])
        assert (answer.status, answer.body) == (200, b"nobody")
        assert mailbox.requests[-1].all("Cookie") == kept, header


def test_phone_may_use_a_session_too(gateway, mailbox):
    gw = gateway(location(mailbox.url, path="/Microsoft-Server-ActiveSync"))
    alice = log_on(gw)
    alice.agent = PHONE
    assert alice.get("/Microsoft-Server-ActiveSync").body.decode() == user("alice")
    answer = gw.get("/Microsoft-Server-ActiveSync", headers=[*PHONE, ("Cookie", COOKIE + "=dead")])
    assert answer.status == 401
    assert answer.all("WWW-Authenticate") == [CHALLENGE]
    assert len(mailbox.requests) == 1


def test_cookies_of_the_backend_pass(gateway, fake_backends):
    cookies = ["UserContext=abc; path=/owa; secure; HttpOnly", "X-BackEndCookie=x; path=/owa"]
    backend = fake_backends(lambda _: response("200 OK", [("Set-Cookie", c) for c in cookies]))
    alice = log_on(gateway(location(backend.url, path=OWA)))
    assert alice.get(OWA).all("Set-Cookie") == cookies


@pytest.mark.parametrize("name", [COOKIE, FORM_COOKIE])
def test_backend_sets_no_cookie_of_ours(gateway, fake_backends, name):
    """It would end the user's session, or begin one that somebody else has chosen."""
    backend = fake_backends(lambda _: response("200 OK", [
        ("Set-Cookie", f"{name}=planted; Path=/; Secure"), ("Set-Cookie", "a=1")]))
    alice = log_on(gateway(location(backend.url, path=OWA)))
    assert alice.get(OWA).all("Set-Cookie") == ["a=1"]


# --- whose it is -----------------------------------------------------------------------------

def test_cookie_of_another_virtual_host(gateway, mailbox):
    gw = gateway(two_hosts(mailbox.url), tls=False)
    alice = Visitor(gw, agent=(*BROWSER, *HOST_A))
    alice.log_on("alice", PASSWORDS["alice"])
    served(alice)
    stranger = Visitor(gw, agent=(*BROWSER, *HOST_B), jar=dict(alice.jar))
    refused(mailbox, stranger)
    served(alice)


def test_no_password_and_no_name_in_the_cookie(owa):
    alice, again = log_on(owa), log_on(owa)
    for cookie in (alice.session, again.session):
        assert len(cookie) < 300
        assert b"alice" not in raw(cookie) and PASSWORDS["alice"].encode() not in raw(cookie)
    # version and key id are the same; everything else must not be
    assert raw(alice.session)[:5] == raw(again.session)[:5]
    assert raw(alice.session)[5:29] != raw(again.session)[5:29]


def test_two_users_on_one_connection(owa, mailbox):
    alice, bob = log_on(owa), log_on(owa, "bob")
    with owa.client() as client:
        for _ in range(10):
            for name, visitor in (("alice", alice), ("bob", bob)):
                answer = client.get(OWA, headers=[("Cookie", f"{COOKIE}={visitor.session}")])
                assert (answer.status, answer.body.decode()) == (200, user(name))
            assert client.get(OWA, headers=BROWSER).status == 302
    assert len(mailbox.requests) == 20
