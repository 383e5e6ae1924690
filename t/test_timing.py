# SPDX-License-Identifier: Apache-2.0
"""The time that a refusal takes does not depend on whether the user exists.

EAS_T_TRIES=2000    tries of each kind, instead of the few that every run makes
"""

import itertools
import os
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from lab.ad import PASSWORDS
from lab.client import Client, basic as authorization
from lab.exchange import DOMAINS, location
from lab.frontdoor import BROWSER, FORM, Visitor
from lab.names import GATEWAY

pytestmark = pytest.mark.alone

TRIES = int(os.environ.get("EAS_T_TRIES", "14"))
CONNECTIONS = 2
LIMIT = 0.001           # seconds between lower quartiles
ROUNDS = 4              # of as many tries, until all together keep it
TIME = 0.3              # seconds of a refusal from complete credentials
SLACK = 0.002           # clocks, and the way to the client

# Nothing remembered and nothing locked: the domain controller is asked each time.
ALWAYS_ASKED = "EasKcdLockout off\nEasKcdBadPasswordMemory off\n"


def basic(gw):
    """try_one(client, name, password): one refusal by Basic."""
    def try_one(client: Client, name: str, password: str) -> None:
        assert client.get("/eas", name, password).status in (401, 503)
    return try_one


def form(gw):
    """The same by the form."""
    visitor = Visitor(gw)
    fields = visitor.fields()
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.jar.items())
    headers = [*BROWSER, ("Cookie", cookies),
               ("Content-Type", "application/x-www-form-urlencoded")]

    def try_one(client: Client, name: str, password: str) -> None:
        body = urlencode(fields | {"username": name, "password": password}).encode()
        answer = client.post(FORM, body, headers=headers)
        assert answer.status == 503 or "reason=wrong" in answer.header("Location")
    return try_one


def measure(gw, try_one, kinds, numbers: range):
    """Seconds of each try by kind; the kinds take turns, so that all have the same weather."""
    def run(part: range) -> dict[str, list[float]]:
        taken: dict[str, list[float]] = {kind: [] for kind in kinds}
        with gw.client() as client:
            for n in part:
                for kind, attempts in kinds.items():
                    name, password = attempts(n)
                    client.get("/eas")      # connects anew: httpd closes after a 503
                    before = time.perf_counter()
                    try_one(client, name, password)
                    taken[kind].append(time.perf_counter() - before)
        return taken

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = list(pool.map(run, (numbers[n::CONNECTIONS] for n in range(CONNECTIONS))))
    return {kind: list(itertools.chain(*(part[kind] for part in parts))) for kind in kinds}


def measure_in_rounds(gw, door, kinds):
    """More tries make chance smaller; what the gateway itself adds for a kind stays."""
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for n in range(0, ROUNDS * TRIES, TRIES):
        if n > 0:
            gw.stop()           # ends the counts of failures
            gw.start()
        for kind, values in measure(gw, door(gw), kinds, range(n, n + TRIES)).items():
            taken[kind] += values
        if difference(taken) < LIMIT:
            break
    return taken


def difference(taken) -> float:
    """Between lower quartiles: a busy machine makes some answers late, and none early."""
    quartiles = [statistics.quantiles(values, n=4)[0] for values in taken.values()]
    return max(quartiles) - min(quartiles)


def report(taken) -> str:
    rows = []
    for kind, values in taken.items():
        low, middle, high = (1000 * q for q in statistics.quantiles(values, n=4))
        rows.append(f"  {kind:<22} {len(values):>5} tries   median {middle:8.3f} ms   "
                    f"quartiles {low:8.3f} … {high:8.3f} ms")
    rows.append(f"  the lower quartiles differ by {1000 * difference(taken):.3f} ms at most")
    return "\n".join(rows)


@pytest.mark.parametrize("door", [basic, form])
@pytest.mark.parametrize("conf", ["", ALWAYS_ASKED], ids=["as it is", "always asked"])
def test_refusals_take_the_same_time(gateway, backends, domain, capsys, conf, door):
    """Names that nobody has, and those of users: with a wrong password, a remembered one, when
    locked; and a disabled account."""
    kinds = {
        "unknown": lambda n: (f"nobody{n}", "guess"),
        "known": lambda n: ("user18", f"guess-{n}"),
        "known, same password": lambda n: ("user19", "stale"),
        "disabled": lambda n: ("dirk", f"guess-{n}"),
    }
    gw = gateway(DOMAINS + conf + location(backends("cas1").url))
    if not conf:
        gw.expect("EAS1310")
    taken = measure_in_rounds(gw, door, kinds)
    with capsys.disabled():
        print(f"\n{door.__name__}, {'always asked' if conf else 'as it is'}:\n{report(taken)}")
    assert difference(taken) < LIMIT


def test_distant_kdc(gateway, backends, relay):
    """A name that nobody has costs one message; an account costs three, and then two."""
    gw = gateway(DOMAINS + ALWAYS_ASKED + location(backends("cas1").url), krb5_conf=relay.krb5_conf,
                 processes=1)
    assert gw.get("/eas", "user17", PASSWORDS["user17"]).status == 200  # gets FAST's TGT
    relay.delay(0.04)
    for name in ("nobody", "user18", "user18", "dirk"):
        before = time.perf_counter()
        assert gw.get("/eas", name, "guess").status == 401
        taken = time.perf_counter() - before
        assert TIME - SLACK < taken < 2 * TIME, name
    assert relay.counts["AS-REQ"] >= 6


def test_time_begins_with_complete_credentials(gateway, backends):
    """Not with the request line, which the client may send when it likes."""
    gw = gateway("EasKcdRequireTLS Off\n" + DOMAINS + ALWAYS_ASKED
                 + location(backends("cas1").url), tls=False)
    for name in ("nobody", "user18"):
        with socket.create_connection(("127.0.0.1", gw.port), timeout=30) as connection:
            connection.sendall(b"GET /eas HTTP/1.1\r\n")
            time.sleep(0.295)       # the request's age, which must not count
            connection.sendall(f"Host: {GATEWAY}\r\n"
                               f"Authorization: {authorization(name, 'x')}\r\n\r\n".encode())
            before = time.perf_counter()
            assert connection.recv(12) == b"HTTP/1.1 401"
            assert TIME - SLACK < time.perf_counter() - before < 2 * TIME, name


@pytest.mark.parametrize("name", ["gateway$", "HTTP/gateway", "EVIL\\alice"])
def test_names_that_are_no_users_are_refused_at_once(gateway, backends, relay, name):
    """A client can tell that by itself, and it would hold a thread."""
    gw = gateway(DOMAINS + location(backends("cas1").url), krb5_conf=relay.krb5_conf)
    relay.reset()
    before = time.perf_counter()
    for _ in range(10):
        assert gw.get("/eas", name, "guess").status == 401
    assert time.perf_counter() - before < 10 * TIME / 3
    assert relay.counts.total() == 0


def test_refusals_hold_a_quarter_of_the_threads(gateway, backends):
    """Two of eight; the others are sent at once."""
    gw = gateway(DOMAINS + location(backends("cas1").url), processes=1, threads=8)
    assert gw.get("/eas", "nobody", "stale").status == 401
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: gw.get("/eas", "nobody", "stale").status, range(24)))
    assert statuses == [401] * 24
    assert gw.error_log.tags().count("EAS1300") == 24
    assert gw.error_log.tags().count("EAS1315") >= 12
