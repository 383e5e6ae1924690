# SPDX-License-Identifier: Apache-2.0
"""The time that a refusal takes does not depend on whether the user exists.

EAS_T_TRIES=2000    tries of each kind, instead of the few that every run makes
"""

import itertools
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from lab.client import Client
from lab.exchange import DOMAINS, location
from lab.frontdoor import BROWSER, FORM, Visitor

TRIES = int(os.environ.get("EAS_T_TRIES", "14"))
CONNECTIONS = 2
LIMIT = 0.001           # seconds between medians

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


def measure(gw, try_one, kinds):
    """Seconds of each try by kind; the kinds take turns, so that all have the same weather."""
    def run(first: int) -> dict[str, list[float]]:
        taken: dict[str, list[float]] = {kind: [] for kind in kinds}
        with gw.client() as client:
            for n in range(first, TRIES, CONNECTIONS):
                for kind, attempts in kinds.items():
                    name, password = attempts(n)
                    before = time.perf_counter()
                    try_one(client, name, password)
                    taken[kind].append(time.perf_counter() - before)
        return taken

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = list(pool.map(run, range(CONNECTIONS)))
    return {kind: list(itertools.chain(*(part[kind] for part in parts))) for kind in kinds}


def report(taken) -> str:
    rows = []
    for kind, values in taken.items():
        low, middle, high = (1000 * q for q in statistics.quantiles(values, n=4))
        rows.append(f"  {kind:<22} {len(values):>5} tries   median {middle:8.3f} ms   "
                    f"quartiles {low:8.3f} … {high:8.3f} ms")
    medians = [statistics.median(values) for values in taken.values()]
    rows.append(f"  the medians differ by {1000 * (max(medians) - min(medians)):.3f} ms at most")
    return "\n".join(rows)


@pytest.mark.parametrize("door", [basic, form])
@pytest.mark.parametrize("conf", ["", ALWAYS_ASKED], ids=["as it is", "always asked"])
def test_refusals_take_the_same_time(gateway, backends, domain, capsys, conf, door):
    """Names that nobody has, and those of users: with a wrong password, a remembered one, when
    locked; a disabled account; and a name that needs no question."""
    kinds = {
        "unknown": lambda n: (f"nobody{n}", "guess"),
        "known": lambda n: ("user18", f"guess-{n}"),
        "known, same password": lambda n: ("user19", "stale"),
        "disabled": lambda n: ("dirk", f"guess-{n}"),
        "a computer's": lambda n: ("gateway$", "guess"),
    }
    gw = gateway(DOMAINS + conf + location(backends("cas1").url))
    if not conf:
        gw.expect("EAS1310")
    taken = measure(gw, door(gw), kinds)
    with capsys.disabled():
        print(f"\n{door.__name__}, {'always asked' if conf else 'as it is'}:\n{report(taken)}")
    medians = [statistics.median(values) for values in taken.values()]
    assert max(medians) - min(medians) < LIMIT
