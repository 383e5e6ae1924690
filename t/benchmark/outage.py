# SPDX-License-Identifier: Apache-2.0
"""A KDC that accepts connections and says nothing: whom does it hold up?"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Iterator
from urllib.error import URLError
from urllib.request import urlopen

from lab.gateway import Gateway
from lab.wait import until

from .cold import cold_gateway, first_requests, note_answers
from .load import Answer, Answers, Load, at_a_rate, at_once
from .results import milliseconds
from .warm import Bench

TIMEOUT = 2             # EasKcdKdcTimeout, seconds
KNOWN_AFTER = 1.2       # seconds until the gateway notices a silent KDC; EasKcdKdcTimeout's page says one
LASTS = TIMEOUT + 1     # seconds
WORKERS = (2, 64)       # processes, threads of each
RATE = 50               # log-ons a second: more than may wait, and fewer than all threads


def outage(bench: Bench) -> None:
    """Warm users while the KDC is black-holed and others log on; those others; the workers."""
    rounds = max(1, bench.effort.rounds // 4)
    cold = iter(bench.rig.users((LASTS * RATE + 1) * (rounds + 1)))
    gateway = cold_gateway(bench, "outage", f"EasKcdKdcTimeout {TIMEOUT}s",
                           processes=WORKERS[0], threads=WORKERS[1])
    _warm(bench, gateway, 1)
    answers, pairs = [], []
    for _ in range(rounds):
        calm = _warm(bench, gateway, LASTS)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_refused, bench, gateway, cold)
            rough = _warm(bench, gateway, LASTS)
            answers += waiting.result()
        pairs.append((calm, rough))
        _recover(bench, gateway, next(cold))
    _note_warm(bench, pairs)
    with _Watch(gateway) as watch:      # without those whom warm users keep busy
        answers += _refused(bench, gateway, cold)
    _note_cold(bench, Answers(answers, 0))
    _note_waiting(bench, watch.shares)
    bench.rig.relay.relay()
    gateway.stop()


def _refused(bench: Bench, gateway: Gateway, cold: Iterator[str]) -> list[Answer]:
    """Log-ons at this rate, from when the KDC falls silent."""
    users = first_requests(bench, [next(cold) for _ in range(LASTS * RATE)])
    bench.rig.relay.blackhole()
    return at_a_rate(gateway.port, users, RATE).answers


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


def _note_cold(bench: Bench, seen: Answers) -> None:
    note_answers(bench, "outage", f"cold requests, {RATE} a second, EasKcdKdcTimeout {TIMEOUT}s",
                 seen)
    bench.results.figure("outage.beyond", max(a.seconds for a in seen.answers) - TIMEOUT)
    bench.results.figure("outage.other", len(seen.answers) - seen.statuses[503])


def _note_waiting(bench: Bench, shares: list[tuple[float, float]]) -> None:
    """The median of three samples: a request that is just being refused does not wait."""
    seen = [(at, median(share for _, share in shares[number:number + 3]))
            for number, (at, _) in enumerate(shares[:-2])]
    then = max(share for at, share in seen if at >= KNOWN_AFTER)
    bench.results.note("outage", f"of {WORKERS[0] * WORKERS[1]} workers, at most waiting",
                       f"{max(share for _, share in seen):.0%}; after {KNOWN_AFTER} s {then:.0%}")
    bench.results.figure("outage.waiting", then)


def _recover(bench: Bench, gateway: Gateway, user: str) -> None:
    bench.rig.relay.relay()
    cold = first_requests(bench, [user])
    until(lambda: at_once(gateway.port, cold).statuses[200], 90, "the gateway to recover")


class _Watch:
    """How many workers are busy, by mod_status, while this is open; all of them where it is not
    answered itself."""

    def __init__(self, gateway: Gateway) -> None:
        self.shares: list[tuple[float, float]] = []     # seconds since the beginning, share
        self._gateway = gateway
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        began = time.monotonic()
        while not self._over.wait(0.1):
            at = time.monotonic() - began
            self.shares.append((at, _busy(self._gateway, WORKERS[0] * WORKERS[1])))


def _busy(gateway: Gateway, workers: int) -> float:
    try:
        with urlopen(f"http://127.0.0.1:{gateway.port}/server-status?auto", timeout=1) as page:
            said = dict(line.decode().strip().split(": ", 1) for line in page if b": " in line)
    except (URLError, OSError):
        return 1.0
    return (int(said["BusyWorkers"]) - 1) / workers     # one of them answers us
