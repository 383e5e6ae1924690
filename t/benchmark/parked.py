# SPDX-License-Identifier: Apache-2.0
"""Long polls with a thread each, and parked, by t/parked.py: t/bench parked."""

import os
from argparse import Namespace

from parked import PATIENCE, SETTLED, Figures, Result, run

from .pings import AT_ONCE
from .results import table
from .warm import SMOKE, Bench

USERS = 200
THREADS = 250           # of a process, where each Ping has one
THREADED = 1_000        # the most of these
HEAD = ("Pings", "EasKcdPark", "processes", "threads", "PSS KB each", "of the latter half",
        "later", "kernel KB each", "p50 ms", "p99 ms", "errors", "p99 in restarts",
        "errors in restarts", "worst half-second p50", "old stay s", "back s", "all woken s", "wait again s", "CPU ms each",
        "right")


def parked(bench: Bench) -> None:
    """Pings of many phones by TLS, with a thread each and parked: memory, restarts, wake-up."""
    users = bench.rig.users(min(USERS, max(bench.effort.pings)))
    rows = []
    os.environ["KRB5RCACHENAME"] = "none:"
    for pings in bench.effort.pings:
        for park in ("Off", "On") if pings <= THREADED else ("On",):
            root = bench.rig.path / f"parked-{pings}-{park}"
            root.mkdir()
            result = run(_given(pings, park, bench.effort is SMOKE), root, bench.rig.domain,
                         bench.rig.authority, users)
            bench.results.note("parked", f"{pings} Pings, EasKcdPark {park}",
                               f"{result.pss:.0f} KB PSS each, {result.restarts}")
            rows.append(_row(park, result))
            _all_figures(bench, f"parked.{pings}.{park}", result)
            if park == "On":
                _figures(bench, result)
    print(table(HEAD, rows), flush=True)


def _given(pings: int, park: str, smoke: bool) -> Namespace:
    """In the thread-per-Ping case, threads for all, and for the short requests."""
    processes, threads = (4, 64) if park == "On" else ((pings + 64) // THREADS + 1, THREADS)
    full = pings >= 1000
    return Namespace(pings=pings, park=park, processes=processes, threads=threads,
                     restarts=3 if full else 1, every=20 if full else 3, minutes=0,
                     settle=0 if smoke else SETTLED, patience=0 if smoke else PATIENCE,
                     log_level="notice", at_once=AT_ONCE, spread=7)


def _row(park: str, result: Result) -> tuple[str, ...]:
    calm, restarts = result.calm, result.restarts
    return tuple(map(str, (
        result.pings, park, result.processes, result.threads, f"{result.pss:.0f}",
        f"{result.slope:.0f}", f"{result.pss_later:.0f}", f"{result.kernel:.0f}",
        f"{calm.p50 * 1e3:.1f}", f"{calm.p99 * 1e3:.1f}", calm.failed, f"{restarts.p99 * 1e3:.1f}", restarts.failed,
        f"{result.worst * 1e3:.0f} after {result.worst_after:.1f} s",
        f"{result.stayed:.1f}", f"{result.back:.0f}", f"{result.wake:.1f}",
        f"{result.again:.0f}", f"{result.cpu * 1e3:.1f}", "yes" if result.good else "NO")))


def _all_figures(bench: Bench, name: str, of: Result | Figures) -> None:
    for field, value in vars(of).items():
        if isinstance(value, Figures):
            _all_figures(bench, f"{name}.{field}", value)
        else:
            bench.results.figure(f"{name}.{field}", value)


def _figures(bench: Bench, result: Result) -> None:
    """Of the most Pings: later ones replace earlier ones."""
    bench.results.figure("parked.pss", max(result.pss, result.pss_later))
    bench.results.figure("parked.failed", result.calm.failed + result.restarts.failed)
    bench.results.figure("parked.wrong", 0 if result.good else 1)
    bench.results.figure("parked.stayed", result.stayed)
    bench.results.figure("parked.wake", result.wake)
