# SPDX-License-Identifier: Apache-2.0
"""Gateways that share sessions: the cache between them, away, and with records that are wrong."""

import contextlib
import os
from functools import partial

import pytest

from lab import sessions
from lab.ad import PASSWORDS, REALM
from lab.exchange import location
from lab.frontdoor import COOKIE, LOGOUT, PHONE, Visitor
from lab.gateway import MODULES
from lab.sessions import OWA, at, log_on, served, served_entry, user
from lab.unique import unique_path
from lab.wait import Daemon, answers, free_port, until

refused = partial(sessions.refused, keep=True)
REDIS_TROUBLE = ("AH03478", "AH03479")      # mod_socache_redis: store, retrieve
MEMCACHE_TROUBLE = ("AH00790", "AH00791")
EVIDENCE_SIZE = 600     # bytes; a ticket is longer, all else that is shared is far shorter


@pytest.fixture
def sharing(gateway, mailbox, secret, redis):
    """Gateways that share the one redis and the one secret; one child each, so that what a
    gateway knows by itself is known to all of it. Proved passwords are not shared unless a test
    says so: after a log-on there is one large record."""
    path = secret()

    def start(conf="EasKcdPasswordCache off\n", **options):
        return gateway(f'EasKcdSecretFile "{path}"\nEasKcdCache redis:127.0.0.1:{redis.port}\n'
                       + conf + location(mailbox.url, path=OWA), processes=1,
                       modules=(*MODULES, "socache_redis"), **options)
    return start


def unavailable(mailbox, visitor, path=None, tag="EAS1071"):
    path = path or unique_path(OWA)
    before = len(mailbox.requests)
    answer = visitor.get(path)
    assert answer.status == 503
    assert answer.header("Retry-After") == "30"
    assert answer.header("WWW-Authenticate") is None
    assert not [line for line in answer.all("Set-Cookie") if "Max-Age=0" in line]
    assert visitor.gateway.logged(path)["EAS_KCD_ERROR"] == tag
    assert len(mailbox.requests) == before


# --- two gateways ----------------------------------------------------------------------------

@pytest.mark.smoke
def test_sessions_and_tickets_are_shared(sharing, mailbox, relay):
    """No protocol transition: the second acts by the evidence or the ticket that it finds in redis."""
    one, two = sharing(), sharing(krb5_conf=relay.krb5_conf)
    alice, other, bob = log_on(one), log_on(one), log_on(one, "bob")
    served(alice)
    relay.reset()
    entry = served_entry(at(two, alice))
    assert entry["EAS_KCD_AUTH"] == "session" and entry["EAS_KCD_USER"] == user("alice")
    assert entry["EAS_KCD_TICKET"] == "shared"
    assert relay.counts.total() == 0        # the first has asked after the account, too
    assert served_entry(at(two, bob), "bob")["EAS_KCD_TICKET"] == "fetched"
    assert relay.counts["TGS-REQ/s4u2proxy"] == 1
    cookie = at(one, alice)
    assert at(two, alice).sign_out().status == 303
    refused(mailbox, cookie)
    refused(mailbox, at(two, cookie))
    served(other)
    assert at(one, other).sign_out("?everywhere=1").status == 303
    refused(mailbox, at(two, other))
    refused(mailbox, at(one, other))
    served(at(two, bob), "bob")
    served(at(one, log_on(two)))


def test_the_latest_sign_out_everywhere_counts(sharing, mailbox):
    """The first gateway has a record of its own; the later one of the second must count there."""
    one, two = sharing(), sharing()
    assert log_on(one).sign_out("?everywhere=1").status == 303
    alice = log_on(one)
    served(alice)
    assert at(two, alice).sign_out("?everywhere=1").status == 303
    refused(mailbox, at(two, alice))
    refused(mailbox, at(one, alice))
    served(log_on(one))


@pytest.mark.parametrize("query", ["", "?everywhere=1"])
def test_a_replayed_sign_out_writes_no_record(sharing, redis, query):
    gw = sharing()
    gone = log_on(gw)
    cookies = at(gw, gone)
    assert gone.sign_out(query).status == 303
    before = redis.records()
    for replayed in ("", "?everywhere=1", "", "?everywhere=1"):
        assert at(gw, cookies).sign_out(replayed).status == 303
    assert redis.records() == before


def test_passwords_are_shared(sharing, relay):
    """Neither its proof nor the ticket costs the KDC anything at the second gateway."""
    one, two = sharing(""), sharing("", krb5_conf=relay.krb5_conf)
    assert one.get(OWA, "alice", PASSWORDS["alice"], headers=PHONE).status == 200
    relay.reset()
    assert two.get(OWA, "alice", PASSWORDS["alice"], headers=PHONE).status == 200
    entry = two.logged()
    assert (entry["EAS_KCD_AUTH"], entry["EAS_KCD_TICKET"]) == ("cached", "shared")
    assert relay.counts.total() == 0
    assert two.get(OWA, "alice", "nonsense", headers=PHONE).status == 401
    assert two.get(OWA, "bob", PASSWORDS["alice"], headers=PHONE).status == 401
    assert relay.counts["KRB-ERROR/24"] == 2


def test_a_full_stop_forgets_nothing_here(sharing, mailbox):
    gw = sharing()
    alice, bob = log_on(gw), log_on(gw, "bob")
    gone = at(gw, bob)
    bob.sign_out()
    gw.stop()
    gw.start()
    served(alice)
    refused(mailbox, gone)


def test_another_secret_opens_nothing(sharing, gateway, mailbox, secret, redis):
    one = sharing()
    alice = log_on(one)
    stranger = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache redis:127.0.0.1:{redis.port}\n'
                       + location(mailbox.url, path=OWA), modules=(*MODULES, "socache_redis"))
    refused(mailbox, at(stranger, alice))
    served(alice)


def test_without_evidence_no_bare_request(sharing, mailbox, redis):
    """redis was emptied: the second gateway knows who it is and cannot act for them."""
    one, two = sharing(), sharing()
    alice = log_on(one)
    redis.do("FLUSHALL")
    refused(mailbox, at(two, alice), "timed-out")
    served(alice)


def test_memcached_will_do(gateway, mailbox, secret, lab_dir):
    port, path = free_port(), secret()
    server = Daemon("memcached", ["/usr/bin/memcached", "-u", "nobody", "-l", "127.0.0.1",
                                  "-U", "0", "-p", str(port)], lab_dir / "memcached.log")
    server.start(lambda: answers(port))
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        one, two = (gateway(f'EasKcdSecretFile "{path}"\nEasKcdCache memcache:127.0.0.1:{port}\n'
                            + location(mailbox.url, path=OWA),
                            modules=(*MODULES, "socache_memcache"), processes=1)
                    for _ in range(2))
        alice = log_on(one)
        served(at(two, alice))
        bob = log_on(one, "bob")
        assert at(two, alice).sign_out().status == 303
        refused(mailbox, at(one, alice))
        served(at(two, bob), "bob")
        server.stop()
        two.expect("EAS1071", *MEMCACHE_TROUBLE)
        for _ in range(6):
            unavailable(mailbox, at(two, bob))


# --- a cache that is away --------------------------------------------------------------------

def test_cache_away_and_back(sharing, mailbox, redis):
    """Whether a session was signed out cannot be known; who brings a password needs no session."""
    gw = sharing()
    gw.expect("EAS1070", "EAS1071", *REDIS_TROUBLE)
    alice = log_on(gw)
    served(alice)
    redis.stop()
    for _ in range(6):
        unavailable(mailbox, at(gw, alice))
    phone = Visitor(gw, agent=(*PHONE, ("Cookie", f"{COOKIE}={alice.session}")))
    unavailable(mailbox, phone)
    answer = gw.get(OWA, "alice", PASSWORDS["alice"], headers=PHONE)
    assert (answer.status, answer.body.decode()) == (200, user("alice"))
    refused(mailbox, Visitor(gw))
    refused(mailbox, Visitor(gw, jar={COOKIE: "dead"}))
    stays = at(gw, alice)
    unavailable(mailbox, stays, LOGOUT)
    assert stays.sign_out().status == 503
    assert stays.session is not None
    late = Visitor(gw)
    answer = late.log_on("bob", PASSWORDS["bob"])
    assert answer.status == 503 and answer.header("Retry-After") == "30"
    assert late.session is None
    redis.start()
    until(lambda: at(gw, alice).get(OWA).status == 200, 15, "the gateway to find redis again")
    served(alice)
    served(log_on(gw, "bob"), "bob")


def test_cache_away_at_the_start(sharing, mailbox, redis):
    redis.stop()
    gw = sharing()
    gw.expect("EAS1070")
    gw.allow("EAS1071", *REDIS_TROUBLE, because="it depends on when redis is found again")
    answer = gw.get(OWA, "alice", PASSWORDS["alice"], headers=PHONE)
    assert answer.status == 200
    redis.start()
    alice = Visitor(gw)
    until(lambda: alice.log_on("alice", PASSWORDS["alice"]).status == 303, 15, "redis to be found")
    served(alice)


def test_signed_out_stays_signed_out_while_the_cache_is_away(sharing, mailbox, redis):
    """After a while mod_socache_redis gives redis up, and then knows of no record at all."""
    one, two = sharing(), sharing()
    two.expect("EAS1071", *REDIS_TROUBLE)
    alice = log_on(one)
    served(at(two, alice))
    stolen = at(two, alice)
    alice.sign_out()
    redis.stop()
    for _ in range(6):
        unavailable(mailbox, at(two, stolen))


def test_log_on_as_another_user_while_the_cache_stores_nothing(sharing, mailbox, redis):
    """The first user's session has not ended at the other gateways, so no page may say so."""
    one, two = sharing(), sharing()
    one.expect("EAS1070", "AH03478")
    visitor = log_on(one)
    first = at(two, visitor)
    form = visitor.fields() | {"username": "bob", "password": PASSWORDS["bob"],
                               "destination": "/", "trusted": "0"}
    redis.do("CONFIG", "SET", "maxmemory", "1")
    answer = visitor.submit(form)
    assert answer.status == 503 and answer.header("Retry-After") == "30"
    assert answer.header("Location") is None and answer.header("Clear-Site-Data") is None
    assert visitor.session == first.session
    redis.do("CONFIG", "SET", "maxmemory", "0")
    served(first)


# --- a cache that lies -----------------------------------------------------------------------

def evidence_of(redis, known=()):
    """The one record of a ticket that is not known yet."""
    key, = [key for key, value in redis.records().items()
            if key not in known and len(value) > EVIDENCE_SIZE]
    return key


def test_records_show_nothing(sharing, redis):
    """A ticket in the clear would show its realm and its services; no key is a cookie."""
    gw = sharing()
    alice, bob = log_on(gw), log_on(gw, "bob")
    served(alice)
    served(bob, "bob")
    cookies = alice.session, bob.session
    alice.sign_out()
    bob.sign_out("?everywhere=1")
    records = redis.records()
    assert len(records) >= 6        # 2 of evidence, 2 of accounts, 2 of signing out
    for blob in (*records, *records.values()):
        for name in (b"alice", b"bob", REALM.encode(), b"HTTP/", b"krbtgt", b"gateway"):
            assert name.lower() not in blob.lower()
        for secret in (PASSWORDS["alice"], PASSWORDS["bob"], *cookies):
            assert secret.encode() not in blob
    for key in records:
        assert redis.do("TTL", key) > 0


@pytest.mark.smoke
def test_record_under_another_key(sharing, mailbox, redis):
    """Write access to redis does not let bob act as alice."""
    one, two = sharing(), sharing()
    alice = log_on(one)
    alices = evidence_of(redis)
    bob = log_on(one, "bob")
    bobs = evidence_of(redis, (alices,))
    redis.do("SET", bobs, redis.do("GET", alices))
    refused(mailbox, at(two, bob), "timed-out")
    served(at(two, alice))
    served(bob, "bob")


DAMAGE = {
    "cut by one": lambda value: value[:-1], "header only": lambda value: value[:45],
    "one byte": lambda value: value[:1], "empty": lambda value: b"",
    "longer": lambda value: value + b"\0", "random": lambda value: os.urandom(len(value)),
    "100 KB": lambda value: os.urandom(100_000), "2 MB": lambda value: os.urandom(2_000_000),
    "last bit": lambda value: value[:-1] + bytes([value[-1] ^ 1]),
    "other version": lambda value: b"\x01" + value[1:],
    "protocol": lambda value: b"\r\n$5\r\n", "format": lambda value: b"%n%n%s%s" * 10,
}


def test_damaged_evidence_counts_as_none(sharing, mailbox, redis):
    one, two = sharing(), sharing()
    two.expect("AH03480")       # mod_socache_redis: too large
    for damage in DAMAGE.values():
        known = redis.records()
        alice = log_on(one)
        key = evidence_of(redis, known)
        redis.do("SET", key, damage(redis.do("GET", key)))
        refused(mailbox, at(two, alice), "timed-out")
        served(log_on(two))


def test_restored_records_bring_no_session_back(sharing, mailbox, redis):
    """All that was there before the sign-out is written again, and kept for ever."""
    one, two = sharing(), sharing()
    alice = log_on(one)
    served(alice)
    before = redis.records()
    cookie = at(one, alice)
    alice.sign_out()
    for key, value in before.items():
        redis.do("SET", key, value)
    refused(mailbox, cookie)
    refused(mailbox, at(two, cookie))


def test_damaged_revocations(sharing, mailbox, redis):
    """They do not open, so they are as if deleted: redis is believed about what is not there. The
    gateway that did the sign-out knows it by itself."""
    one, two = sharing(), sharing()
    alice = log_on(one)
    served(alice)
    before = set(redis.records())
    cookie = at(one, alice)
    alice.sign_out()
    revoked, = set(redis.records()) - before
    redis.do("SET", revoked, os.urandom(60))
    refused(mailbox, cookie)
    served(at(two, cookie))


def test_cache_that_fails_in_the_middle(sharing, mailbox, redis):
    """Of all that a request asks redis for, any answer may be missing: that ends no session."""
    one, two = sharing(), sharing()
    two.expect("EAS1072", "AH03479")
    alice = log_on(one)
    key = evidence_of(redis)
    value = redis.do("GET", key)
    redis.do("DEL", key)
    redis.do("LPUSH", key, "x")     # -WRONGTYPE: an error, as of a server that is loading
    unavailable(mailbox, at(two, alice), tag="EAS1072")
    redis.do("DEL", key)
    redis.do("SET", key, value)
    served(at(two, alice))
