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
from .load import Answers, at_once
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
    _warm_p99(bench, gateway, 1)
    answers = []
    ratios = []
    for _ in range(rounds):
        calm = _warm_p99(bench, gateway, TIMEOUT + 1)
        with ThreadPoolExecutor(1) as pool:
            bench.rig.relay.blackhole()
            waiting = pool.submit(at_once, gateway.port,
                                  first_requests(bench, [next(cold) for _ in range(workers)]))
            rough = _warm_p99(bench, gateway, TIMEOUT + 1)
            answers += waiting.result().answers
        ratios.append(rough / calm)
        bench.results.note("outage", "p99 of warm users, before and during",
                           f"{milliseconds(calm)} and {milliseconds(rough)} ms")
        _recover(bench, gateway, next(cold))
    seen = Answers(answers, 0)
    note_answers(bench, "outage", f"cold requests, EasKcdKdcTimeout {TIMEOUT}s", seen)
    share = _waiting(bench, gateway, [next(cold) for _ in range(workers)])
    bench.results.note("outage", f"of {workers} workers, at most waiting", f"{share:.0%}")
    bench.results.figure("outage.p99", median(ratios))
    bench.results.figure("outage.beyond", max(a.seconds for a in answers) - TIMEOUT)
    bench.results.figure("outage.other", len(answers) - seen.statuses[503])
    bench.results.figure("outage.waiting", share)
    bench.rig.relay.relay()
    gateway.stop()


def _warm_p99(bench: Bench, gateway: Gateway, seconds: int) -> float:
    load = bench.rig.wrk(gateway.port, "/mail", bench.rig.basic("alice"), seconds=seconds)
    return load.must_be_clean("warm users in an outage").p99


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
