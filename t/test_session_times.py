# SPDX-License-Identifier: Apache-2.0
"""How long a session lasts, by the clock, and while its account and the KDC are as they were."""

import pytest

from lab.ad import DISABLED, PASSWORDS
from lab.clock import Clock
from lab.exchange import location
from lab.frontdoor import BROWSER, COOKIE, PHONE, Visitor
from lab.sanitizer import moves_clock
from lab.sessions import OWA, holder, log_on, paths_seen, refused, served, user
from lab.two_hosts import HOST_A, HOST_B, two_hosts
from lab.unique import unique_path

pytestmark = moves_clock


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


# --- limits ----------------------------------------------------------------------------------

@pytest.mark.smoke
def test_public_session_ends_when_idle(timed, clock):
    gw = timed()
    alice = log_on(gw)
    old = alice.session
    clock.set(minutes=14, seconds=50)
    assert renewed(alice)
    clock.set(minutes=15, seconds=1)
    refused(clock.backend, holder(gw, old), "timed-out")
    assert not renewed(alice)
    clock.set(minutes=29, seconds=40)
    served(holder(gw, alice.session))
    clock.set(minutes=30, seconds=10)
    refused(clock.backend, alice, "timed-out")
    assert alice.session is None        # it was told to forget the cookie


def test_private_session_ends_when_idle(timed, clock):
    gw = timed()
    alice, public = log_on(gw, trusted=True), log_on(gw)
    clock.set(minutes=16)
    refused(clock.backend, public, "timed-out")
    clock.set(hours=7, minutes=59)
    served(holder(gw, alice.session))
    clock.set(hours=8, seconds=1)
    refused(clock.backend, alice, "timed-out")


def test_public_session_ends_at_its_end(timed, clock):
    gw = timed()
    alice = log_on(gw)
    for minutes in range(14, 8 * 60 - 1, 14):
        clock.set(minutes=minutes)
        assert renewed(alice)
    clock.set(hours=7, minutes=59, seconds=30)
    assert renewed(alice)
    clock.set(hours=8, seconds=1)
    refused(clock.backend, alice, "timed-out")


def test_private_session_ends_at_its_end_and_outlives_its_evidence(timed, clock, relay):
    """With protocol transition S4U2Self stands in when the user's own ticket has ended (10 h)."""
    gw = timed("EasKcdProtocolTransition On", account="gateway2")
    alice = log_on(gw, trusted=True)
    for hours in (7, 14, 21, 23.9):
        clock.set(minutes=round(hours * 60))
        relay.reset()
        served(alice)
        assert relay.counts["AS-REQ/timestamp"] <= 1    # the gateway's own
        assert relay.counts["AS-REQ/armored"] == 0
        path = unique_path(OWA)
        assert alice.get(path).json()["remote_user"] == user("alice")
        assert gw.logged(path)["EAS_KCD_USER"] == user("alice")
    clock.set(hours=24, seconds=1)
    refused(clock.backend, alice, "timed-out")


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
    refused(clock.backend, alice, "timed-out")


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
    gw = timed(conf=f'SetEnvIf Request_URI "^{OWA}$" eas-kcd-no-renew\n')
    alice = log_on(gw)
    for minutes in (5, 10, 14):
        clock.set(minutes=minutes)
        assert not renewed(alice)
    clock.set(minutes=15, seconds=1)
    refused(clock.backend, alice, "timed-out")
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
    refused(clock.backend, holder(gw, alice.session))
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
    refused(clock.backend, alice, "timed-out")
    assert relay.counts["TGS-REQ/s4u2proxy"] == 0
    phone = gw.get(OWA, headers=[*PHONE, ("Cookie", f"{COOKIE}={cookie}")])
    assert phone.status == 440      # a cookie of ours comes from a browser
    assert len(paths_seen(clock.backend)) == 2
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
    assert alice.sign_out().status == 303
    refused(clock.backend, holder(gw, cookie))
    cookie = other.session
    assert other.sign_out("?everywhere=1").status == 303
    refused(clock.backend, holder(gw, cookie))


def test_signing_out_by_a_cookie_that_is_over(timed, clock):
    """It still says which session: one whose newer cookie somebody else has kept alive."""
    gw = timed()
    alice = log_on(gw)
    thief = holder(gw, alice.session)
    clock.set(minutes=14)
    assert renewed(thief)
    clock.set(minutes=16)
    served(thief)
    assert alice.sign_out().status == 303
    refused(clock.backend, thief)


def test_signing_out_everywhere_needs_a_live_session(timed, clock):
    """An idle cookie ends its own session only; one past its end, none."""
    gw = timed(conf="EasKcdSession public 15m 1h\n")
    idle, over = log_on(gw), log_on(gw)
    clock.set(minutes=16)
    alice = log_on(gw)
    assert idle.sign_out("?everywhere=1").status == 303
    served(alice)
    clock.set(hours=1, seconds=1)
    alice = log_on(gw)
    assert over.sign_out("?everywhere=1").status == 303
    served(alice)


def test_logging_on_after_a_sign_out_everywhere_and_a_clock_set_back(timed, clock):
    gw = timed()
    clock.set(minutes=3)
    first, other = log_on(gw), log_on(gw)
    assert first.sign_out("?everywhere=1").status == 303
    clock.set(minutes=1)
    again = log_on(gw)
    served(again)
    refused(clock.backend, holder(gw, other.session))
    cookie = again.session
    assert again.sign_out("?everywhere=1").status == 303
    refused(clock.backend, holder(gw, cookie))
    served(log_on(gw))


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
    here.sign_out("?everywhere=1")
    jar = dict(there.jar)
    refused(clock.backend, Visitor(gw, agent=there.agent, jar=dict(jar)))
    clock.set(minutes=5)
    refused(clock.backend, Visitor(gw, agent=there.agent, jar=dict(jar)))


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
        refused(clock.backend, visitor)
        assert relay.counts["TGS-REQ/s4u2self"] == 1
        assert "EAS2023" in gw.error_log.tags()
        refused(clock.backend, Visitor(gw, jar=dict(jar)))
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
