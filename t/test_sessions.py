# SPDX-License-Identifier: Apache-2.0
"""Sessions: what a cookie is worth, for how long, and that its end is the end."""

import base64
import html
import itertools
import os
import shlex
import signal
import threading
from http.cookies import SimpleCookie
from urllib.parse import quote

import pytest

from lab.ad import CAS1, DISABLED, PASSWORDS, REALM
from lab.backend import GssBackend
from lab.exchange import location
from lab.fake_backend import FakeBackend, response
from lab.frontdoor import BROWSER, COOKIE, FORM, LOGOUT, PHONE, Visitor
from lab.httpd import Httpd
from lab.kerberos import Acceptor
from lab.wait import Daemon, answers, until

OWA = "/owa"
NUMBERS = itertools.count(1)
FORM_COOKIE = COOKIE + "-form"
CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'
OTHER_SITE = (("Sec-Fetch-Site", "cross-site"),)
SAME_SITE = (("Sec-Fetch-Site", "same-origin"),)
# Which child answered; ServerRoot is the gateway's directory.
SHOW_CHILDREN = 'CustomLog "children.log" "%P"\n'
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


# --- what the tests have in common -----------------------------------------------------------

@pytest.fixture(scope="module")
def acceptor(domain, lab_dir):
    return Acceptor(domain.export_keytab(lab_dir / "sessions.keytab", [CAS1]))


@pytest.fixture
def mailbox(fake_backends, acceptor):
    """A backend that answers with the name of the user whose token came."""
    def answer(request):
        if request.authorization is None:
            return response("200 OK", body=b"nobody")
        accepted = acceptor.accept(request.authorization)
        return response("200 OK", [("WWW-Authenticate", accepted.www_authenticate)],
                        accepted.user.encode())
    return fake_backends(answer)


@pytest.fixture
def door(gateway, mailbox):
    made = gateway(SHOW_CHILDREN + location(mailbox.url, path=OWA))
    return made


def user(name):
    return f"{name}@{REALM}"


def seen(backend):
    """The paths that a backend was asked for."""
    if isinstance(backend, FakeBackend):
        return [request.line.split()[1] for request in backend.requests]
    return [entry["uri"] for entry in backend.requests()]


def fresh_path():
    return f"{OWA}/n{next(NUMBERS)}"


def logged(gw, path):
    """What the access log says of the one request for this path."""
    return until(lambda: [e for e in gw.requests() if e["uri"] == path], 5, f"{path} logged")[-1]


def log_on(gw, name="alice", **options):
    visitor = Visitor(gw)
    assert visitor.log_on(name, PASSWORDS[name], **options).status == 303
    assert visitor.session is not None
    return visitor


def holder(gw, cookie):
    """Somebody else who got hold of a cookie."""
    return Visitor(gw, jar={COOKIE: cookie})


def served(visitor, name="alice"):
    answer = visitor.get(fresh_path())
    assert answer.status == 200
    who = answer.json()["remote_user"] if answer.body.startswith(b"{") else answer.body.decode()
    assert who == user(name)
    return answer


def refused(gw, backend, visitor, reason=None):
    """It gets the form, the log says why, and the backend does not hear of it."""
    path = fresh_path()
    answer = visitor.get(path)
    assert answer.status == 302
    reason = f"reason={reason}&" if reason else ""
    assert answer.header("Location") == f"{FORM}?{reason}destination={quote(path, safe='').lower()}"
    assert logged(gw, path)["EAS_KCD_ERROR"] == "EAS1062"
    assert logged(gw, path)["user"] == "-"
    assert not any(path.removeprefix(OWA) in uri for uri in seen(backend))
    return answer


def refused_all(gw, backend, headers):
    """As refused(), for many Cookie headers on one connection."""
    path = fresh_path()
    before = len(seen(backend))
    with gw.client() as client:
        for header in headers:
            answer = client.get(path, headers=[*BROWSER, ("Cookie", header)])
            assert answer.status == 302, header
            location_of_form = f"{FORM}?destination={quote(path, safe='').lower()}"
            assert answer.header("Location") == location_of_form, header

    def entries():
        found = [entry for entry in gw.requests() if entry["uri"] == path]
        return found if len(found) == len(headers) else None
    assert {entry["EAS_KCD_ERROR"] for entry in until(entries, 5, "the log")} == {"EAS1062"}
    assert len(seen(backend)) == before


def children(gw):
    """The processes that have answered so far."""
    return {int(line) for line in (gw.root / "children.log").read_text().split()}


def in_both_children(gw, action, at_least=2):
    """Repeat until every child of the two has had its turn."""
    before = len((gw.root / "children.log").read_text().split())

    def enough():
        action()
        pids = (gw.root / "children.log").read_text().split()[before:]
        return len(set(pids)) >= at_least
    until(enough, 20, "both children to answer")


# --- the cookie ------------------------------------------------------------------------------

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
        (303, alice.get(LOGOUT)),
        (303, alice.get(LOGOUT)),
    ]
    assert [answer.status for _, answer in got] == [status for status, _ in got]
    lines = [line for _, answer in got for line in answer.all("Set-Cookie")]
    live = ["httponly", "path=/", "samesite=lax", "secure"]
    for line in lines:
        name, attributes = attributes_of(line)
        assert name in (COOKIE, FORM_COOKIE)
        assert attributes in (live, sorted(["max-age=0", *live])), line
        assert len(line) < 400 and "domain" not in line.lower()
    names = [attributes_of(line)[0] for line in lines]
    assert names.count(COOKIE) == 8 and names.count(FORM_COOKIE) >= 2
    assert all(answer.all("Set-Cookie") for status, answer in got if status in (302, 440))
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
    refused(gw, mailbox, holder(gw, visitor.jar["mail-session"]))


def raw(cookie):
    return base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))


def text(sealed):
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def test_every_bit_flip_is_refused(door, mailbox):
    alice = log_on(door)
    sealed = raw(alice.session)
    flips = []
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        flips.append(f"{COOKIE}={text(bytes(flipped))}")
    refused_all(door, mailbox, flips)
    served(alice)


def test_every_length_but_one_is_refused(door, mailbox):
    alice = log_on(door)
    sealed, cookie = raw(alice.session), alice.session
    half = len(sealed) // 2
    others = ([cookie[:n] for n in range(len(cookie))]
              + [text(sealed[:n]) for n in range(len(sealed))]
              + [text(sealed[n:]) for n in range(1, len(sealed))]
              + [text(sealed + more) for more in (b"\0", b"\0" * 16, sealed)]
              + [text(sealed[half:] + sealed[:half]), cookie + cookie, "A" * 4000])
    refused_all(door, mailbox, [f"{COOKIE}={other}" for other in others])
    served(alice)


def with_other_alphabet(door):
    """A log-on whose cookie shows which alphabet it is in, and has bits to spare at its end."""
    while True:
        alice = log_on(door)
        if {"-", "_"} <= set(alice.session):
            assert len(raw(alice.session)) % 3 != 0
            return alice


def test_other_spellings_are_refused(door, mailbox):
    alice = with_other_alphabet(door)
    cookie = alice.session
    same_bytes = [cookie[:-1] + last for last in ALPHABET
                  if last != cookie[-1] and raw(cookie[:-1] + last) == raw(cookie)]
    assert same_bytes
    spellings = [*same_bytes, cookie + "=", cookie + "==", cookie.replace("-", "+"),
                 cookie.replace("_", "/"), cookie.replace("-", "+").replace("_", "/"),
                 f'"{cookie}"', f" {cookie}", f"{cookie} ;", f"\t{cookie}", cookie.upper(),
                 cookie.lower(), cookie.swapcase(), cookie.replace("-", "%2D"),
                 cookie[:40] + " " + cookie[40:], cookie[:40] + "," + cookie[40:], "=" + cookie,
                 cookie + ".", cookie + "%00", "\xff" + cookie]
    refused_all(door, mailbox, [f"{COOKIE}={s}; a=1" for s in spellings])
    # What is not the name in its own letters is some other cookie.
    refused_all(door, mailbox, [f"{name}={cookie}" for name in (
        COOKIE.lower(), COOKIE.upper(), COOKIE + " ", COOKIE + "\t", "x" + COOKIE, COOKIE + "x",
        f'a="1; {COOKIE[:-1]}')])
    served(alice)


def test_of_two_cookies_none_counts(door, mailbox):
    alice, bob = log_on(door), log_on(door, "bob")
    a, b = f"{COOKIE}={alice.session}", f"{COOKIE}={bob.session}"
    refused_all(door, mailbox, [f"{a}; {b}", f"{b}; {a}", f"{a}; {a}", f"{a};{COOKIE}=",
                                f"{COOKIE}=; {a}", f"{a}; x=1; {COOKIE}=dead",
                                f"{COOKIE}=dead; {a}"])
    with door.client() as client:       # httpd joins two headers by a comma
        for pair in ((a, b), (b, a), (a, a)):
            answer = client.get(OWA, headers=[*BROWSER, *(("Cookie", value) for value in pair)])
            assert answer.status == 302
    assert mailbox.requests == []
    served(alice)
    served(bob, "bob")


def test_hostile_cookie_headers(door, mailbox):
    alice = log_on(door)
    hostile = ["", ";", ";;", "; ;", "=", "==;=", COOKIE, COOKIE + "=", COOKIE + ";", f"{COOKIE}==",
               f"{COOKIE}=; {COOKIE}", f"{COOKIE}=" + "A" * 8000, f"{COOKIE}=\xff\xfe",
               f"{COOKIE}=%s%n%x", ("a=1; " * 1600)[:8100], (";" * 8100), ("=" * 8100),
               (COOKIE + "=;") * 500, f"{COOKIE}={text(bytes(61))}",
               f"{COOKIE}={text(bytes([1]) + bytes(200))}", "\t" * 100 + COOKIE + "=x"]
    refused_all(door, mailbox, hostile)
    canary = "canary" * 2000
    answer = door.get(OWA, headers=[*BROWSER, ("Cookie", f"{COOKIE}={canary}")])
    assert answer.status == 400
    assert b"canary" not in answer.body and alice.session.encode() not in answer.body
    assert mailbox.requests == []
    served(alice)


KEPT = {        # {} is our cookie; what the backend shall see of it
    "{}": [],
    "{}; a=1; b=2": ["a=1; b=2"],
    "a=1; {}; b=2": ["a=1; b=2"],
    "a=1; b=2; {}": ["a=1; b=2"],
    "a=1;{};b=2": ["a=1;b=2"],
    "a=1;;{};;b=2": ["a=1;;;b=2"],
    'a="x; y"; {}; b': ['a="x; y"; b'],
    "a=1, c=2; {}; b=\xff=\x80": ["a=1, c=2; b=\xff=\x80"],
    "  a = 1 ;  b  ; {}": ["a = 1 ;  b  "],
    "{}; ": [],
    "{}; " + FORM_COOKIE + "=x; a=1": ["a=1"],
    FORM_COOKIE + "=x; {}": [],
    "x" + COOKIE + "=1; {}; " + COOKIE + "x=2": ["x" + COOKIE + "=1; " + COOKIE + "x=2"],
    "; ".join(f"c{n}={n:03}" for n in range(200)) + "; {}": [
        "; ".join(f"c{n}={n:03}" for n in range(200))],
}


def test_backend_sees_all_cookies_but_ours(door, mailbox):
    alice = log_on(door)
    with door.client() as client:
        for template, expected in KEPT.items():
            header = template.replace("{}", f"{COOKIE}={alice.session}")
            answer = client.get(OWA, headers=[("Cookie", header)])
            assert (answer.status, answer.body.decode()) == (200, user("alice")), template
            assert mailbox.requests[-1].all("Cookie") == [e.strip() for e in expected], template


def test_backend_does_not_see_dead_cookies_either(gateway, mailbox):
    """Nobody is required, so the request goes on: without a user and without what is ours."""
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


HOST_A = [("Host", "a.example.test")]
HOST_B = [("Host", "b.example.test")]


def two_hosts(url, a="", b=""):
    return "EasKcdRequireTLS Off\n" + "".join(f"""
<VirtualHost *>
    ServerName {name}.example.test
    {more}
    {location(url, path=OWA)}
</VirtualHost>
""" for name, more in (("a", a), ("b", b)))


def test_cookie_of_another_virtual_host(gateway, mailbox):
    gw = gateway(two_hosts(mailbox.url), tls=False)
    alice = Visitor(gw, agent=(*BROWSER, *HOST_A))
    alice.log_on("alice", PASSWORDS["alice"])
    served(alice)
    stranger = Visitor(gw, agent=(*BROWSER, *HOST_B), jar=dict(alice.jar))
    refused(gw, mailbox, stranger)
    served(alice)


def test_logging_on_begins_a_new_session(door, mailbox):
    """Neither what an attacker has planted nor the session before is taken on."""
    mallory = log_on(door, "bob")
    planted = mallory.session
    victim = holder(door, planted)
    victim.log_on("alice", PASSWORDS["alice"])
    assert victim.session != planted
    served(victim)
    refused(door, mailbox, holder(door, planted))
    first = victim.session
    victim.log_on("alice", PASSWORDS["alice"])
    assert victim.session != first
    served(victim)
    refused(door, mailbox, holder(door, first))


def test_no_password_and_no_name_in_the_cookie(door):
    alice, again = log_on(door), log_on(door)
    for cookie in (alice.session, again.session):
        assert len(cookie) < 300
        assert b"alice" not in raw(cookie) and PASSWORDS["alice"].encode() not in raw(cookie)
    # version and key id are the same; everything else must not be
    assert raw(alice.session)[:5] == raw(again.session)[:5]
    assert raw(alice.session)[5:29] != raw(again.session)[5:29]


def test_two_users_on_one_connection(door, mailbox):
    alice, bob = log_on(door), log_on(door, "bob")
    with door.client() as client:
        for _ in range(10):
            for name, visitor in (("alice", alice), ("bob", bob)):
                answer = client.get(OWA, headers=[("Cookie", f"{COOKIE}={visitor.session}")])
                assert (answer.status, answer.body.decode()) == (200, user(name))
            assert client.get(OWA, headers=BROWSER).status == 302
    assert len(mailbox.requests) == 20


# --- signing out -----------------------------------------------------------------------------

def test_signing_out_holds_in_every_child_and_generation(door, mailbox):
    alice, other = log_on(door), log_on(door)
    cookie = alice.session
    in_both_children(door, lambda: served(holder(door, cookie)))
    assert alice.get(LOGOUT).status == 303 and alice.session is None
    in_both_children(door, lambda: refused(door, mailbox, holder(door, cookie)))
    for _ in range(3):
        door.graceful()
        for _ in range(4):
            refused(door, mailbox, holder(door, cookie))
        served(other)


def test_signing_out_everywhere(door, mailbox):
    first, second, bob = log_on(door), log_on(door), log_on(door, "bob")
    for visitor in (first, second):
        in_both_children(door, lambda: served(visitor))
    assert first.get(LOGOUT + "?everywhere=1").status == 303
    in_both_children(door, lambda: refused(door, mailbox, holder(door, second.session)))
    served(bob, "bob")
    again = log_on(door)
    in_both_children(door, lambda: served(again))
    door.graceful()
    refused(door, mailbox, holder(door, second.session))
    served(again)
    served(bob, "bob")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_site_cannot_sign_anybody_out(door, mailbox, method):
    alice = log_on(door)
    for path in (LOGOUT, LOGOUT + "?everywhere=1"):
        asked = alice.request(method, path, OTHER_SITE, b"" if method == "POST" else None)
        assert asked.status == 200
        assert asked.header("Content-Type").startswith("text/html")
        assert f'action="{path}"' in html.unescape(asked.body.decode())
        assert alice.session is not None
        served(alice)
    cookie = alice.session
    assert alice.request("POST", LOGOUT, SAME_SITE, b"").status == 303
    refused(door, mailbox, holder(door, cookie))


def test_signing_out_without_a_session(door):
    assert Visitor(door).get(LOGOUT).status == 303
    assert holder(door, "dead").get(LOGOUT).status == 303


def test_many_revocations_push_none_out(door, mailbox):
    """Some 300 log-ons and sign-outs, and the first ones are dead still."""
    clerk = Visitor(door)
    fields = clerk.fields() | {"username": "alice", "password": PASSWORDS["alice"],
                               "destination": "/", "trusted": "0"}
    body = "&".join(f"{k}={quote(v, safe='')}" for k, v in fields.items()).encode()
    form_cookie = f"{FORM_COOKIE}={clerk.jar[FORM_COOKIE]}"
    signed_out, signed_in = [], []
    with door.client() as client:
        for n in range(300):
            answer = client.post(FORM, body, headers=[
                ("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", form_cookie)])
            assert answer.status == 303
            cookie = SimpleCookie(answer.header("Set-Cookie"))[COOKIE].value
            if n % 100 == 99:
                signed_in.append(cookie)
                continue
            out = client.get(LOGOUT, headers=[("Cookie", f"{COOKIE}={cookie}")])
            assert out.status == 303
            signed_out.append(cookie)
    assert len(set(signed_out + signed_in)) == 300
    refused_all(door, mailbox, [f"{COOKIE}={cookie}" for cookie in signed_out])
    for cookie in signed_in:
        served(holder(door, cookie))


# --- restarts and crashes --------------------------------------------------------------------

def test_graceful_restarts_under_load_cost_no_log_on(gateway, mailbox):
    """Evidence too: this account could not act for anybody without (no protocol transition)."""
    gw = gateway(location(mailbox.url, path=OWA))
    visitors = [log_on(gw, name) for name in ("alice", "bob", "carol", "user01")]
    names = ["alice", "bob", "carol", "user01"]
    stop, wrong, count = threading.Event(), [], itertools.count()

    def work(name, visitor):
        while not stop.is_set():
            answer = gw.get(OWA, headers=[*BROWSER, ("Cookie", f"{COOKIE}={visitor.session}")])
            if (answer.status, answer.body.decode()) != (200, user(name)):
                wrong.append((name, answer.status))
            next(count)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(names, visitors)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            done = next(count)
            gw.graceful()
            until(lambda: next(count) > done + 40, 20, "requests in the new generation")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    for name, visitor in zip(names, visitors):
        served(visitor, name)


def test_a_full_stop_forgets(gateway, mailbox):
    """Documented: without EasKcdSecretFile the secret is gone, and every session with it."""
    gw = gateway(location(mailbox.url, path=OWA))
    alice = log_on(gw)
    served(alice)
    gw.stop()
    gw.start()
    refused(gw, mailbox, alice)


def test_sessions_survive_a_killed_child(door, mailbox):
    alice, bob = log_on(door), log_on(door, "bob")
    gone = bob.session
    bob.get(LOGOUT)
    in_both_children(door, lambda: served(alice))
    for victim in children(door):
        os.kill(victim, signal.SIGKILL)
        until(lambda: not os.path.exists(f"/proc/{victim}"), 10, "httpd to notice")
        served(alice)
        refused(door, mailbox, holder(door, gone))
    served(log_on(door))


# --- time ------------------------------------------------------------------------------------

class Clock:
    """The time of the KDC, a backend and the gateways that get its env: they agree, as they must,
    and are moved together."""

    def __init__(self, root, domain):
        root.mkdir()
        self._first = Httpd(root / "never-started", "", clock=True)     # it has a clock to share
        self.env = {name: value for name, value in self._first.daemon.env.items()
                    if "FAKETIME" in name or name == "LD_PRELOAD"}
        self.domain = domain
        # The same command, at another time.
        self.kdc = Daemon("samba KDC, moved", shlex.split(domain.by_hand()), root / "kdc.log",
                          self.env)
        self.backend = GssBackend(
            root / "cas1", domain.export_keytab(root / "cas1.keytab", [CAS1]), domain.krb5_conf,
            name="cas1.corp.example.test")
        self.backend.daemon.env.update(self.env)

    def start(self):
        self.domain.stop()
        self.kdc.start(lambda: answers(self.domain.port))
        self.backend.start()
        return self

    def stop(self):
        self.set()
        self.backend.stop()
        self.kdc.stop()
        self.domain.start()

    def set(self, hours=0, minutes=0, seconds=0):
        self._first.set_clock(f"{hours * 3600 + minutes * 60 + seconds:+}")


@pytest.fixture(scope="module")
def shared_clock(domain, lab_dir):
    clock = Clock(lab_dir / "moving", domain).start()
    yield clock
    clock.stop()


@pytest.fixture
def clock(shared_clock):
    shared_clock.set()
    shared_clock.backend.mark()
    yield shared_clock
    shared_clock.set()


@pytest.fixture
def timed(gateway, clock, relay):
    """A gateway of one child, whose time is the clock's and whose KDC the relay counts."""
    def start(*lines, conf="", **options):
        made = gateway(conf + location(clock.backend.url, *lines, path=OWA), clock=True,
                       env=clock.env, processes=1, krb5_conf=relay.krb5_conf, **options)
        return made
    return start


def renewed(visitor, name="alice"):
    """Served, and did the answer renew the cookie?"""
    before = visitor.session
    answer = served(visitor, name)
    assert bool(answer.all("Set-Cookie")) == (visitor.session != before)
    return visitor.session != before


def test_public_session_ends_when_idle(timed, clock):
    gw = timed()
    alice = log_on(gw)
    old = alice.session
    clock.set(minutes=14, seconds=50)
    assert renewed(alice)
    clock.set(minutes=15, seconds=1)
    refused(gw, clock.backend, holder(gw, old), "timed-out")
    assert not renewed(alice)
    clock.set(minutes=29, seconds=40)
    served(holder(gw, alice.session))
    clock.set(minutes=30, seconds=10)
    refused(gw, clock.backend, alice, "timed-out")
    assert alice.session is None        # it was told to forget the cookie


def test_private_session_ends_when_idle(timed, clock):
    gw = timed()
    alice, public = log_on(gw, trusted=True), log_on(gw)
    clock.set(minutes=16)
    refused(gw, clock.backend, public, "timed-out")
    clock.set(hours=7, minutes=59)
    served(holder(gw, alice.session))
    clock.set(hours=8, seconds=1)
    refused(gw, clock.backend, alice, "timed-out")


def test_public_session_ends_at_its_end(timed, clock):
    gw = timed()
    alice = log_on(gw)
    for minutes in range(14, 8 * 60 - 1, 14):
        clock.set(minutes=minutes)
        assert renewed(alice)
    clock.set(hours=7, minutes=59, seconds=30)
    assert renewed(alice)
    clock.set(hours=8, seconds=1)
    refused(gw, clock.backend, alice, "timed-out")


def test_private_session_ends_at_its_end_and_outlives_its_evidence(timed, clock, relay):
    """With protocol transition S4U2Self stands in when the user's own ticket has ended (10 h)."""
    gw = timed("EasKcdProtocolTransition On", account="gateway2")
    alice = log_on(gw, trusted=True)
    for hours in (7, 14, 21, 23.9):
        clock.set(minutes=round(hours * 60))
        relay.reset()
        served(alice)
        assert relay.counts["AS-REQ/timestamp"] <= 1    # the gateway's own
        path = fresh_path()
        assert alice.get(path).json()["remote_user"] == user("alice")
        assert logged(gw, path)["EAS_KCD_USER"] == user("alice")
    clock.set(hours=24, seconds=1)
    refused(gw, clock.backend, alice, "timed-out")


def test_limits_of_the_administrator(timed, clock):
    gw = timed(conf="EasKcdSession public 100s 5m\n")
    alice = log_on(gw)
    clock.set(seconds=7)
    assert not renewed(alice)
    clock.set(seconds=90)
    assert renewed(alice)
    clock.set(seconds=180)
    assert renewed(alice)
    clock.set(seconds=270)
    assert renewed(alice)
    clock.set(seconds=301)
    refused(gw, clock.backend, alice, "timed-out")


def test_renewal_is_not_for_every_request(timed, clock):
    gw = timed()
    alice = log_on(gw)
    assert [renewed(alice) for _ in range(5)] == [False] * 5
    clock.set(seconds=45)
    assert not renewed(alice)
    clock.set(seconds=62)
    assert renewed(alice)
    assert not renewed(alice)


def test_polling_does_not_renew(timed, clock):
    gw = timed(conf=f'SetEnvIf Request_URI "^{OWA}/n" eas-kcd-no-renew\n')
    alice = log_on(gw)
    for minutes in (5, 10, 14):
        clock.set(minutes=minutes)
        assert not renewed(alice)
    clock.set(minutes=15, seconds=1)
    refused(gw, clock.backend, alice, "timed-out")
    again = log_on(gw)
    clock.set(minutes=25)
    assert again.get(f"{OWA}/a-click").all("Set-Cookie")
    clock.set(minutes=39)
    served(again)


def test_clock_set_back(timed, clock):
    """Within what Kerberos allows nothing happens; beyond, the limits would mean nothing."""
    gw = timed()
    clock.set(hours=1)
    alice = log_on(gw)
    clock.set(minutes=56)
    served(holder(gw, alice.session))
    clock.set(minutes=54)
    refused(gw, clock.backend, holder(gw, alice.session))
    clock.set(hours=1)
    served(alice)


def test_evidence_ends_and_so_does_the_session(timed, clock, relay):
    """No protocol transition, so what can be done ends with the user's ticket (10 h)."""
    gw = timed()
    alice = log_on(gw, trusted=True)
    clock.set(hours=7)
    served(alice)
    clock.set(hours=9, minutes=53)
    served(alice)
    relay.reset()
    clock.set(hours=10, seconds=1)
    cookie = alice.session
    refused(gw, clock.backend, alice, "timed-out")
    assert relay.counts["TGS-REQ/s4u2proxy"] == 0
    phone = gw.get(OWA, headers=[*PHONE, ("Cookie", f"{COOKIE}={cookie}")])
    assert phone.status == 440      # a cookie of ours comes from a browser
    assert len(seen(clock.backend)) == 2
    served(log_on(gw))


def test_signing_out_after_the_evidence_has_ended(timed, clock):
    """The session goes on by S4U2Self; that the login path says nothing of protocol transition
    must not keep a sign-out from ending it."""
    gw = timed("EasKcdProtocolTransition On", account="gateway2")
    alice, other = log_on(gw, trusted=True), log_on(gw, trusted=True)
    for hours in (7, 11):
        clock.set(hours=hours)
        served(alice)
        served(other)
    cookie = alice.session
    assert alice.get(LOGOUT).status == 303
    refused(gw, clock.backend, holder(gw, cookie))
    cookie = other.session
    assert other.get(LOGOUT + "?everywhere=1").status == 303
    refused(gw, clock.backend, holder(gw, cookie))


def test_signing_out_by_a_cookie_that_is_over(timed, clock):
    """It still says which session: one whose newer cookie somebody else has kept alive."""
    gw = timed()
    alice = log_on(gw)
    thief = holder(gw, alice.session)
    clock.set(minutes=14)
    assert renewed(thief)
    clock.set(minutes=16)
    served(thief)
    assert alice.get(LOGOUT).status == 303
    refused(gw, clock.backend, thief)


def test_signing_out_everywhere_lasts_as_long_as_any_session(gateway, clock, relay):
    """The hosts' limits differ; what one host's user ended must not come back at the other."""
    gw = gateway(two_hosts(clock.backend.url, a="EasKcdSession public 2m 4m\n"
                           "    EasKcdSession private 2m 4m"),
                 clock=True, env=clock.env, processes=1, tls=False)
    here = Visitor(gw, agent=(*BROWSER, *HOST_A))
    there = Visitor(gw, agent=(*BROWSER, *HOST_B))
    here.log_on("alice", PASSWORDS["alice"])
    there.log_on("alice", PASSWORDS["alice"])
    served(here)
    served(there)
    here.get(LOGOUT + "?everywhere=1")
    jar = dict(there.jar)
    refused(gw, clock.backend, Visitor(gw, agent=there.agent, jar=dict(jar)))
    clock.set(minutes=5)
    refused(gw, clock.backend, Visitor(gw, agent=there.agent, jar=dict(jar)))


# --- the account -----------------------------------------------------------------------------

def test_disabled_account_loses_its_sessions(timed, clock, domain, relay):
    """The KDC is asked every ten minutes, by S4U2Self."""
    gw = timed()
    gw.expect("EAS2023")
    name = "user07"
    visitor, bob = log_on(gw, name, trusted=True), log_on(gw, "bob", trusted=True)
    relay.reset()
    served(visitor, name)
    served(bob, "bob")
    assert relay.counts["TGS-REQ/s4u2self"] == 2
    domain.set_flag(name, DISABLED)
    try:
        clock.set(minutes=9)
        relay.reset()
        served(visitor, name)
        assert relay.counts["TGS-REQ/s4u2self"] == 0
        clock.set(minutes=10, seconds=1)
        jar = dict(visitor.jar)
        refused(gw, clock.backend, visitor)
        assert relay.counts["TGS-REQ/s4u2self"] == 1
        assert "EAS2023" in gw.error_log.tags()
        refused(gw, clock.backend, Visitor(gw, jar=dict(jar)))
        served(bob, "bob")
    finally:
        domain.set_flag(name, DISABLED, False)
    served(Visitor(gw, jar=jar), name)      # nothing was revoked: the account is good again


def test_kdc_outage_ends_no_session(timed, clock, relay):
    gw = timed()
    alice = log_on(gw, trusted=True)
    served(alice)
    relay.refuse()
    clock.set(minutes=11)
    served(alice)
    relay.relay()
    relay.reset()
    clock.set(minutes=11, seconds=30)
    served(alice)
    assert relay.counts.total() == 0            # it was asked a moment ago
    clock.set(minutes=12, seconds=5)
    served(alice)
    assert relay.counts["TGS-REQ/s4u2self"] == 1
    clock.set(minutes=21)
    served(alice)
    assert relay.counts["TGS-REQ/s4u2self"] == 1
