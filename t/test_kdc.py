# SPDX-License-Identifier: Apache-2.0
"""KDC messages that users cost, and requests while the KDC is silent, slow or down."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ad import PASSWORDS, REALM, Domain
from lab.client import assert_unavailable
from lab.exchange import location
from lab.frontdoor import Visitor
from lab.gateway import module_by_gssapi
from lab.relay import Relay
from lab.sanitizer import moves_clock
from lab.unique import unique_number, unique_path
from lab.wait import until

PLAIN = "EasKcdRequireTLS Off\n"
USERS = [f"user{n:02}" for n in range(1, 21)]

# Why a tag is allowed and not expected.
SPARE = "prefork wants spare servers beyond one for each connection"
WHICH_WAIT = "which wait the time-out ends depends on the threads that are free"

OTHER_REALM = "OTHER.EXAMPLE.TEST"

# The account of a login name is asked for once, when the name is new.
FIRST_SIGHT = 1


@pytest.fixture
def start(gateway, backends, relay):
    """start(conf, …): a gateway whose KDC is the relay."""
    backend = backends("cas1")

    def make(conf="", **options):
        return gateway(PLAIN + conf + location(backend.url), tls=False, krb5_conf=relay.krb5_conf,
                       **options)
    return make


def requests_of(relay):
    return sum(relay.counts[kind] for kind in ("AS-REQ", "TGS-REQ"))


def get(gw, user="alice", path="/eas"):
    """The response, and how long it took."""
    with gw.client(timeout=30) as client:
        began = time.monotonic()
        response = client.get(path, user, PASSWORDS[user])
        return response, time.monotonic() - began


def served(gw, user="alice"):
    """The access log's entry."""
    path = unique_path("/eas")
    response, _ = get(gw, user, path)
    assert (response.status, response.json()["remote_user"]) == (200, f"{user}@{REALM}")
    return gw.logged(path)


def unavailable(gw, user="alice"):
    """How long it took, and the tag of the reason."""
    path = unique_path("/eas")
    response, took = get(gw, user, path)
    assert_unavailable(response)
    return took, gw.logged(path)["EAS_KCD_ERROR"]


# --- what users cost -------------------------------------------------------------------------

@pytest.mark.smoke
def test_cold_and_warm(start, relay):
    """A child's first user also pays for the gateway's own log-on."""
    gw = start(processes=1)
    served(gw, "bob")
    relay.reset()
    cold = served(gw)
    assert (cold["EAS_KCD_AUTH"], cold["EAS_KCD_TICKET"]) == ("basic", "fetched")
    assert int(cold["EAS_KCD_KDC_US"]) > 0
    assert requests_of(relay) <= 4 + FIRST_SIGHT
    relay.reset()
    for _ in range(50):
        warm = served(gw)
    assert (warm["EAS_KCD_AUTH"], warm["EAS_KCD_TICKET"]) == ("cached", "hit")
    assert warm["EAS_KCD_KDC_US"] == "0"
    assert requests_of(relay) == 0


def test_cold_session(gateway, backends, relay):
    gw = gateway(location(backends("cas1").url, path="/owa"), krb5_conf=relay.krb5_conf, processes=1)
    assert gw.get("/owa", "bob", PASSWORDS["bob"]).status == 200
    relay.reset()
    alice = Visitor(gw)
    assert alice.log_on("alice", PASSWORDS["alice"]).status == 303
    assert requests_of(relay) <= 4 + FIRST_SIGHT
    relay.reset()
    assert alice.get("/owa").status == 200
    assert requests_of(relay) <= 2
    relay.reset()
    for _ in range(20):
        assert alice.get("/owa").status == 200
    assert requests_of(relay) == 0


def test_children_take_it_from_each_other(start, relay):
    """After the first request no other child asks the KDC about that user again."""
    gw = start(mpm="prefork", processes=8)
    gw.allow("AH00161", because=SPARE)
    served(gw)
    relay.reset()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: get(gw)[0].status == 200, range(200)))
    tickets = {entry["EAS_KCD_TICKET"] for entry in gw.requests()}
    assert tickets == {"fetched", "shared", "hit"}
    assert requests_of(relay) == 0


def test_graceful_restart_keeps_cached_passwords(start, relay):
    gw = start()
    served(gw)
    relay.reset()
    gw.graceful()
    entry = served(gw)
    assert (entry["EAS_KCD_AUTH"], entry["EAS_KCD_TICKET"]) == ("cached", "shared")
    assert requests_of(relay) == 0


def test_password_cache_off_shares_nothing(start, relay):
    gw = start("EasKcdPasswordCache off\n", processes=1)
    served(gw)
    relay.reset()
    assert served(gw)["EAS_KCD_AUTH"] == "basic"
    assert requests_of(relay) >= 2


def test_other_virtual_hosts_passwords_are_not_ours(gateway, backends, relay):
    """The same name and password, another default realm: nothing is taken from the other."""
    backend = backends("cas1")
    block = ("<VirtualHost *:*>\nServerName {name}\nEasKcdRealm {realm}\n" + location(backend.url)
             + "</VirtualHost>\n")
    gw = gateway(PLAIN + block.format(name="one.test", realm=REALM)
                 + block.format(name="two.test", realm=OTHER_REALM), tls=False,
                 krb5_conf=relay.krb5_conf)
    gw.expect("EAS1036")
    one, two = ([("Host", name)] for name in ("one.test", "two.test"))
    assert gw.get("/eas", "alice", PASSWORDS["alice"], headers=one).status == 200
    assert gw.get("/eas", "alice", PASSWORDS["alice"], headers=two).status != 200


# --- many at once ----------------------------------------------------------------------------

def allow_closed_connections(gw):
    gw.allow("AH01102", "AH00898",
             because="the backend has fewer threads than clients, and closes kept connections")


def at_once(gw, users, connections):
    """All connections are open before the first request goes out."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(gw.client(timeout=60)) for _ in range(connections)]
        with ThreadPoolExecutor(connections) as pool:
            jobs = [pool.submit(client.get, "/eas", user, PASSWORDS[user])
                    for client, user in zip(clients, users)]
            return [job.result() for job in jobs]


def test_many_first_requests_of_one_user(start, relay):
    """Single flight: at most 8 messages for each child, however many ask."""
    gw = start(processes=2, threads=120)
    allow_closed_connections(gw)
    relay.delay(0.05)
    answers = at_once(gw, ["alice"] * 200, 200)
    assert [answer.status for answer in answers] == [200] * 200
    assert requests_of(relay) <= 2 * 8


def test_many_first_requests_of_many_users(start, relay):
    gw = start(processes=1, threads=120)
    allow_closed_connections(gw)
    answers = at_once(gw, USERS * 5, 100)
    assert [answer.status for answer in answers] == [200] * 100
    assert requests_of(relay) <= 2 + (4 + FIRST_SIGHT) * len(USERS)


# --- a KDC in trouble ------------------------------------------------------------------------

def test_silent_KDC(start, relay):
    """Cached users are served as before, others get 503 in time, and few threads wait."""
    gw = start("EasKcdKdcTimeout 3s\n", processes=1, threads=40)
    gw.expect("EAS1250", "EAS1252", "EAS1254")
    gw.allow("EAS1036", "EAS1253", because=WHICH_WAIT)
    served(gw)
    baseline = sorted(get(gw)[1] for _ in range(100))
    relay.blackhole()
    with ThreadPoolExecutor(30) as pool:
        cold = [pool.submit(get, gw, user) for user in USERS + USERS[:10]]
        until(lambda: sum(job.done() for job in cold) >= 20, 2.2, "all but a quarter to be told")
        warm = sorted(get(gw)[1] for _ in range(100))
        for job in cold:
            response, took = job.result()
            assert_unavailable(response)
            assert took < 4
    assert warm[50] < 2 * baseline[50] + 0.01
    assert served(gw)["EAS_KCD_TICKET"] == "hit"
    took, tag = unavailable(gw, "bob")
    assert took < 0.5 and tag == "EAS1254"
    relay.relay()
    until(lambda: get(gw, "bob")[0].status == 200, 20, "the KDC to be tried again")


@pytest.fixture
def silent_realm(lab_dir, domain):
    """The relay that is its KDC, and says nothing."""
    made = Relay(lab_dir / f"silent-{unique_number()}.conf", domain.port).start()
    made.blackhole()
    yield made
    made.stop()


def test_silent_realm_leaves_others_alone(start, relay, silent_realm):
    """As many of its users as threads ask: it gets its share of them, and the others are served."""
    with relay.krb5_conf.open("a") as conf:
        conf.write(f"[realms]\n{OTHER_REALM} = {{\n kdc = 127.0.0.1:{silent_realm.port}\n}}\n")
    gw = start(f"EasKcdKdcTimeout 3s\nEasKcdDomain OTHER {OTHER_REALM}\n", processes=1, threads=60)
    gw.expect("EAS1250", "EAS1252")
    gw.allow("EAS1036", "EAS1253", "EAS1254", because=WHICH_WAIT)
    served(gw)

    def log_on(number):
        with gw.client(timeout=30) as client:
            return client.get("/eas", f"OTHER\\user{number}", "secret")

    with ThreadPoolExecutor(30) as hanging, ThreadPoolExecutor(10) as pool:
        cold = [hanging.submit(log_on, number) for number in range(30)]
        until(lambda: len(silent_realm.messages) >= 8, 3, "its share of the threads to hang")
        for response, took in pool.map(lambda user: get(gw, user), USERS[:10]):
            assert response.status == 200
            assert took < 3
        assert len(silent_realm.messages) == 8
        assert not all(job.done() for job in cold)
        for job in cold:
            assert_unavailable(job.result())
    response, _ = get(gw, USERS[10])
    assert response.status == 200


def test_silent_realm_left_to_libkrb5_leaves_others_alone(start, relay, silent_realm):
    """libkrb5 holds threads beyond the time-out: no request waits for them, nor does the end."""
    with relay.krb5_conf.open("a") as conf:
        conf.write(f"[realms]\n{OTHER_REALM} = {{\n kdc = https://127.0.0.1:1/KdcProxy\n"
                   f" kdc = 127.0.0.1:{silent_realm.port}\n}}\n")
    gw = start(f"EasKcdKdcTimeout 2s\nEasKcdDomain OTHER {OTHER_REALM}\n", processes=1, threads=60)
    gw.expect("EAS1254")
    gw.allow("EAS1036", "EAS1250", "EAS1252", "EAS1253", because=WHICH_WAIT)
    served(gw)

    def log_on(number):
        path = unique_path("/eas")
        began = time.monotonic()
        with gw.client(timeout=30) as client:
            response = client.get(path, f"OTHER\\user{number}", "secret")
        assert_unavailable(response)
        return time.monotonic() - began, gw.logged(path)["EAS_KCD_ERROR"]

    with ThreadPoolExecutor(30) as hanging, ThreadPoolExecutor(10) as pool:
        cold = [hanging.submit(log_on, number) for number in range(30)]
        until(lambda: silent_realm.messages, 3, "libkrb5 to send")
        for response, took in pool.map(lambda user: get(gw, user), USERS[:10]):
            assert response.status == 200
            assert took < 2
        assert max(job.result()[0] for job in cold) < 2 + 1
    took, tag = log_on(30)
    assert took < 0.5 and tag == "EAS1254"
    response, _ = get(gw, USERS[10])
    assert response.status == 200
    began = time.monotonic()
    assert gw.stop() == 0
    assert time.monotonic() - began < 5
    assert "exit signal" not in gw.error_log.text()


def test_silent_KDC_and_transition_by_gssapi(gateway, backends, relay):
    """GSSAPI's messages have no deadline: four at most hold threads."""
    act = (f'EasKcdDelegateUser "%{{HTTP:X-User}}@{REALM}"', "EasKcdProtocolTransition On")
    gw = gateway("EasKcdKdcTimeout 3s\n"
                 + location(backends("cas1").url, *act, require="Require all granted"),
                 account="gateway2", krb5_conf=relay.krb5_conf, processes=1, threads=40,
                 module=module_by_gssapi())
    gw.expect("EAS1254")
    gw.allow("EAS1250", "EAS1252", "EAS1253", "EAS2021", because=WHICH_WAIT)

    def get_as(user):
        with gw.client(timeout=30) as client:
            return client.get("/eas", headers=[("X-User", user)])

    assert get_as("alice").status == 200
    relay.reset()
    relay.blackhole()
    with ThreadPoolExecutor(12) as pool:
        for answer in pool.map(get_as, USERS[:12]):
            assert_unavailable(answer)
    assert len(relay.messages) == 4
    assert_unavailable(get_as(USERS[12]))
    assert gw.logged()["EAS_KCD_ERROR"] == "EAS1254"
    assert len(relay.messages) == 4


def test_KDC_that_is_down(start, relay):
    """Told at once, and found again soon after it is back."""
    gw = start(processes=1)
    gw.expect("EAS1036", "EAS1254")
    served(gw)
    relay.refuse()
    for n in range(5):
        took, tag = unavailable(gw, USERS[n])
        assert took < 2 and tag == ("EAS1036" if n < 3 else "EAS1254")
    served(gw)
    relay.relay()
    until(lambda: get(gw, USERS[0])[0].status == 200, 7, "the KDC to be tried again")


def test_new_child_while_the_KDC_is_down(start, relay):
    """A result of another child serves here while no request reaches the KDC."""
    gw = start(processes=1)
    gw.expect("EAS1036", "EAS1254")
    served(gw)
    gw.graceful()
    relay.refuse()
    assert [unavailable(gw, user)[1] for user in USERS[:4]] == ["EAS1036"] * 3 + ["EAS1254"]
    entry = served(gw)
    assert (entry["EAS_KCD_AUTH"], entry["EAS_KCD_TICKET"]) == ("cached", "shared")


def test_slow_KDC(start, relay):
    """It answers, but no log-on can be done in time."""
    gw = start("EasKcdKdcTimeout 1s\n", processes=1, threads=40)
    gw.expect("EAS1250")
    gw.allow("EAS1036", "EAS1041", "EAS1252", "EAS1253", "EAS1254", "EAS2013", "EAS2021",
             because=WHICH_WAIT)
    served(gw)
    relay.delay(0.7)
    with ThreadPoolExecutor(20) as pool:
        for response, took in pool.map(lambda user: get(gw, user), USERS):
            assert_unavailable(response)
            assert took < 2
    assert served(gw)["EAS_KCD_TICKET"] == "hit"
    relay.relay()
    until(lambda: get(gw, USERS[0])[0].status == 200, 20, "the KDC to be tried again")


def test_gateways_own_log_on_hangs(gateway, backends, relay):
    """Its message is lost, and the KDC is back: nobody waits for what hangs, but asks anew."""
    act = (f'EasKcdDelegateUser "%{{HTTP:X-User}}@{REALM}"', "EasKcdProtocolTransition On")
    gw = gateway(PLAIN + "EasKcdKdcTimeout 2s\n"
                 + location(backends("cas1").url, *act, require="Require all granted"),
                 account="gateway2", tls=False, krb5_conf=relay.krb5_conf, processes=1)
    gw.expect("EAS1250")
    relay.blackhole()
    assert_unavailable(gw.get("/eas", headers=[("X-User", "alice")]))
    assert relay.counts["AS-REQ"] == 1
    relay.relay()
    began = time.monotonic()
    assert gw.get("/eas", headers=[("X-User", "bob")]).status == 200
    assert gw.get("/eas", headers=[("X-User", "alice")]).status == 200
    assert time.monotonic() - began < 2
    assert relay.counts["AS-REQ"] == 1 + 2


def test_late_result_is_cached(start, relay):
    """The asker has gone, the job goes on: the next one finds the password proved."""
    gw = start("EasKcdKdcTimeout 3s\n", processes=1)
    served(gw, "bob")
    relay.reset()
    relay.delay(0.3)
    with gw.client(timeout=0.5) as client, contextlib.suppress(TimeoutError, OSError):
        client.get("/eas", "alice", PASSWORDS["alice"])
    until(lambda: requests_of(relay) == 4 + FIRST_SIGHT, 5, "the log-on and the ticket")
    relay.relay()
    assert served(gw)["EAS_KCD_AUTH"] == "cached"


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_children_end_though_the_KDC_is_silent(start, relay, mpm):
    gw = start("EasKcdKdcTimeout 1s\n", mpm=mpm)
    gw.expect("EAS1250")
    gw.allow("AH00161", because=SPARE)
    relay.blackhole()
    response, _ = get(gw)
    assert_unavailable(response)
    began = time.monotonic()
    assert gw.stop() == 0
    assert time.monotonic() - began < 5
    assert "exit signal" not in gw.error_log.text()


def test_graceful_restart_though_the_KDC_is_silent(start, relay):
    gw = start("EasKcdKdcTimeout 1s\n", processes=1)
    gw.expect("EAS1250")
    relay.blackhole()
    assert_unavailable(get(gw)[0])
    gw.graceful()
    relay.relay()
    served(gw)
    assert "exit signal" not in gw.error_log.text()


# --- refusals and renewals -------------------------------------------------------------------

def test_refusal_to_delegate_is_believed_for_a_while(gateway, backends, relay):
    gw = gateway(PLAIN + location(backends("cas3").url), tls=False, krb5_conf=relay.krb5_conf,
                 processes=1)
    gw.expect("EAS2032")
    assert_unavailable(get(gw)[0])
    relay.reset()
    for _ in range(10):
        assert_unavailable(get(gw)[0])
    assert requests_of(relay) == 0


# Samba takes TGTs of two minutes and less for something else. Of these tickets' six minutes the last
# one and a half are not used, and for as long before that another is wanted. (The clocks of gateway
# and KDC may be apart by five minutes.)
LIFETIME, RENEW, STALE = "ticket_lifetime = 360s", "+200s", "+285s"


@pytest.fixture
def short_lived(lab_dir, relay):
    return Domain.write_krb5_conf(lab_dir / f"short-{unique_number()}.conf", relay.port, LIFETIME)


@moves_clock
def test_ticket_is_renewed_before_its_end(gateway, backends, relay, short_lived):
    """No request waits for that: requests are served from the old one while a new one is fetched, once.
    By transition, because a password's evidence would end with the ticket."""
    act = (f"EasKcdDelegateUser alice@{REALM}", "EasKcdProtocolTransition On")
    gw = gateway(PLAIN + location(backends("cas1").url, *act, require="Require all granted"),
                 account="gateway2", tls=False, krb5_conf=short_lived, processes=1, clock=True)
    assert gw.get("/eas?1").json()["remote_user"] == f"alice@{REALM}"
    assert gw.logged("/eas?1")["EAS_KCD_TICKET"] == "fetched"
    gw.set_clock(RENEW)
    relay.reset()
    for n in range(2, 12):
        path = f"/eas?{n}"
        assert gw.get(path).json()["remote_user"] == f"alice@{REALM}"
        assert gw.logged(path)["EAS_KCD_TICKET"] == "hit"
    until(lambda: relay.counts["TGS-REQ/s4u2proxy"] == 1, 5, "another ticket to be fetched")
    assert requests_of(relay) == 2 + 2      # the TGT, whose half-life is over, and the ticket


@moves_clock
def test_renewed_ticket_is_taken_by_other_children(gateway, backends, relay, short_lived):
    """One or two more may begin before it is left for others; the rest find it."""
    act = (f"EasKcdDelegateUser alice@{REALM}", "EasKcdProtocolTransition On")
    gw = gateway(PLAIN + "EasKcdKdcTimeout 60s\n"
                 + location(backends("cas1").url, *act, require="Require all granted"),
                 account="gateway2", tls=False, krb5_conf=short_lived, mpm="prefork", processes=8,
                 clock=True)
    gw.allow("AH00161", because=SPARE)

    def all_children_serve(path):
        """On a busy machine prefork has more than the eight that it starts with."""
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: gw.get(path).status == 200, range(50)))
        return gw.children() <= {int(entry["pid"]) for entry in gw.requests()
                                 if entry["uri"] == path}

    # One asks the KDC, and the others take the ticket from it.
    assert gw.get("/eas").status == 200
    until(lambda: all_children_serve("/eas?before"), 60, "all children to have the ticket")
    second = int(time.time())
    gw.set_clock(RENEW)
    until(lambda: time.time() > second + 1, 3, "a time from which on new tickets end later")
    relay.reset()
    assert gw.get("/eas").status == 200
    until(lambda: relay.counts["TGS-REP"] == 2, 60, "the TGT and another ticket to be fetched")
    assert all(gw.get("/eas").status == 200 for _ in range(50))
    until(lambda: all_children_serve("/eas?after"), 60, "all children to see that it is time")
    assert relay.counts["TGS-REQ/s4u2proxy"] <= 4


@moves_clock
@pytest.mark.smoke
def test_stale_ticket_is_not_used(gateway, backends, short_lived):
    gw = gateway(PLAIN + "EasKcdPasswordCache 1m\n" + location(backends("cas1").url), tls=False,
                 krb5_conf=short_lived, processes=1, clock=True)
    served(gw)
    gw.set_clock(STALE)
    assert served(gw)["EAS_KCD_TICKET"] == "fetched"
