# SPDX-License-Identifier: Apache-2.0
"""A KDC that accepts connections and says nothing: whom does it hold up?"""

import threading
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from urllib.error import URLError
from urllib.request import urlopen

from lab.gateway import Gateway
from lab.wait import until

from .cold import cold_gateway, first_requests, note_answers
from .load import Answers, Load, at_once
from .results import milliseconds
from .warm import Bench

TIMEOUT = 2             # EasKcdKdcTimeout, seconds
WORKERS = (2, 64)       # processes, threads of each


def outage(bench: Bench) -> None:
    """Warm users while the KDC is black-holed and others log on; those others; the workers."""
    workers = WORKERS[0] * WORKERS[1]
    rounds = max(1, bench.effort.rounds // 2)
    cold = iter(bench.rig.users(workers * (rounds + 1) + rounds + 2))
    gateway = cold_gateway(bench, "outage", f"EasKcdKdcTimeout {TIMEOUT}s",
                           processes=WORKERS[0], threads=WORKERS[1])
    _warm(bench, gateway, 1)
    answers, pairs = [], []
    for _ in range(rounds):
        calm = _warm(bench, gateway, TIMEOUT + 1)
        with ThreadPoolExecutor(1) as pool:
            bench.rig.relay.blackhole()
            waiting = pool.submit(at_once, gateway.port,
                                  first_requests(bench, [next(cold) for _ in range(workers)]))
            rough = _warm(bench, gateway, TIMEOUT + 1)
            answers += waiting.result().answers
        pairs.append((calm, rough))
        _recover(bench, gateway, next(cold))
    _note_warm(bench, pairs)
    seen = Answers(answers, 0)
    note_answers(bench, "outage", f"cold requests, EasKcdKdcTimeout {TIMEOUT}s", seen)
    share = _waiting(bench, gateway, [next(cold) for _ in range(workers)])
    bench.results.note("outage", f"of {workers} workers, at most waiting", f"{share:.0%}")
    bench.results.figure("outage.beyond", max(a.seconds for a in answers) - TIMEOUT)
    bench.results.figure("outage.other", len(answers) - seen.statuses[503])
    bench.results.figure("outage.waiting", share)
    bench.rig.relay.relay()
    gateway.stop()


def _warm(bench: Bench, gateway: Gateway, seconds: int) -> Load:
    return bench.rig.wrk(gateway.port, "/mail", bench.rig.basic("alice"), seconds=seconds)


def _note_warm(bench: Bench, pairs: list[tuple[Load, Load]]) -> None:
    """Only answered requests have a latency: those that hang show in the throughput."""
    for calm, rough in pairs:
        bench.results.note("outage", "warm users, before and during",
                           f"{calm.per_second:.0f} and {rough.per_second:.0f} requests/s, p99 "
                           f"{milliseconds(calm.p99)} and {milliseconds(rough.p99)} ms, "
                           f"{calm.failed} and {rough.failed} failed")
    bench.results.figure("outage.p99", median(rough.p99 / calm.p99 for calm, rough in pairs))
    bench.results.figure("outage.throughput",
                         median(rough.per_second / calm.per_second for calm, rough in pairs))
    bench.results.figure("outage.failed", sum(rough.failed for _, rough in pairs))


def _recover(bench: Bench, gateway: Gateway, user: str) -> None:
    bench.rig.relay.relay()
    cold = first_requests(bench, [user])
    until(lambda: at_once(gateway.port, cold).statuses[200], 90, "the gateway to recover")


def _waiting(bench: Bench, gateway: Gateway, cold: list[str]) -> float:
    """The largest share of workers that was seen waiting, by mod_status; all of them where it
    is not answered itself."""
    over, shares = threading.Event(), [0.0]

    def watch() -> None:
        while not over.wait(0.1):
            shares.append(_busy(gateway, WORKERS[0] * WORKERS[1]))
    bench.rig.relay.blackhole()
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            at_once(gateway.port, first_requests(bench, cold))
        finally:
            over.set()
        watching.result()
    return max(shares)


def _busy(gateway: Gateway, workers: int) -> float:
    try:
        with urlopen(f"http://127.0.0.1:{gateway.port}/server-status?auto", timeout=1) as page:
            said = dict(line.decode().strip().split(": ", 1) for line in page if b": " in line)
    except (URLError, OSError):
        return 1.0
    return (int(said["BusyWorkers"]) - 1) / workers     # one of them answers us
