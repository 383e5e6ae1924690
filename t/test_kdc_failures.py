# SPDX-License-Identifier: Apache-2.0
"""KDCs and name servers that fail, one or all: statuses and times, as a table.

`pytest -s` prints them for each failure; build/doc/operating.md ("A domain controller fails") has
what they promise, which a test compares.
"""

import itertools
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from lab.ad import PASSWORDS, REALM, Domain
from lab.clock import Clock
from lab.dns import NameServer, resolv_conf, using
from lab.exchange import location
from lab.frontdoor import Visitor
from lab.pages import OPERATING, table
from lab.relay import Relay
from lab.sanitizer import moves_clock
from lab.unique import WORKER, unique_number
from lab.wait import until

pytestmark = pytest.mark.alone

TIMEOUT = 5.0
# Beyond the time-outs, for a busy machine.
SLACK = 0.7
ONE_WAIT = 1.5
WARM = 0.5
RECOVERY = 5.0

DELAY = 3.0
KINDS = {
    "refuses": Relay.refuse,
    "no answer to SYN": Relay.drop,
    "silent": Relay.blackhole,
    "garbage": Relay.garbage,
    "slow by 3 s": lambda relay: relay.delay(DELAY),
    "closes": Relay.close,
}
DNS_KINDS = {
    "DNS fails": lambda server: setattr(server, "broken", True),
    "DNS silent": lambda server: setattr(server, "silent", True),
    "DNS slow by 3 s": lambda server: setattr(server, "delay", DELAY),
}
POSITIONS = ("alone", "first of two", "second of two")
COLUMNS = ("cold Basic", "cold form", "warm", "renewal", "account check")
CELLS = [*itertools.product(KINDS, POSITIONS), *itertools.product(DNS_KINDS, POSITIONS)]

# By then tickets are due for renewal (ten minutes before their end), and an account for its check.
LIFETIME = "ticket_lifetime = 40m"
LATER = 30.5

PASSWORD = PASSWORDS["alice"]
AN_OUTAGE = "which wait ends first depends on how the KDC fails"
OUTAGE_TAGS = ("EAS1036", "EAS1039", "EAS1041", "EAS1250", "EAS1252", "EAS1253", "EAS1254",
               "EAS1257", "EAS2010", "EAS2013", "EAS2021")

_dns_numbers = itertools.count(1)


def name_server(ttl=300):
    return NameServer(f"127.53.{WORKER}.{next(_dns_numbers)}", ttl)


def krb5_conf(path, relays, extra=""):
    """A krb5.conf with these KDCs; without any, DNS is asked."""
    Domain.write_krb5_conf(path, 0, extra)
    text = path.read_text()
    lines = "".join(f"        kdc = {relay.kdc}\n" for relay in relays)
    text = text.replace("        kdc = 127.0.0.1:0\n", lines)
    if not relays:
        text = text.replace("dns_lookup_kdc = false", "dns_lookup_kdc = true")
    path.write_text(text)
    return path


def publish(server, relays):
    """SRV and A records for the relays, in this order."""
    for number, relay in enumerate(relays, 1):
        host = f"dc{number}.{REALM.lower()}"
        server.add_host(host, relay.address)
        server.add_service(f"_kerberos._tcp.{REALM}", number, relay.port, host)


def with_dns(gw, lab_dir, servers):
    """The gateway, not yet started, uses these name servers."""
    conf = resolv_conf(lab_dir / f"resolv-{unique_number()}.conf", servers)
    gw.daemon.command = using(conf, gw.daemon.command)
    return gw


@dataclass
class Cell:
    """A gateway, its KDCs and name servers, and what came of its requests."""

    kind: str
    position: str
    number: int
    relays: list = field(default_factory=list)
    servers: list = field(default_factory=list)
    gw: object = None
    visitor: object = None
    results: dict = field(default_factory=dict)
    recovery: float = 0.0
    questions: int = 0
    lost_renewals: list = field(default_factory=list)

    def user(self, role):
        return f"k{self.number:02}{role}"

    @property
    def bad(self):
        """The KDC or name server that fails."""
        return (self.servers or self.relays)[self.position == "second of two"]

    @property
    def is_served(self):
        """By a healthy KDC, or because the addresses are known."""
        return self.position != "alone" or self.kind in DNS_KINDS

    @property
    def shows_messages(self):
        """The failing KDC gets them."""
        return self.kind not in ("refuses", "no answer to SYN")

    def renewals(self):
        """Messages of the gateway for itself, and those that fetch a ticket for the backend."""
        messages = [each for relay in self.relays for each in relay.messages]
        own = sum(each.kind == "TGS-REQ" or each.client == "gateway2" for each in messages)
        return own, sum("TGS-REQ/s4u2proxy" in each.labels() for each in messages)

    def renew(self, measured):
        """A ticket that is half over serves, and another is fetched, or tried to be, behind it."""
        tried, fetched = self.renewals()
        if measured:
            self.timed("renewal", lambda: self.gw.get("/act").status)
        else:
            assert self.gw.get("/act").status == 200
        in_vain = measured and not self.is_served

        def seen():
            if in_vain:     # an open circuit lets no renewal pass; a later request asks again
                self.gw.get("/act")
            now_tried, now_fetched = self.renewals()
            return (now_tried > tried or not self.shows_messages) if in_vain else (
                now_fetched > fetched)
        try:
            until(seen, 45, "a renewal")
        except TimeoutError:
            self.lost_renewals.append("while it fails" if measured else "after its return")

    def break_it(self):
        (KINDS | DNS_KINDS)[self.kind](self.bad)

    def basic(self, role, path="/eas", password=PASSWORD):
        with self.gw.client(timeout=30) as client:
            return client.get(path, self.user(role), password).status

    def timed(self, column, action):
        """The status, and the time without that which the KDC itself takes on this machine."""
        before = [relay.kdc_seconds for relay in self.relays]
        began = time.monotonic()
        status = action()
        took = time.monotonic() - began
        self.results[column] = (status, max(0, took - max(
            relay.kdc_seconds - earlier for relay, earlier in zip(self.relays, before))))

    def warm_up(self):
        self.gw.start()
        # All gateways start at once: the KDC may be too busy for one.
        until(lambda: self.basic("a") == 200, 30, "the first log-on")
        until(lambda: self.gw.get("/act").status == 200, 30, "the first ticket by transition")
        self.visitor = Visitor(self.gw)
        until(lambda: self.visitor.log_on(self.user("s"), PASSWORD, trusted=True).status == 303, 30,
              "the first session")
        assert self.visitor.get("/owa").status == 200

    def measure(self):
        self.timed("cold Basic", lambda: self.basic("c"))
        fields = (newcomer := Visitor(self.gw)).fields() | {
            "username": self.user("f"), "password": PASSWORD, "destination": "/", "trusted": "0"}
        self.timed("cold form", lambda: newcomer.submit(fields).status)
        self.timed("warm", lambda: self.basic("a"))
        self.renew(measured=True)
        self.timed("account check", lambda: self.visitor.get("/owa").status)
        self.timed("wrong password", lambda: self.basic("w", password="wrong"))
        self.questions = sum(server.asked for server in self.servers) - self.questions

    def renew_again(self):
        if not self.is_served:
            self.renew(measured=False)

    def recover(self):
        if self.is_served:
            return
        self.bad.relay()
        began = time.monotonic()
        until(lambda: self.basic("r") == 200, 15, "the KDC to be asked again")
        self.recovery = time.monotonic() - began


@pytest.fixture
def clock(domain, lab_dir):
    made = Clock(lab_dir / "cells-clock", domain).start()
    yield made
    made.stop()


def make_cell(number, kind, position, domain, lab_dir):
    cell = Cell(kind, position, number)
    of_dns = kind in DNS_KINDS
    count = 1 if position == "alone" and not of_dns else 2
    cell.relays = [Relay(lab_dir / f"cell-{number}-{n}.conf", domain.port).start()
                   for n in range(count)]
    if of_dns:
        cell.servers = [name_server() for _ in range(1 if position == "alone" else 2)]
        for server in cell.servers:
            publish(server, cell.relays)
    return cell


def all_at_once(action, cells):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(action, cells))


def start_cells(domain, clock, lab_dir, gateway):
    for number, (kind, position) in enumerate(CELLS):
        cell = make_cell(number, kind, position, domain, lab_dir)
        conf = krb5_conf(lab_dir / f"cell-{number}.conf", [] if cell.servers else cell.relays,
                         LIFETIME)
        act = (f'EasKcdDelegateUser "alice@{REALM}"', "EasKcdProtocolTransition On")
        url = clock.backend.url
        cell.gw = gateway(
            f"EasKcdKdcTimeout {TIMEOUT:g}s\nEasKcdPasswordCache 1h\n"
            + location(url) + location(url, "EasKcdProtocolTransition On", path="/owa")
            + location(url, *act, path="/act", require="Require all granted"),
            account="gateway2", krb5_conf=conf, processes=1, clock=True, env=clock.env,
            start=False)
        cell.gw.allow(*OUTAGE_TAGS, because=AN_OUTAGE)
        if cell.servers:
            with_dns(cell.gw, lab_dir, cell.servers)
        yield cell


def print_table(cells):
    print("\n| failure | KDC | " + " | ".join(COLUMNS) + " |")
    print("|---" * (2 + len(COLUMNS)) + "|")
    for cell in cells:
        print(f"| {cell.kind} | {cell.position} | " + " | ".join(
            f"{status}, {took:.1f} s" for status, took in map(cell.results.get, COLUMNS)) + " |")


@pytest.fixture
def matrix(domain, clock, lab_dir, gateway):
    """All cells, measured: a gateway for each, side by side."""
    domain.lockout_policy(10)       # else it counts no failures
    domain.add_copies("alice", [f"k{number:02}{role}" for number in range(len(CELLS))
                                for role in "asfcwr"])
    cells = list(start_cells(domain, clock, lab_dir, gateway))
    all_at_once(Cell.warm_up, cells)
    clock.set(minutes=LATER)
    for cell in cells:
        cell.break_it()
        cell.questions = sum(server.asked for server in cell.servers)
    all_at_once(Cell.measure, cells)
    all_at_once(Cell.recover, cells)
    clock.set(minutes=LATER + 1)    # a renewal that failed is tried again after half a minute
    all_at_once(Cell.renew_again, cells)
    print_table(cells)
    yield cells
    domain.lockout_policy(0)
    for each in itertools.chain.from_iterable(cell.relays + cell.servers for cell in cells):
        each.stop()


@moves_clock
def test_matrix(matrix, domain):
    wrong = [problem for cell in matrix for problem in problems_of(cell, domain)]
    assert not wrong, "\n".join(map(str, wrong))


COLD = {"cold Basic": 200, "cold form": 303, "wrong password": 401}
AT_ONCE = ("warm", "renewal")


def promised(column, is_served):
    """Status and longest time, as the page has them."""
    status = COLD.get(column, 200) if is_served or column not in COLD else 503
    longest = WARM if column in AT_ONCE else 0 if is_served else TIMEOUT
    return f"{status}, {longest:g} s" if longest else str(status)


def test_promises_are_those_of_the_page():
    written = table(OPERATING, "domain controllers")
    assert written == {row: {column: promised(column, is_served)
                             for column in (*COLUMNS, "wrong password")}
                       for row, is_served in (("first or second of two fails", True),
                                              ("name servers fail", True),
                                              ("the only one fails", False))}


def problems_of(cell, domain):
    """What is not as promised."""
    where = (cell.kind, cell.position)
    long = [column for column, (_, took) in cell.results.items() if took > ONE_WAIT]
    for column, (status, took) in cell.results.items():
        good = int(promised(column, cell.is_served).partition(",")[0])
        # A slow KDC that is alone may answer the one message of a name's first sight.
        if status != good:
            yield *where, column, status
        if took > (WARM if column in AT_ONCE else TIMEOUT + SLACK):
            yield *where, column, took
    if cell.is_served and len(long) > 1:
        yield *where, "long waits", long
    for when in cell.lost_renewals:
        yield *where, "no renewal", when
    if cell.questions:
        yield *where, "DNS questions", cell.questions
    count = domain.bad_pwd_count(cell.user("w"))
    if count > 1 or (cell.is_served and count != 1):
        yield *where, "failures counted by AD", count
    if cell.recovery > RECOVERY + SLACK:
        yield *where, "recovery", cell.recovery


# --- two KDCs ---------------------------------------------------------------------------------

@pytest.fixture
def pair(lab_dir, domain):
    made = [Relay(lab_dir / f"pair-{unique_number()}.conf", domain.port).start() for _ in range(2)]
    yield made
    for relay in made:
        relay.stop()


@pytest.fixture
def start(gateway, backends, lab_dir):
    def make(relays, servers=(), more="", **options):
        conf = krb5_conf(lab_dir / f"two-{unique_number()}.conf", [] if servers else relays)
        gw = gateway(f"EasKcdRequireTLS Off\nEasKcdKdcTimeout 5s\n{more}\n"
                     + location(backends("cas1").url), tls=False, krb5_conf=conf, processes=1,
                     start=False, **options)
        return (with_dns(gw, lab_dir, servers) if servers else gw).start()
    return make


def status_of(gw, user, password=None):
    with gw.client(timeout=30) as client:
        return client.get("/eas", user, password or PASSWORDS[user]).status


@pytest.mark.smoke
def test_failed_KDC_is_asked_last_and_looked_at_again(start, pair):
    first, second = pair
    gw = start(pair)
    first.blackhole()
    assert status_of(gw, "user01") == 200
    first.reset()
    for user in ("user02", "user03"):
        began = time.monotonic()
        assert status_of(gw, user) == 200
        assert time.monotonic() - began < 0.25 + SLACK
    assert first.messages == []
    first.relay()
    users = itertools.cycle(f"user{n:02}" for n in range(4, 21))

    def first_serves_again():
        second.reset()
        assert status_of(gw, next(users)) == 200
        return second.messages == []
    until(first_serves_again, RECOVERY + 1, "the first KDC to be used again")


@pytest.fixture
def counting(domain):
    """The domain counts wrong passwords."""
    domain.lockout_policy(10)
    yield domain
    domain.lockout_policy(0)


def test_KDC_that_fails_within_a_conversation(start, pair, counting):
    """It takes the message with the guess, and is silent: the other KDC does not get that."""
    first, second = pair
    gw = start(pair, more="EasKcdArmor Off")     # the relay must see which message has the guess
    gw.expect("EAS1250")
    gw.allow("EAS1036", because=AN_OUTAGE)
    assert status_of(gw, "user01") == 200
    second.reset()
    first.silent_after = "AS-REQ/timestamp"
    assert status_of(gw, "user02", "wrong") == 503
    assert second.counts["AS-REQ/timestamp"] == 0
    assert counting.bad_pwd_count("user02") == 0
    assert status_of(gw, "user03") == 200
    assert status_of(gw, "user02", "wrong too") == 401
    assert counting.bad_pwd_count("user02") == 1
    counting.unlock("user02")


# --- name servers -----------------------------------------------------------------------------

@pytest.fixture
def servers():
    made = [name_server(), name_server()]
    yield made
    for server in made:
        server.stop()


@pytest.mark.smoke
def test_no_question_per_log_on(start, pair, servers):
    """One lookup at first: the service, and A and AAAA of each host."""
    for server in servers:
        publish(server, pair)
    gw = start(pair, servers)
    assert status_of(gw, "user01") == 200
    assert servers[0].questions == {
        ("SRV", f"_kerberos._tcp.{REALM.lower()}"): 1,
        **{(kind, f"dc{n}.{REALM.lower()}"): 1 for kind in ("A", "AAAA") for n in (1, 2)}}
    for user in ("user02", "user03", "user04"):
        pair[0].reset()
        assert status_of(gw, user) == 200
        assert pair[0].counts["AS-REQ"] + pair[0].counts["TGS-REQ"] <= 5
    assert servers[0].asked == 5
    assert servers[1].asked == 0


@pytest.mark.parametrize("failure", DNS_KINDS)
def test_first_name_server_fails_at_the_first_log_on(start, pair, servers, failure):
    for server in servers:
        publish(server, pair)
    DNS_KINDS[failure](servers[0])
    gw = start(pair, servers)
    began = time.monotonic()
    assert status_of(gw, "user01") == 200
    assert time.monotonic() - began < 2 * 0.5 + ONE_WAIT
    asked = servers[0].asked
    assert status_of(gw, "user02") == 200
    assert servers[0].asked == asked


@pytest.mark.parametrize("failure", DNS_KINDS)
def test_no_name_server_at_the_first_log_on(start, pair, servers, failure):
    """Its own reason; the circuit breaker ends the questions; found when it is back."""
    server = servers[0]
    publish(server, pair)
    DNS_KINDS[failure](server)
    gw = start(pair, [server])
    gw.expect("EAS1039", "EAS1254")
    for user in ("user01", "user02", "user03"):
        began = time.monotonic()
        assert status_of(gw, user) == 503
        assert time.monotonic() - began < TIMEOUT + SLACK
    asked = server.asked
    assert status_of(gw, "user04") == 503
    assert server.asked == asked
    server.broken, server.silent, server.delay = False, False, 0
    until(lambda: status_of(gw, "user01") == 200, RECOVERY + 1, "the name server to be asked again")


@pytest.mark.parametrize("by", ["DNS", "krb5.conf"])
def test_KDC_with_an_IPv6_address(start, lab_dir, domain, servers, by):
    relay = Relay(lab_dir / f"ipv6-{unique_number()}.conf", domain.port, "::1").start()
    try:
        publish(servers[0], [relay])
        gw = start([relay], servers[:1] if by == "DNS" else ())
        assert status_of(gw, "user01") == 200
        assert relay.counts["AS-REP"] and relay.counts["TGS-REP"]
        relay.refuse()
        gw.expect("EAS1036")
        assert status_of(gw, "user02") == 503
    finally:
        relay.stop()


def test_KDCs_that_have_moved(start, pair, servers):
    """DNS names their new addresses before the old answer's time is over, while the circuit is open."""
    old, new = pair
    publish(servers[0], [old])
    gw = start(pair, servers[:1])
    gw.expect("EAS1036")
    gw.allow("EAS1254", because=AN_OUTAGE)
    assert status_of(gw, "user01") == 200
    old.refuse()
    for user in ("user02", "user03", "user04", "user05"):
        assert status_of(gw, user) == 503
    servers[0].forget()
    publish(servers[0], [new])
    until(lambda: status_of(gw, "user06") == 200, 3 * RECOVERY, "DNS to be asked again")


def test_realm_without_records(start, pair, servers):
    gw = start(pair, servers)
    gw.expect("EAS1036")
    assert status_of(gw, "user01") == 503


def test_gateways_own_log_on_without_name_server(gateway, backends, lab_dir, pair, servers):
    publish(servers[0], pair)
    servers[0].broken = True
    act = (f'EasKcdDelegateUser "alice@{REALM}"', "EasKcdProtocolTransition On")
    gw = with_dns(gateway(
        location(backends("cas1").url, *act, require="Require all granted"), account="gateway2",
        krb5_conf=krb5_conf(lab_dir / f"own-{unique_number()}.conf", []), processes=1,
        start=False), lab_dir, servers[:1]).start()
    gw.expect("EAS2014")
    assert gw.get("/eas").status == 503
    servers[0].broken = False
    assert gw.get("/eas").status == 200


# --- the log ----------------------------------------------------------------------------------

def test_outage_is_two_lines(start, pair):
    """Its requests are logged as info meanwhile."""
    gw = start(pair)
    gw.expect("EAS1036", "EAS1254", "EAS1258", "EAS1259")
    assert status_of(gw, "user01") == 200
    for relay in pair:
        relay.refuse()
    for n in range(2, 9):
        assert status_of(gw, f"user{n:02}") == 503
    pair[0].relay()
    until(lambda: status_of(gw, "user09") == 200, RECOVERY + 1, "the KDC to be asked again")
    lines = [(entry.tag, entry.level) for entry in gw.error_log.entries()
             if entry.tag in ("EAS1036", "EAS1254", "EAS1258", "EAS1259")]
    assert Counter(line for line in lines if line[1] != "info") == {
        ("EAS1036", "error"): 3, ("EAS1258", "error"): 1, ("EAS1259", "notice"): 1}
    unanswered = [entry["EAS_KCD_ERROR"] for entry in gw.requests()].count("EAS1254")
    assert unanswered >= 4
    lasted, refused = map(int, re.search(
        rf"EAS1259: a KDC of {REALM} answers again after (\d+) s; (\d+) requests were refused",
        gw.error_log.text()).groups())
    assert 3 <= lasted <= RECOVERY + 1
    assert refused == unanswered


# --- realms that libkrb5 reaches alone --------------------------------------------------------

def test_proxy_in_krb5_conf_is_named_at_the_start(gateway, lab_dir, pair):
    conf = krb5_conf(lab_dir / f"proxy-{unique_number()}.conf", pair)
    text = conf.read_text()
    conf.write_text(text.replace("        kdc =", "        kdc = https://127.0.0.1:1/KdcProxy\n"
                                 "        kdc =", 1))
    assert "EAS3077" in gateway(krb5_conf=conf).error_log.text()
    conf.write_text(text)
    assert "EAS3077" not in gateway(krb5_conf=conf).error_log.text()
