# SPDX-License-Identifier: Apache-2.0
"""The command line of t/bench."""

import argparse
import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lab.gateway import module_under_test

from . import cold, warm
from .instructions import instructions
from .mit import mit
from .outage import outage
from .page import PAGE, unknown, written
from .parked import parked
from .phones import phones
from .plot import draw
from .promises import judge
from .results import Results, say
from .rig import Rig
from .users import users
from .warm import FULL, QUICK, SMOKE, Bench

CASES = {case.__name__: case for case in (
    warm.basic, warm.cookie, warm.direct, warm.tls, warm.mutual, warm.reuse, warm.parts, warm.token,
    warm.guard, warm.others, warm.curve, cold.messages, cold.logons, mit,
    cold.storm, cold.cached, phones, users, instructions, outage, parked)}


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="t/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures the module against a bare proxy and others, on 127.0.0.1, as root.",
        epilog="cases, all of them by default:\n" + "\n".join(
            f"  {name:9} {case.__doc__.splitlines()[0]}" for name, case in CASES.items()))
    parser.add_argument("cases", nargs="*", metavar="case", help="only these")
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_const", dest="effort", const=QUICK, default=FULL,
                        help="few and short rounds, few users: for a first look")
    effort.add_argument("--smoke", action="store_const", dest="effort", const=SMOKE,
                        help="hardly any: shows only that the benchmark works")
    parser.add_argument("--users", type=int, help="how many cycle through the cache (case cached)")
    parser.add_argument("--plot", type=Path, metavar="FILE",
                        help="write throughput and p99 over concurrency, as SVG (case curve)")
    parser.add_argument("--check", action="store_true",
                        help="exit with 1 unless all is reached that must be; also when a "
                             "case fails")
    parser.add_argument("--write", action="store_true",
                        help="write the figures of these cases into the tables of "
                             "t/benchmark/README.md; all else in it stays")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write them into this copy of it")
    given = parser.parse_args(argv)
    unknown = set(given.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if given.users:
        given.effort = replace(given.effort, users=given.users)
    given.cases = given.cases or list(CASES)
    if given.write and given.effort.name == SMOKE.name and not given.page:
        parser.error("the figures of --smoke mean nothing: --write them to a --page only")
    if given.plot and "curve" not in given.cases:
        parser.error("--plot needs the case curve")
    return given


def run(given: argparse.Namespace, results: Results) -> list[str]:
    """Every case, and which of them failed: the others' figures are good all the same."""
    failed = []
    with ExitStack() as stack:
        began = time.monotonic()
        bench = Bench(Rig(stack), results, given.effort)
        for name in given.cases:
            say(f"{name}: {CASES[name].__doc__}")
            try:
                CASES[name](bench)
            except (RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
                say(f"  FAILED: {error}")
                failed.append(name)
        say(f"\n{time.monotonic() - began:.0f} seconds on {platform.machine()}, with "
            f"{len(bench.rig.layouts['shared'].gateway)} of {os.cpu_count()} cores")
    return failed


def write(page: Path, effort: str, figures: dict[str, float], done: set[str]) -> list[str]:
    """The page's tables, by these cases; which of its figures no case has, as it should."""
    page.write_text(written(page.read_text(), {
        name: value for name, value in figures.items() if name.partition(".")[0] in done}, effort))
    return unknown(figures, done)


def main(argv: list[str]) -> int:
    given = arguments(argv)
    if os.geteuid() != 0:
        sys.exit("t/bench: run it as root: the lab starts servers that change their user")
    if not module_under_test().exists():
        sys.exit(f"t/bench: {module_under_test()} is not built; build/check builds it, or make")
    results = Results()
    failed = run(given, results)
    say("\n" + results.report())
    if given.plot and "curve" not in failed:
        draw(given.plot, given.effort.levels, results.curve,
             "mod_eas_kcd and the bare proxy, 1 KB answers, 2 cores for everything")
    missing = write(given.page or PAGE, given.effort.name, results.figures,
                    set(given.cases) - set(failed)) if given.write else []
    kept, lines = judge(set(given.cases), results.figures)
    if given.check:
        say("\n" + lines)
    for name in failed:
        say(f"FAILED: {name}")
    for name in missing:
        say(f"no case measures {name}, which benchmark/page.py wants")
    return 1 if failed or missing or given.check and not kept else 0
