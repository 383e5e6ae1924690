# SPDX-License-Identifier: Apache-2.0
"""Guessing and stale passwords: accounts of a domain with a lockout policy are not locked from outside."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import DOMAINS, VARYING, location
from lab.frontdoor import Visitor
from lab.krbmsg import Message
from lab.unique import unique_path
from lab.wait import until

THRESHOLD = 5           # AD's; ours is 3, and 3 + 1 is below it
N = 3
USERS = iter(f"user{n:02}" for n in itertools.cycle(range(1, 21)))


@pytest.fixture
def strict(domain):
    """The domain, locking accounts at the fifth wrong password."""
    domain.lockout_policy(THRESHOLD)
    yield domain
    domain.lockout_policy(0)


@pytest.fixture
def victim(strict):
    """A user without a history."""
    name = next(USERS)
    strict.unlock(name)
    yield name
    strict.unlock(name)


@pytest.fixture
def guarded(gateway, backends, relay):
    """guarded(conf, …): a gateway that asks the KDC through `relay`; its events are expected."""
    def start(conf: str = "", **options):
        gw = gateway(DOMAINS + conf + location(backends("cas1").url), krb5_conf=relay.krb5_conf,
                     **options)
        gw.allow("EAS1310", "EAS1313", because="the tests assert these events themselves")
        relay.reset()
        return gw
    return start


def questions(relay) -> list[Message]:
    """The messages about users that AD was sent; the gateway's own log-on is not counted."""
    return [message for message in relay.messages
            if message.kind == "AS-REQ" and message.client != "gateway"]


def asked(relay) -> int:
    """How many passwords AD was asked about."""
    return relay.passwords


def at_once(gw, attempts, workers: int = 50):
    """The statuses of many requests by (name, password), each on a connection of its own."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda who: gw.get("/eas", *who).status, attempts))


def entry_of(gw, user: str, password: str, headers=()) -> dict[str, str]:
    """The access log's entry of one request."""
    path = unique_path("/eas")
    gw.get(path, user, password, headers)
    return gw.logged(path)


def lock_out(gw, user: str) -> None:
    assert at_once(gw, [(user, f"guess-{n}") for n in range(N)], 1) == [401] * N


# --- what reaches AD -------------------------------------------------------------------------

@pytest.mark.smoke
def test_stale_password_is_asked_about_once(guarded, strict, victim, relay):
    """Forty tries, by three phones at once."""
    gw = guarded()
    assert at_once(gw, [(victim, "stale")] * 40, 3) == [401] * 40
    assert strict.bad_pwd_count(victim) == 1 and asked(relay) == 1
    states = until(lambda: len(gw.requests()) == 40 and gw.requests(), 5, "the access log")
    # Those who came while it was asked about shared that question.
    assert [entry["EAS_KCD_LOCKOUT"] for entry in states].count("remembered") in (37, 38, 39)
    assert {entry["EAS_KCD_FAILURES"] for entry in states} == {"1"}
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
    assert not strict.is_locked(victim)


@pytest.mark.smoke
def test_different_guesses_at_once(guarded, strict, victim, relay):
    """A hundred, over several children and threads."""
    gw = guarded(processes=4)
    assert at_once(gw, [(victim, f"guess-{n}") for n in range(100)]) == [401] * 100
    assert strict.bad_pwd_count(victim) <= N + 1 and asked(relay) == N
    assert not strict.is_locked(victim)
    assert gw.error_log.tags().count("EAS1310") == 1
    assert f"EAS1310: 3 wrong passwords of {victim}@{REALM}, the last from 127.0.0.1" \
        in gw.error_log.text()


def test_known_phone_passes_at_once(guarded, strict, victim, relay):
    """It has the password that was proved last; a guess has not, and the account stays good."""
    gw = guarded("EasKcdPasswordCache off\n")
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
    lock_out(gw, victim)
    for _ in range(3):
        entry = entry_of(gw, victim, PASSWORDS[victim])
        assert (entry["status"], entry["EAS_KCD_LOCKOUT"]) == ("200", "known")
        entry = entry_of(gw, victim, "guess-again")
        assert (entry["status"], entry["EAS_KCD_ERROR"]) == ("401", "EAS1301")
    assert asked(relay) == N + 4
    assert not strict.is_locked(victim)


def test_known_password_that_is_wrong_now(guarded, strict, victim, relay):
    """One more at most, however often and from wherever."""
    gw = guarded("EasKcdPasswordCache off\nEasKcdBadPasswordMemory off\n", processes=4)
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
    strict.set_password(victim, "Changed-in-between-1")
    try:
        lock_out(gw, victim)
        relay.reset()
        assert set(at_once(gw, [(victim, PASSWORDS[victim])] * 30)) == {401}
        assert asked(relay) <= 1
        assert strict.bad_pwd_count(victim) <= N + 1 and not strict.is_locked(victim)
    finally:
        strict.set_password(victim, PASSWORDS[victim])


def test_live_session_is_served_during_a_lockout(guarded, victim):
    gw = guarded()
    visitor = Visitor(gw)
    assert visitor.log_on(victim, PASSWORDS[victim], "/eas").status == 303
    lock_out(gw, victim)
    assert gw.get("/eas", victim, "guess-again").status == 401
    assert visitor.get("/eas").status == 200


def test_the_form_counts_as_basic_does(guarded, strict, victim, relay):
    gw = guarded()
    for n in range(6):
        assert "reason=wrong" in Visitor(gw).log_on(victim, f"guess-{n}").header("Location")
    assert gw.get("/eas", victim, "guess-again").status == 401
    assert asked(relay) == N and not strict.is_locked(victim)


# --- what must not evade it ------------------------------------------------------------------

def test_spellings_of_one_account(guarded, strict, relay):
    """Letter case, domain, realm, the UPN of AD's own and one of an administrator's."""
    strict.unlock("bob")
    gw = guarded()
    names = ("bob", "BoB", r"CORP\bob", r"corp\BOB", f"bob@{REALM}", f"bOb@{REALM.lower()}",
             "bob.builder@mail.example.test", "BOB.Builder@Mail.Example.Test")
    for n, name in enumerate(names):
        assert gw.get("/eas", name, f"guess-{n}").status == 401
    assert asked(relay) == N and strict.bad_pwd_count("bob") == N
    strict.unlock("bob")


def test_the_stale_password_under_another_spelling(guarded, victim, relay):
    gw = guarded()
    for name in (victim, victim.upper(), rf"CORP\{victim}", f"{victim}@{REALM}"):
        assert gw.get("/eas", name, "stale").status == 401
    assert asked(relay) == 1


def test_a_spelling_costs_one_message_at_first_sight(guarded, victim, relay):
    """And what is refused from memory costs none."""
    gw = guarded("EasKcdPasswordCache off\n")
    for expected in (3, 2):     # the salt; then an exchange is two
        relay.reset()
        assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
        assert len(questions(relay)) == expected and asked(relay) == 1
    assert gw.get("/eas", victim, "stale").status == 401
    relay.reset()
    assert gw.get("/eas", victim, "stale").status == 401
    assert relay.counts.total() == 0


def test_account_without_preauthentication(guarded, strict, relay):
    """AD counts nothing there, but a guess is a guess."""
    no_preauthentication = 0x400000
    strict.set_flag("carol", no_preauthentication)
    try:
        gw = guarded()
        assert at_once(gw, [("carol", f"guess-{n}") for n in range(5)], 1) == [401] * 5
        until(lambda: len(gw.requests()) == 5, 5, "the access log")
        assert [entry["EAS_KCD_ERROR"] for entry in gw.requests()] \
            == ["EAS1030"] * N + ["EAS1301"] * 2
    finally:
        strict.set_flag("carol", no_preauthentication, False)


def test_graceful_restarts(guarded, strict, victim, relay):
    """Neither the count nor what is remembered or known is lost."""
    gw = guarded("EasKcdPasswordCache off\n")
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
    for n in range(2 * N):
        assert gw.get("/eas", victim, f"guess-{n}").status == 401
        gw.graceful()
        assert gw.get("/eas", victim, f"guess-{n}").status == 401
    assert asked(relay) == N + 1
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
    assert not strict.is_locked(victim)


def test_unknown_names_evict_no_record(guarded, victim, relay):
    """They leave no records, and after a while their address does not reach AD any more."""
    gw = guarded()
    lock_out(gw, victim)
    relay.reset()
    assert set(at_once(gw, [(f"nobody{n}", "guess") for n in range(400)], 8)) == {401}
    assert 90 <= len(questions(relay)) < 130
    relay.reset()
    assert gw.get("/eas", victim, "guess-again").status == 401
    assert relay.counts.total() == 0
    assert gw.error_log.tags().count("EAS1313") == 1


def test_long_names(guarded, relay):
    gw = guarded()
    for n in (1, 20, 64, 256, 320, 321, 4000):
        for _ in range(2):
            assert gw.get("/eas", "x" * n, "guess").status == 401
    assert asked(relay) == 0


# --- addresses -------------------------------------------------------------------------------

REMOTE_IP = """
LoadModule remoteip_module /usr/lib/apache2/modules/mod_remoteip.so
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
"""


def spray(gw, addresses, count: int = 110) -> None:
    """Unknown names from these addresses, in turn."""
    pairs = zip(range(count), itertools.cycle(addresses))
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda pair: gw.get("/eas", f"nobody{pair[0]}", "x",
                                               [("X-Forwarded-For", pair[1])]), pairs)
        assert {answer.status for answer in answers} == {401}


def test_one_address_does_not_reach_ad_for_ever(guarded, victim, relay):
    """Users with a verified password, or the last known one, are not touched; other addresses
    neither."""
    gw = guarded(REMOTE_IP)
    proved, known, unproved = victim, next(USERS), next(USERS)
    here, elsewhere = [("X-Forwarded-For", "192.0.2.7")], [("X-Forwarded-For", "192.0.2.8")]
    assert gw.get("/eas", proved, PASSWORDS[proved], here).status == 200
    assert gw.get("/eas", known, PASSWORDS[known], here).status == 200
    visitor = Visitor(gw)
    assert visitor.log_on(proved, PASSWORDS[proved], headers=here).status == 303
    spray(gw, ["192.0.2.7"])
    gw.graceful()       # forgets what is proved
    relay.reset()
    entry = entry_of(gw, unproved, PASSWORDS[unproved], here)
    assert (entry["status"], entry["EAS_KCD_LOCKOUT"]) == ("401", "source")
    assert relay.counts.total() == 0
    assert gw.get("/eas", known, PASSWORDS[known], here).status == 200
    assert gw.get("/eas", known, PASSWORDS[known], here).status == 200
    assert visitor.get("/eas", here).status == 200
    assert gw.get("/eas", unproved, PASSWORDS[unproved], elsewhere).status == 200
    assert "EAS1313: too many log-ons from 192.0.2.7 have failed" in gw.error_log.text()


def test_ipv6_by_its_first_half(guarded, relay):
    gw = guarded(REMOTE_IP)
    spray(gw, [f"2001:db8:0:1::{n:x}" for n in range(1, 60)])
    relay.reset()
    spray(gw, ["2001:db8:0:1:ffff::1"], 1)
    assert relay.counts.total() == 0
    spray(gw, ["2001:db8:0:2::1"], 1)
    assert len(questions(relay)) == 1


# --- its ways --------------------------------------------------------------------------------

def test_log_only(guarded, strict, victim, relay):
    strict.lockout_policy(0)
    gw = guarded("EasKcdLockout 3 30m log-only\n")
    assert at_once(gw, [(victim, f"guess-{n}") for n in range(6)], 1) == [401] * 6
    until(lambda: len(gw.requests()) == 6, 5, "the access log")
    assert asked(relay) == 6
    assert [entry["EAS_KCD_LOCKOUT"] for entry in gw.requests()] \
        == ["-"] * N + ["would-be-locked"] * 3
    assert gw.error_log.tags().count("EAS1310") == 1 and gw.error_log.tags().count("EAS1312") == 3
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200


def test_off(guarded, strict, victim, relay):
    strict.lockout_policy(0)
    gw = guarded("EasKcdLockout off\nEasKcdBadPasswordMemory off\n")
    assert at_once(gw, [(victim, "stale")] * 6, 1) == [401] * 6
    assert asked(relay) == 6


def test_it_ends_by_itself(guarded, victim, relay):
    """Refusals in the meantime do not prolong it."""
    gw = guarded("EasKcdLockout 3 4m\nEasKcdBadPasswordMemory 3m\n", clock=True)
    lock_out(gw, victim)
    for minute in (1, 2, 3):
        gw.set_clock(f"+{minute}m")
        assert gw.get("/eas", victim, PASSWORDS[victim]).status == 401
        assert gw.get("/eas", victim, "guess-0").status == 401
    assert asked(relay) == N
    gw.set_clock("+241s")
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200


def test_refused_password_is_asked_about_again(guarded, victim, relay):
    gw = guarded("EasKcdBadPasswordMemory 2m\n", clock=True)
    for clock, expected in (("+0", 1), ("+119s", 1), ("+121s", 2)):
        gw.set_clock(clock)
        assert gw.get("/eas", victim, "stale").status == 401
        assert asked(relay) == expected


def test_refusals_that_do_not_count(guarded, relay, domain):
    """A disabled account, a password that must be changed, a KDC that is down."""
    gw = guarded()
    none = "-" if domain.checks_account_first else "0"  # no salt has named the record
    gw.expect("EAS1036", "EAS1254")
    for name in ("dirk", "mike", "ernst") * 5:
        entry = entry_of(gw, name, PASSWORDS[name])
        assert (entry["status"], entry["EAS_KCD_FAILURES"]) == ("401", none)
    relay.refuse()
    for n in range(5):
        assert gw.get("/eas", "alice", f"guess-{n}").status == 503
    relay.relay()
    until(lambda: gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200, 15,
          "the KDC to be tried again")


def test_start_up_says_how_ad_must_be_set(guarded):
    gw = guarded(start=False)
    gw.start()
    text = gw.error_log.text()
    assert "EAS3070: EasKcdLockout 3 1800s" in text
    assert "threshold must be above 4, and its observation window at most 30 minutes" in text
    gw = guarded("EasKcdLockout off\n", start=False)
    gw.start()
    assert "EAS3073: EasKcdLockout off" in gw.error_log.text()


@pytest.mark.parametrize("line", ["EasKcdLockout 0 30m", "EasKcdLockout 3", "EasKcdLockout 3 0",
                                  "EasKcdLockout -1 30m", "EasKcdLockout 1000 30m",
                                  "EasKcdLockout 3 30m only-log", "EasKcdLockout off 30m",
                                  "EasKcdLockout 3x 30m"])
def test_bad_values(guarded, line):
    code, said = guarded(line + "\n", start=False).check_config()
    assert code != 0 and "EasKcdLockout: takes how many wrong passwords" in said
    assert "EasKcdLockout 3 30m; or off" in said


# --- proved passwords ------------------------------------------------------------------------

def test_new_password_works_at_once_and_ends_the_old_one(guarded, strict, victim, relay):
    """In all children: before, the old one is remembered for its time."""
    gw = guarded(processes=4)
    old, new = PASSWORDS[victim], "Brand-new-password-1"
    at_once(gw, [(victim, old)] * 60)
    strict.set_password(victim, new)
    try:
        assert gw.get("/eas", victim, old).status == 200
        assert gw.get("/eas", victim, new).status == 200
        assert set(at_once(gw, [(victim, old)] * 60)) == {401}
        assert set(at_once(gw, [(victim, new)] * 60)) == {200}
    finally:
        strict.set_password(victim, old)


def test_proved_passwords_of_others_stay(guarded, strict, victim, relay):
    gw = guarded(processes=1)
    other = next(USERS)
    assert gw.get("/eas", other, PASSWORDS[other]).status == 200
    strict.set_password(victim, "Brand-new-password-1")
    try:
        assert gw.get("/eas", victim, "Brand-new-password-1").status == 200
    finally:
        strict.set_password(victim, PASSWORDS[victim])
    relay.reset()
    assert gw.get("/eas", other, PASSWORDS[other]).status == 200
    assert questions(relay) == []


def test_old_password_dies_with_its_time(guarded, strict, victim):
    gw = guarded("EasKcdPasswordCache 2m\n", clock=True, processes=1)
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
    strict.set_password(victim, "Brand-new-password-1")
    try:
        gw.set_clock("+119s")
        assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
        gw.set_clock("+121s")
        assert gw.get("/eas", victim, PASSWORDS[victim]).status == 401
    finally:
        strict.set_password(victim, PASSWORDS[victim])


def test_nothing_is_truncated(guarded, strict, victim):
    """A remembered password, with another tail or without its last octet."""
    gw = guarded("EasKcdLockout off\n")
    for size in (8, 64, 72, 255):
        password = ("Aa1-" * 64)[:size]
        strict.set_password(victim, password)
        assert gw.get("/eas", victim, password).status == 200
        for other in (password[:-1], password + "x", password[:-1] + "x"):
            assert gw.get("/eas", victim, other).status == 401
    strict.set_password(victim, PASSWORDS[victim])


def test_answers_are_the_same_bytes(guarded, victim):
    """Wrong, remembered, locked, unknown, no user's name, from an address that has spent its budget."""
    gw = guarded()
    attempts = [(victim, "a"), (victim, "a"), (victim, "b"), (victim, "c"), (victim, "d"),
                ("nobody", "x"), ("gateway$", "x"), ("nobody", "y")]
    answers = set()
    for n, attempt in enumerate(attempts):
        if n == len(attempts) - 1:
            at_once(gw, [(f"nobody{m}", "x") for m in range(110)], 10)
        answer = gw.get("/eas", *attempt)
        answers.add((answer.status, answer.body,
                     tuple((n, v) for n, v in answer.headers if n not in VARYING)))
    assert len(answers) == 1
    assert {"EAS1030", "EAS1300", "EAS1301", "EAS1303", "EAS1031"} <= set(gw.error_log.tags())
