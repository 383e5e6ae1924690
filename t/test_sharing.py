# SPDX-License-Identifier: Apache-2.0
"""Gateways that share sessions: the secret, its rotation, the cache, and a cache that lies."""

import contextlib
import itertools
import os
import signal
from urllib.parse import quote

import pytest

from lab.ad import CAS1, PASSWORDS, REALM
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, COOKIE, FORM, LOGOUT, PHONE, Visitor
from lab.gateway import MODULES
from lab.kerberos import Acceptor
from lab.redis import Redis
from lab.wait import Daemon, answers, free_port, until

OWA = "/owa"
NUMBERS = itertools.count(1)
REDIS_TROUBLE = ("AH03478", "AH03479")      # mod_socache_redis: store, retrieve
MEMCACHE_TROUBLE = ("AH00790", "AH00791")
EVIDENCE_SIZE = 600     # bytes; a ticket is longer, all else that is shared is far shorter


# --- what the tests have in common -----------------------------------------------------------

@pytest.fixture(scope="module")
def acceptor(domain, lab_dir):
    return Acceptor(domain.export_keytab(lab_dir / "sharing.keytab", [CAS1]))


@pytest.fixture
def mailbox(fake_backends, acceptor):
    """A backend that answers with the name of the user whose token came."""
    def answer(request):
        accepted = acceptor.accept(request.authorization)
        return response("200 OK", [("WWW-Authenticate", accepted.www_authenticate)],
                        accepted.user.encode())
    return fake_backends(answer)


@pytest.fixture
def redis(lab_dir):
    server = Redis(lab_dir / f"redis-{next(NUMBERS)}").start()
    yield server
    server.stop()


@pytest.fixture
def secret(lab_dir):
    """secret("old"): a file with 48 random bytes, for root alone."""
    def make(name="secret", content=None, mode=0o600):
        path = lab_dir / f"{name}-{next(NUMBERS)}"
        path.write_bytes(os.urandom(48) if content is None else content)
        path.chmod(mode)
        return path
    return make


@pytest.fixture
def sharing(gateway, mailbox, secret, redis):
    """Gateways that share the one redis and the one secret; one child each, so that what a
    gateway knows by itself is known to all of it. Proved passwords are not shared unless a test
    says so: after a log-on there is one large record."""
    path = secret()

    def start(conf="EasKcdPasswordCache off\n", **options):
        made = gateway(f'EasKcdSecretFile "{path}"\nEasKcdCache redis:127.0.0.1:{redis.port}\n'
                       + conf + location(mailbox.url, path=OWA), processes=1,
                       modules=(*MODULES, "socache_redis"), **options)
        return made
    return start


def user(name):
    return f"{name}@{REALM}"


def log_on(gw, name="alice"):
    visitor = Visitor(gw)
    assert visitor.log_on(name, PASSWORDS[name]).status == 303
    assert visitor.session is not None
    return visitor


def at(gw, visitor):
    """The same cookies at another gateway."""
    return Visitor(gw, jar=dict(visitor.jar))


def served(visitor, name="alice"):
    path = f"{OWA}/n{next(NUMBERS)}"
    answer = visitor.get(path)
    assert (answer.status, answer.body.decode()) == (200, user(name))
    return logged(visitor.gateway, path)


def logged(gw, path):
    return until(lambda: [e for e in gw.requests() if e["uri"] == path], 5, f"{path} logged")[-1]


def refused(mailbox, visitor, reason=None):
    """It gets the form, the log says why, and the backend does not hear of it. The visitor keeps
    the cookie, whatever the answer says of it."""
    path = f"{OWA}/n{next(NUMBERS)}"
    visitor = at(visitor.gateway, visitor)
    before = len(mailbox.requests)
    answer = visitor.get(path)
    assert answer.status == 302
    reason = f"reason={reason}&" if reason else ""
    assert answer.header("Location") == f"{FORM}?{reason}destination={quote(path, safe='').lower()}"
    assert logged(visitor.gateway, path)["EAS_KCD_ERROR"] == "EAS1062"
    assert len(mailbox.requests) == before


def unavailable(mailbox, visitor, path=None, tag="EAS1071"):
    path = path or f"{OWA}/n{next(NUMBERS)}"
    before = len(mailbox.requests)
    answer = visitor.get(path)
    assert answer.status == 503
    assert answer.header("Retry-After") == "30"
    assert answer.header("WWW-Authenticate") is None
    assert not [line for line in answer.all("Set-Cookie") if "Max-Age=0" in line]
    assert logged(visitor.gateway, path)["EAS_KCD_ERROR"] == tag
    assert len(mailbox.requests) == before


# --- what is refused at the start ------------------------------------------------------------

def refused_at_start(gw, tag, *words):
    """By httpd -t already, in words that say what to do."""
    status, said = gw.check_config()
    assert status != 0
    for text in (said, gw.refusal()):
        assert tag in text
        for word in words:
            assert word in text


@pytest.mark.parametrize("content,mode,tag,word", [
    (b"x" * 31, 0o600, "EAS1142", "openssl rand"),
    (b"", 0o600, "EAS1142", "openssl rand"),
    (os.urandom(5000), 0o600, "EAS3020", "openssl rand"),
    (os.urandom(48), 0o604, "EAS3021", "chmod 600"),
    (os.urandom(48), 0o602, "EAS3021", "chmod 600"),
    (os.urandom(48), 0o620, "EAS3021", "chmod 600"),
], ids=["short", "empty", "long", "world-readable", "world-writable", "group-writable"])
def test_secrets_that_are_refused(gateway, secret, content, mode, tag, word):
    path = secret(content=content, mode=mode)
    refused_at_start(gateway(f'EasKcdSecretFile "{path}"\n', start=False), tag, word)


def test_missing_secret(gateway, lab_dir):
    gw = gateway(f'EasKcdSecretFile "{lab_dir}/there-is-none"\n', start=False)
    refused_at_start(gw, "EAS3020", "there-is-none", "openssl rand")


def test_the_same_secret_twice(gateway, secret):
    path = secret()
    refused_at_start(gateway(f'EasKcdSecretFile "{path}" "{path}"\n', start=False), "EAS1144")


def test_second_secret_is_judged_too(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}" "{secret(content=b"short")}"\n', start=False)
    refused_at_start(gw, "EAS1142", "number 2")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_secret_for_root_alone(gateway, secret, mailbox, mode):
    gw = gateway(f'EasKcdSecretFile "{secret(mode=mode)}"\n' + location(mailbox.url, path=OWA))
    served(log_on(gw))


def test_shared_cache_without_a_secret(gateway):
    gw = gateway("EasKcdCache redis:127.0.0.1:1\n", start=False,
                 modules=(*MODULES, "socache_redis"))
    refused_at_start(gw, "EAS3023", "EasKcdSecretFile")


def test_unknown_cache(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache nowhere:1\n', start=False)
    refused_at_start(gw, "EAS3022", "socache_nowhere")


def test_cache_whose_module_is_missing(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache redis:127.0.0.1:1\n', start=False)
    refused_at_start(gw, "EAS3022", "a2enmod socache_redis")


def test_cache_without_its_arguments(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache redis\n', start=False,
                 modules=(*MODULES, "socache_redis"))
    refused_at_start(gw, "EAS3024")


def test_secret_is_read_by_root_and_kept_from_children(gateway, secret, mailbox):
    """0600 root: the children could not read it, and need not."""
    path = secret()
    gw = gateway(f'EasKcdSecretFile "{path}"\n' + location(mailbox.url, path=OWA))
    alice = log_on(gw)
    path.unlink()
    served(alice)


# --- rotation --------------------------------------------------------------------------------

@pytest.fixture
def rotating(gateway, mailbox, lab_dir):
    """A gateway whose secrets can be changed: rotating(path, …) restarts it gracefully."""
    include = lab_dir / f"secrets-{next(NUMBERS)}.conf"
    made = []

    def use(*paths):
        include.write_text("EasKcdSecretFile " + " ".join(f'"{path}"' for path in paths) + "\n")
        if made:
            made[0].graceful()
        else:
            made.append(gateway(f'Include "{include}"\n' + location(mailbox.url, path=OWA)))
        return made[0]
    return use


def test_secrets_are_rotated_without_a_log_on(rotating, mailbox, secret):
    old, new = secret("old"), secret("new")
    gw = rotating(old)
    alice, bob = log_on(gw), log_on(gw, "bob")
    gone = at(gw, bob)
    bob.get(LOGOUT)
    before = Visitor(gw)
    fields = before.fields()
    rotating(new, old)
    for _ in range(6):      # evidence and revocations have the older secret's names
        served(alice)
        refused(mailbox, at(gw, gone))
    late = before.submit(fields | {"username": "bob", "password": PASSWORDS["bob"],
                                   "destination": "/", "trusted": "0"})
    assert late.status == 303       # the form was fetched before the rotation
    served(before, "bob")
    fresh = log_on(gw)
    ended = log_on(gw)
    over = at(gw, ended)
    ended.get(LOGOUT)
    rotating(new)
    for _ in range(4):
        refused(mailbox, at(gw, alice))
        refused(mailbox, at(gw, gone))
        refused(mailbox, at(gw, over))
        served(fresh)
        served(before, "bob")


def test_gateways_are_rotated_one_by_one(gateway, mailbox, secret, redis):
    """While one has {new old} and the other still {old}, what the latter seals opens here."""
    old, new = secret("old"), secret("new")
    rest = (f"EasKcdCache redis:127.0.0.1:{redis.port}\n" + location(mailbox.url, path=OWA))
    gws = [gateway(f"EasKcdSecretFile {paths}\n{rest}", processes=1,
                   modules=(*MODULES, "socache_redis"))
           for paths in (f"{old}", f"{old} {new}", f"{new} {old}")]
    alice = log_on(gws[0])
    for gw in gws[1:]:
        served(at(gw, alice))
    newest = log_on(gws[2], "bob")
    served(at(gws[1], newest), "bob")
    refused(mailbox, at(gws[0], newest))        # {old} must go on to {old new} first
    log_out = at(gws[2], alice)
    assert log_out.get(LOGOUT).status == 303
    refused(mailbox, at(gws[1], alice))


# --- two gateways ----------------------------------------------------------------------------

def test_what_one_gateway_knows_the_other_knows(sharing, mailbox, relay):
    """No protocol transition: the second acts by the evidence or the ticket that it finds in redis."""
    one, two = sharing(), sharing(krb5_conf=relay.krb5_conf)
    alice, other, bob = log_on(one), log_on(one), log_on(one, "bob")
    served(alice)
    relay.reset()
    entry = served(at(two, alice))
    assert entry["EAS_KCD_AUTH"] == "session" and entry["EAS_KCD_USER"] == user("alice")
    assert entry["EAS_KCD_TICKET"] == "shared"
    assert relay.counts.total() == 0        # the first has asked after the account, too
    assert served(at(two, bob), "bob")["EAS_KCD_TICKET"] == "fetched"
    assert relay.counts["TGS-REQ/s4u2proxy"] == 1
    cookie = at(one, alice)
    assert at(two, alice).get(LOGOUT).status == 303
    refused(mailbox, cookie)
    refused(mailbox, at(two, cookie))
    served(other)
    assert at(one, other).get(LOGOUT + "?everywhere=1").status == 303
    refused(mailbox, at(two, other))
    refused(mailbox, at(one, other))
    served(at(two, bob), "bob")
    served(at(one, log_on(two)))


def test_a_password_proved_here_is_good_there(sharing, relay):
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
    bob.get(LOGOUT)
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
        assert at(two, alice).get(LOGOUT).status == 303
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
    gw.expect("EAS1070", "EAS1071", *REDIS_TROUBLE)
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
    alice.get(LOGOUT)
    redis.stop()
    for _ in range(6):
        unavailable(mailbox, at(two, stolen))


def test_cache_that_hangs(sharing, mailbox, redis):
    """Half-open. Nobody waits for longer than a second, and passwords go on."""
    gw = sharing("RedisTimeout 1\n")
    gw.expect("EAS1070", "EAS1071", *REDIS_TROUBLE)
    alice = log_on(gw)
    served(alice)
    redis.daemon.signal(signal.SIGSTOP)
    try:
        assert gw.get(OWA, "alice", PASSWORDS["alice"], headers=PHONE).status == 200
        with gw.client(timeout=3) as client:
            answer = client.get(OWA, headers=[*BROWSER, ("Cookie", f"{COOKIE}={alice.session}")])
            assert answer.status == 503
        for name in ("bob", "user01", "user02"):
            with gw.client(timeout=4) as client:
                assert client.get(OWA, name, PASSWORDS[name], headers=PHONE).status == 200
    finally:
        redis.daemon.signal(signal.SIGCONT)
    until(lambda: at(gw, alice).get(OWA).status == 200, 15, "the gateway to find redis again")


# --- a cache that lies -----------------------------------------------------------------------

def evidence_of(redis, known=()):
    """The one record of a ticket that is not known yet."""
    key, = [key for key, value in redis.records().items()
            if key not in known and len(value) > EVIDENCE_SIZE]
    return key


def test_records_show_nothing(sharing, redis):
    """Neither who, nor what, nor a ticket; and a key is nobody's cookie."""
    gw = sharing()
    alice, bob = log_on(gw), log_on(gw, "bob")
    served(alice)
    served(bob, "bob")
    cookies = alice.session, bob.session
    alice.get(LOGOUT)
    bob.get(LOGOUT + "?everywhere=1")
    records = redis.records()
    assert len(records) >= 6        # 2 of evidence, 2 of accounts, 2 of signing out
    ids = [cookie.encode()[n:n + 16] for cookie in cookies for n in (0, 40, 80)]
    for blob in (*records, *records.values()):
        for secret in (b"alice", b"bob", REALM.encode(), b"HTTP/", b"krbtgt", b"gateway",
                       PASSWORDS["alice"].encode(), *ids):
            assert secret.lower() not in blob.lower() or secret in ids and secret not in blob
    for key in records:
        assert redis.do("TTL", key) > 0


def test_record_under_another_key(sharing, mailbox, redis):
    """Who can write to redis still cannot make bob act as alice."""
    one, two = sharing(), sharing()
    alice = log_on(one)
    alices = evidence_of(redis)
    bob = log_on(one, "bob")
    bobs = evidence_of(redis, (alices,))
    redis.do("SET", bobs, redis.do("GET", alices))
    refused(mailbox, at(two, bob), "timed-out")
    served(at(two, alice))
    served(bob, "bob")


@pytest.mark.parametrize("change", [
    lambda value: value[:-1], lambda value: value[:45], lambda value: value[:1],
    lambda value: b"", lambda value: value + b"\0", lambda value: os.urandom(len(value)),
    lambda value: os.urandom(100_000), lambda value: os.urandom(2_000_000),
    lambda value: value[:-1] + bytes([value[-1] ^ 1]), lambda value: b"\x01" + value[1:],
    lambda value: b"\r\n$5\r\n", lambda value: b"%n%n%s%s" * 10,
], ids=["cut by one", "header only", "one byte", "empty", "longer", "random", "100 KB", "2 MB",
        "last bit", "other version", "protocol", "format"])
def test_damaged_evidence_counts_as_none(sharing, mailbox, redis, change):
    one, two = sharing(), sharing()
    two.expect("AH03480")       # mod_socache_redis: too large
    alice = log_on(one)
    key = evidence_of(redis)
    redis.do("SET", key, change(redis.do("GET", key)))
    refused(mailbox, at(two, alice), "timed-out")
    served(log_on(two))


def test_restored_records_bring_no_session_back(sharing, mailbox, redis):
    """All that was there before the sign-out is written again, and kept for ever."""
    one, two = sharing(), sharing()
    alice = log_on(one)
    served(alice)
    before = redis.records()
    cookie = at(one, alice)
    alice.get(LOGOUT)
    for key, value in before.items():
        redis.do("SET", key, value)
    refused(mailbox, cookie)
    refused(mailbox, at(two, cookie))


def test_damaged_revocations_crash_nobody(sharing, mailbox, redis):
    """They do not open, so they are as if deleted: redis is believed about what is not there. The
    gateway that did the sign-out knows it by itself."""
    one, two = sharing(), sharing()
    alice = log_on(one)
    served(alice)
    before = set(redis.records())
    cookie = at(one, alice)
    alice.get(LOGOUT)
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
