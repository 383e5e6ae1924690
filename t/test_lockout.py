# SPDX-License-Identifier: Apache-2.0
"""Guessing and stale passwords: accounts of a domain with a lockout policy are not locked from outside."""

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import DOMAINS, VARYING, location
from lab.frontdoor import Visitor
from lab.gateway import MODULES
from lab.krbmsg import Message
from lab.sanitizer import moves_clock
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
    assert Counter(at_once(gw, [(victim, f"guess-{n}") for n in range(100)])) \
        == {401: N, 503: 100 - N}
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
        assert (entry["status"], entry["EAS_KCD_ERROR"]) == ("503", "EAS1301")
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
        assert set(at_once(gw, [(victim, PASSWORDS[victim])] * 30)) == {401}    # remembered
        assert asked(relay) <= 1
        assert strict.bad_pwd_count(victim) <= N + 1 and not strict.is_locked(victim)
    finally:
        strict.set_password(victim, PASSWORDS[victim])


def test_live_session_is_served_during_a_lockout(guarded, victim):
    gw = guarded()
    visitor = Visitor(gw)
    assert visitor.log_on(victim, PASSWORDS[victim], "/eas").status == 303
    lock_out(gw, victim)
    assert gw.get("/eas", victim, "guess-again").status == 503
    assert visitor.get("/eas").status == 200


def test_the_form_counts_as_basic_does(guarded, strict, victim, relay):
    gw = guarded()
    for n in range(N):
        assert "reason=wrong" in Visitor(gw).log_on(victim, f"guess-{n}").header("Location")
    answer = Visitor(gw).log_on(victim, "guess-again")
    assert (answer.status, answer.header("Retry-After")) == (503, "30")
    assert b"try-later" in answer.body
    assert gw.get("/eas", victim, "guess-again").status == 503
    assert asked(relay) == N and not strict.is_locked(victim)


# --- what must not evade it ------------------------------------------------------------------

def test_spellings_of_one_account(guarded, strict, relay):
    """Letter case, domain, realm, the UPN of AD's own and one of an administrator's."""
    strict.unlock("bob")
    gw = guarded()
    names = ("bob", "BoB", r"CORP\bob", r"corp\BOB", f"bob@{REALM}", f"bOb@{REALM.lower()}",
             "bob.builder@mail.example.test", "BOB.Builder@Mail.Example.Test", r"\bob", " bob",
             "bob\t", "CORP \\bob", r"CORP\bob.builder@mail.example.test",
             " bob.builder@mail.example.test ")
    for n, name in enumerate(names):
        assert gw.get("/eas", name, f"guess-{n}").status == (401 if n < N else 503)
    assert asked(relay) == N and strict.bad_pwd_count("bob") == N
    strict.unlock("bob")


def test_the_stale_password_under_another_spelling(guarded, victim, relay):
    gw = guarded()
    for name in (victim, victim.upper(), rf"CORP\{victim}", f"{victim}@{REALM}", f" {victim}",
                 rf"\{victim}", rf"CORP\{victim}@{REALM}"):
        assert gw.get("/eas", name, "stale").status == 401
    assert asked(relay) == 1


def test_a_spelling_costs_one_message_at_first_sight(guarded, victim, relay):
    """And what is refused from memory costs none."""
    gw = guarded("EasKcdPasswordCache off\n", processes=1)
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
        assert at_once(gw, [("carol", f"guess-{n}") for n in range(5)], 1) == [401] * N + [503] * 2
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
        expected = 401 if n < N else 503
        assert gw.get("/eas", victim, f"guess-{n}").status == expected
        gw.graceful()
        assert gw.get("/eas", victim, f"guess-{n}").status == expected
    assert asked(relay) == N + 1
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200
    assert not strict.is_locked(victim)


def test_unknown_names_evict_no_record(guarded, victim, relay):
    """Theirs are elsewhere, and after a while their address does not reach AD any more."""
    gw = guarded()
    lock_out(gw, victim)
    relay.reset()
    assert set(at_once(gw, [(f"nobody{n}", "guess") for n in range(150)], 12)) == {401, 503}
    asked_about = len(questions(relay))
    assert 90 <= asked_about < 130
    relay.reset()
    assert gw.get("/eas", victim, "guess-again").status == 503
    assert relay.counts.total() == 0
    # On a slow machine, the bucket gets tokens meanwhile, and each that is taken empties it again.
    assert 1 <= gw.error_log.tags().count("EAS1313") <= max(1, asked_about - 99)


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


def spray(gw, addresses, names=range(110)) -> None:
    """Unknown names from these addresses, in turn."""
    pairs = zip(names, itertools.cycle(addresses))
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda pair: gw.get("/eas", f"nobody{pair[0]}", "x",
                                               [("X-Forwarded-For", pair[1])]), pairs)
        assert {answer.status for answer in answers} <= {401, 503}


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
    assert (entry["status"], entry["EAS_KCD_LOCKOUT"]) == ("503", "source")
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
    spray(gw, ["2001:db8:0:1:ffff::1"], [200])
    assert relay.counts.total() == 0
    spray(gw, ["2001:db8:0:2::1"], [201])
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


@moves_clock
def test_it_ends_by_itself(guarded, victim, relay):
    """Refusals in the meantime do not prolong it."""
    gw = guarded("EasKcdLockout 3 4m\nEasKcdBadPasswordMemory 3m\n", clock=True)
    lock_out(gw, victim)
    for minute in (1, 2, 3):
        gw.set_clock(f"+{minute}m")
        assert gw.get("/eas", victim, PASSWORDS[victim]).status == 503
        assert gw.get("/eas", victim, "guess-0").status == 401
    assert asked(relay) == N
    gw.set_clock("+241s")
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200


@moves_clock
def test_refused_password_is_asked_about_again(guarded, victim, relay):
    gw = guarded("EasKcdLockout 3 1m\nEasKcdBadPasswordMemory 2m\n", clock=True)
    for clock, expected in (("+0", 1), ("+119s", 1), ("+121s", 2)):
        gw.set_clock(clock)
        assert gw.get("/eas", victim, "stale").status == 401
        assert asked(relay) == expected


@moves_clock
def test_a_stale_phone_does_not_lock_its_owner_out(guarded, strict, victim, relay):
    """The phone tries for three windows, each of two memories; then comes a new password."""
    gw = guarded("EasKcdPasswordCache off\nEasKcdLockout 3 1m\nEasKcdBadPasswordMemory 30s\n",
                 clock=True)
    for second in range(0, 181, 10):
        gw.set_clock(f"+{second}s")
        assert gw.get("/eas", victim, "stale").status == 401
    assert asked(relay) == 4
    assert gw.get("/eas", victim, PASSWORDS[victim]).status == 200


def test_kdc_that_is_down_counts_nothing(guarded, relay):
    gw = guarded(processes=1)
    gw.expect("EAS1036", "EAS1254")
    relay.refuse()
    for n in range(5):
        assert gw.get("/eas", "alice", f"guess-{n}").status == 503
    relay.relay()
    until(lambda: gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200, 15,
          "the KDC to be tried again")


# --- honest answers --------------------------------------------------------------------------

@pytest.mark.smoke
def test_a_phone_with_a_deleted_account(guarded, relay):
    """It costs one question of each process, and its neighbours behind the same address log on."""
    gw = guarded("EasKcdPasswordCache off\n")
    assert set(at_once(gw, [("nobody", "stale")] * 150, 8)) == {401}
    assert len(questions(relay)) <= 2
    assert gw.get("/eas", "carol", PASSWORDS["carol"]).status == 200
    assert set(gw.error_log.tags()) - {"EAS1315"} == {"EAS1031", "EAS1300"}


@pytest.fixture
def keyless(strict):
    """An account whose keys are all of a type that the KDC does not use."""
    des_only = 0x200000
    strict.set_flag("user20", des_only)
    yield "user20"
    strict.set_flag("user20", des_only, False)


def test_statuses_tell_nothing_about_accounts(guarded, victim, keyless, relay):
    """A user, nobody, and accounts that are disabled, expired, outside their keys: guesses and
    their repetition get the same."""
    gw = guarded()
    for name in (victim, "nobody", "dirk", "ernst", "mike", keyless):
        statuses = [gw.get("/eas", name, f"guess-{n}").status
                    for n in (0, 0, 1, 2, 2, 3, 0, 4)]
        assert (name, statuses) == (name, [401, 401, 401, 401, 401, 503, 401, 503])
    gw.allow("EAS1310", because="accounts were locked")


def test_concurrent_guesses_tell_nothing_about_accounts(guarded, victim, keyless):
    gw = guarded(processes=4)
    for name in (victim, "nobody", "dirk", keyless):
        statuses = Counter(at_once(gw, [(name, f"guess-{n}") for n in range(20)], 20))
        assert (name, statuses) == (name, {401: N, 503: 20 - N})


@pytest.mark.parametrize("name", ["dirk", "mike", "ernst"])
def test_state_of_an_account_is_asked_about_once(guarded, relay, name):
    """It is disabled, its password must be changed, or it has expired: also with the right one."""
    gw = guarded()
    for _ in range(20):
        assert gw.get("/eas", name, PASSWORDS[name]).status == 401
    assert len(questions(relay)) <= 5       # an expired password takes an exchange more


def test_the_form_still_says_expired_from_memory(guarded, domain, relay):
    if domain.checks_account_first:
        pytest.skip("this KDC refuses an expired password before it verifies it")
    gw = guarded()
    for _ in range(3):
        assert "reason=expired" in Visitor(gw).log_on("mike", PASSWORDS["mike"]).header("Location")
    assert gw.error_log.tags() == ["EAS1033", "EAS1305", "EAS1305"]


def test_account_without_keys_spends_its_guessers_budget(guarded, keyless, relay):
    gw = guarded()
    for n in range(N):
        assert gw.get("/eas", keyless, f"guess-{n}").status == 401
    assert set(gw.error_log.tags()) == {"EAS1038", "EAS1310"}
    relay.reset()
    assert gw.get("/eas", keyless, "guess-again").status == 503
    assert relay.counts.total() == 0


def test_unasked_guesses_spend_a_budget(guarded, victim, relay):
    """Else an address could try all passwords for one that is remembered, which gets 401."""
    gw = guarded()
    lock_out(gw, victim)
    at_once(gw, [(victim, f"other-{n}") for n in range(110)], 10)
    assert "EAS1303" in gw.error_log.tags() and "EAS1313" in gw.error_log.tags()


def test_a_repeated_unasked_password_spends_one_token(guarded, victim, relay):
    """The owner's phone with a new password, during a lockout."""
    gw = guarded()
    lock_out(gw, victim)
    assert set(at_once(gw, [(victim, "new")] * 150, 8)) == {503}
    assert "EAS1303" not in gw.error_log.tags()


def test_start_up_says_how_ad_must_be_set(guarded):
    gw = guarded(start=False)
    gw.start()
    text = gw.error_log.text()
    assert "EAS3070: EasKcdLockout 3 1800s at each of 1 gateways" in text
    assert "threshold must be above 4, and its observation window at most 30 minutes" in text
    assert "EAS3074" not in text
    gw = guarded("EasKcdLockout off\n", start=False)
    gw.start()
    assert "EAS3073: EasKcdLockout off" in gw.error_log.text()


def test_gateways_share_the_count(guarded, victim, relay):
    """Each has half of five, without the remainder; AD's threshold has room for both."""
    gw = guarded("EasKcdLockout 5 30m gateways=2\n")
    assert "EAS3070: EasKcdLockout 2 1800s at each of 2 gateways" in gw.error_log.text()
    assert "threshold must be above 6" in gw.error_log.text()
    assert at_once(gw, [(victim, f"guess-{n}") for n in range(4)], 1) == [401, 401, 503, 503]
    assert asked(relay) == 2


@pytest.mark.parametrize("lockout", ["", "EasKcdLockout 4 30m\n"])
def test_undeclared_gateways_are_reported(guarded, secret, redis, lockout):
    """Where a cache may be common to them."""
    common = f'EasKcdSecretFile "{secret()}"\nEasKcdCache redis:127.0.0.1:{redis.port}\n'
    for declared in (lockout, "EasKcdLockout off\n", "EasKcdLockout 4 30m log-only gateways=1\n"):
        gw = guarded(common + declared, modules=(*MODULES, "socache_redis"), start=False)
        gw.start()
        assert ("EAS3074" in gw.error_log.text()) == (declared == lockout)


BAD_VALUES = {"0 30m": "'0' is no number", "3": "'3' lacks the time", "3 0": "'0' is no duration",
              "-1 30m": "'-1' is no number", "1000 30m": "'1000' is no number",
              "3 30m only-log": "'only-log' is neither", "off 30m": "'off' is no number",
              "3x 30m": "'3x' is no number", "": "'' lacks the time", "3 30m 2": "'2' is neither",
              "3 3q": "'3q' is no duration", "3 30m gateways": "'gateways' is neither",
              "3 30m gateways=0": "'gateways=0' is neither",
              "3 30m gateways=2x": "'gateways=2x' is neither",
              "off gateways=2": "'off' is no number",
              "3 30m log-only gateways=": "'gateways=' is neither"}


@pytest.mark.parametrize("values", BAD_VALUES)
def test_bad_value_is_named(guarded, values):
    code, said = guarded(f"EasKcdLockout {values}\n", start=False).check_config()
    assert code != 0 and f"EasKcdLockout: {BAD_VALUES[values]}" in said
    assert "EasKcdLockout 3 30m; or off" in said


def test_more_gateways_than_wrong_passwords(guarded):
    code, said = guarded("EasKcdLockout 3 30m gateways=4\n", start=False).check_config()
    assert code != 0 and "EasKcdLockout: 4 gateways cannot share 3 wrong passwords" in said


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


@moves_clock
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
    """Wrong, remembered, unknown, no user's name; and locked, or from an address that has spent its
    budget."""
    gw = guarded()
    refused = [(victim, "a"), (victim, "a"), (victim, "b"), (victim, "c"), (victim, "a"),
               ("nobody", "x"), ("nobody", "x"), ("gateway$", "x")]
    throttled = [(victim, "d"), ("nobody", "y")]
    answers = {401: set(), 503: set()}
    for attempt in refused + throttled:
        if attempt == throttled[-1]:
            at_once(gw, [(f"nobody{m}", "x") for m in range(110)], 10)
        answer = gw.get("/eas", *attempt)
        answers[answer.status].add((answer.body, tuple((n, v) for n, v in answer.headers
                                                       if n not in VARYING)))
        assert answer.status == (503 if attempt in throttled else 401)
        assert answer.header("Retry-After") == ("30" if attempt in throttled else None)
    assert len(answers[401]) == len(answers[503]) == 1
    assert {"EAS1030", "EAS1300", "EAS1301", "EAS1303", "EAS1031"} <= set(gw.error_log.tags())
