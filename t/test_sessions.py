# SPDX-License-Identifier: Apache-2.0
"""A session's end is the end, in every child and over restarts, and nothing else ends it."""

import html
import itertools
import os
import signal
import threading
from http.cookies import SimpleCookie
from urllib.parse import quote

import pytest

from lab.ad import PASSWORDS
from lab.exchange import location
from lab.frontdoor import BROWSER, COOKIE, FORM, FORM_COOKIE, LOGOUT, Visitor
from lab.pages import fenced
from lab.sessions import OWA, holder, log_on, refused, refused_all, served, user
from lab.wait import until

SIGN_OUTS_OF_A_USER, SESSIONS_OF_A_USER = 120, 32     # auth/shared/shared_httpd.c
OTHER_SITE = (("Sec-Fetch-Site", "cross-site"),)
SAME_SITE = (("Sec-Fetch-Site", "same-origin"),)
# ServerRoot is the gateway's directory.
SHOW_CHILDREN = 'CustomLog "children.log" "%P"\n'


@pytest.fixture
def owa(gateway, mailbox):
    """A gateway that says which child has answered."""
    return gateway(SHOW_CHILDREN + location(mailbox.url, path=OWA), reuse=True)


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


# --- the choice at the form -------------------------------------------------------------------

@pytest.mark.parametrize("trusted,kind", [(False, "public"), (True, "private")])
def test_trust_is_a_variable(owa, trusted, kind):
    """Of the form, and of each request with its session."""
    visitor = Visitor(owa)
    visitor.log_on("alice", PASSWORDS["alice"], f"{OWA}/x", trusted=trusted)
    assert owa.logged(FORM)["EAS_KCD_TRUST"] == kind
    assert visitor.get(f"{OWA}/{kind}").status == 200
    entry = owa.logged(f"{OWA}/{kind}")
    assert (entry["EAS_KCD_AUTH"], entry["EAS_KCD_TRUST"]) == ("session", kind)


def test_without_a_session_there_is_no_trust(owa):
    assert owa.get(f"{OWA}/basic", "alice", PASSWORDS["alice"]).status == 200
    assert owa.logged(f"{OWA}/basic")["EAS_KCD_TRUST"] == "-"
    visitor = Visitor(owa)
    visitor.log_on("alice", "nonsense", f"{OWA}/x", trusted=True)
    assert owa.logged(FORM)["EAS_KCD_TRUST"] == "-"


def test_trust_decides_about_access(gateway, fake_backends):
    """The example of the reference."""
    backend = fake_backends(lambda _: b"unreached")
    block = next(block for block in fenced("apache") if "EAS_KCD_TRUST" in block)
    gw = gateway(block + location(backend.url, path=OWA))
    gw.expect("EAS1063", "AH01629")
    for trusted, status in ((False, 403), (True, 404)):
        visitor = Visitor(gw)
        visitor.log_on("alice", PASSWORDS["alice"], "/ecp", trusted=trusted)
        assert visitor.get("/ecp").status == status
    gw.mark()
    assert gw.get("/ecp", "alice", PASSWORDS["alice"]).status == 403
    assert gw.error_log.tags() == ["EAS1063"]
    assert backend.requests == []


# --- signing in and out ----------------------------------------------------------------------

@pytest.mark.smoke
def test_logging_on_begins_a_new_session(owa, mailbox):
    """Neither what an attacker has planted nor the session before is taken on."""
    mallory = log_on(owa, "bob")
    planted = mallory.session
    victim = holder(owa, planted)
    victim.log_on("alice", PASSWORDS["alice"])
    assert victim.session is None
    victim.log_on("alice", PASSWORDS["alice"])
    assert victim.session not in (planted, None)
    served(victim)
    refused(mailbox, holder(owa, planted))
    first = victim.session
    victim.log_on("alice", PASSWORDS["alice"])
    assert victim.session != first
    served(victim)
    refused(mailbox, holder(owa, first))


def test_signing_out_holds_in_every_child_and_generation(owa, mailbox):
    alice, other = log_on(owa), log_on(owa)
    cookie = alice.session
    in_both_children(owa, lambda: served(holder(owa, cookie)))
    assert alice.sign_out().status == 303 and alice.session is None
    in_both_children(owa, lambda: refused(mailbox, holder(owa, cookie)))
    for _ in range(3):
        owa.graceful()
        for _ in range(4):
            refused(mailbox, holder(owa, cookie))
        served(other)


@pytest.mark.smoke
def test_signing_out_everywhere(owa, mailbox):
    first, second, bob = log_on(owa), log_on(owa), log_on(owa, "bob")
    for visitor in (first, second):
        in_both_children(owa, lambda: served(visitor))
    assert first.sign_out("?everywhere=1").status == 303
    in_both_children(owa, lambda: refused(mailbox, holder(owa, second.session)))
    served(bob, "bob")
    again = log_on(owa)
    in_both_children(owa, lambda: served(again))
    owa.graceful()
    refused(mailbox, holder(owa, second.session))
    served(again)
    served(bob, "bob")


def test_a_dead_cookie_signs_out_no_live_session(owa):
    gone, bob = log_on(owa), log_on(owa, "bob")
    dead = gone.session
    assert gone.sign_out().status == 303
    alice = log_on(owa)
    assert holder(owa, dead).sign_out("?everywhere=1").status == 303
    served(alice)
    served(bob, "bob")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_site_cannot_sign_out(owa, mailbox, method):
    alice = log_on(owa)
    for path in (LOGOUT, LOGOUT + "?everywhere=1"):
        asked = alice.request(method, path, OTHER_SITE, b"" if method == "POST" else None)
        assert asked.status == 200
        assert asked.header("Content-Type").startswith("text/html")
        assert f'action="{path}"' in html.unescape(asked.body.decode())
        assert alice.session is not None
        served(alice)
    cookie = alice.session
    assert alice.request("POST", LOGOUT, SAME_SITE, b"").status == 303
    refused(mailbox, holder(owa, cookie))


@pytest.mark.parametrize("query", ["", "?everywhere=1"])
def test_signing_out_by_a_link_asks(owa, mailbox, query):
    """A link, a redirect or an image of this site is no sign-out: its page's button is."""
    alice = log_on(owa)
    cookie = alice.session
    for headers in ((), SAME_SITE, (("Sec-Fetch-Site", "same-site"),), (("Sec-Fetch-Site", "none"),)):
        for method in ("GET", "HEAD"):
            asked = alice.request(method, LOGOUT + query, headers)
            assert asked.status == 200 and asked.header("Location") is None
            assert asked.header("Content-Type").startswith("text/html")
        assert alice.session == cookie
        served(alice)
    assert alice.sign_out(query).header("Location") == FORM + "?reason=signed-out"
    refused(mailbox, holder(owa, cookie))


def test_signing_out_without_a_session(owa):
    assert Visitor(owa).get(LOGOUT).status == 303
    assert Visitor(owa).sign_out().status == 303
    assert holder(owa, "dead").get(LOGOUT).status == 303
    assert holder(owa, "dead").sign_out().status == 303


def sessions_of(gw, name, client):
    """One new session's Cookie header after the other, on one connection."""
    clerk = Visitor(gw)
    fields = clerk.fields() | {"username": name, "password": PASSWORDS[name],
                               "destination": "/", "trusted": "0"}
    body = "&".join(f"{k}={quote(v, safe='')}" for k, v in fields.items()).encode()
    form_cookie = f"{FORM_COOKIE}={clerk.jar[FORM_COOKIE]}"
    while True:
        answer = client.post(FORM, body, headers=[
            ("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", form_cookie)])
        assert answer.status == 303
        yield SimpleCookie(answer.header("Set-Cookie"))[COOKIE].value


def test_many_revocations_are_all_kept(gateway, mailbox):
    """As many sign-outs as a user may have, and the first ones are dead still. One more than that
    signs out everywhere, for no earlier one may be forgotten."""
    gw = gateway(location(mailbox.url, path=OWA))
    name, signed_out, signed_in = "user01", [], []

    def sign_out(client, cookie):
        assert client.post(LOGOUT, b"", headers=[("Cookie", f"{COOKIE}={cookie}")]).status == 303
        signed_out.append(cookie)

    bob = log_on(gw, "bob")
    with gw.client() as client:
        for n, cookie in enumerate(sessions_of(gw, name, client), 1):
            if n % 50 == 0:
                signed_in.append(cookie)
            else:
                sign_out(client, cookie)
            if len(signed_out) == SIGN_OUTS_OF_A_USER:
                break
        assert len(set(signed_out + signed_in)) == n > SIGN_OUTS_OF_A_USER
        refused_all(gw, mailbox, [f"{COOKIE}={cookie}" for cookie in signed_out])
        for cookie in signed_in:
            served(holder(gw, cookie), name)
        sign_out(client, next(sessions_of(gw, name, client)))
    refused_all(gw, mailbox, [f"{COOKIE}={cookie}" for cookie in signed_out + signed_in])
    served(log_on(gw, name), name)
    served(bob, "bob")


def test_a_user_has_evidence_for_so_many_sessions(gateway, mailbox):
    """The newest remain after a reload; a session in use comes back, and others lose nothing."""
    gw = gateway(location(mailbox.url, path=OWA), processes=1)
    bob, name = log_on(gw, "bob"), "user01"
    with gw.client() as client:
        made = sessions_of(gw, name, client)
        cookies = [next(made) for _ in range(2)]
        served(holder(gw, cookies[1]), name)
        cookies += [next(made) for _ in range(SESSIONS_OF_A_USER)]
    served(holder(gw, cookies[1]), name)    # evicted, but this process has it in its cache
    gw.graceful()
    refused(mailbox, holder(gw, cookies[0]), "timed-out")
    refused(mailbox, holder(gw, cookies[2]), "timed-out")
    for cookie in (cookies[1], *cookies[3:]):
        served(holder(gw, cookie), name)
    served(bob, "bob")


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
    refused(mailbox, alice)


def test_sessions_survive_a_killed_child(gateway, mailbox):
    owa = gateway(SHOW_CHILDREN + location(mailbox.url, path=OWA))
    alice, bob = log_on(owa), log_on(owa, "bob")
    gone = bob.session
    bob.sign_out()
    in_both_children(owa, lambda: served(alice))
    for victim in children(owa):
        os.kill(victim, signal.SIGKILL)
        until(lambda: not os.path.exists(f"/proc/{victim}"), 10, "httpd to notice")
        served(alice)
        refused(mailbox, holder(owa, gone))
    served(log_on(owa))
