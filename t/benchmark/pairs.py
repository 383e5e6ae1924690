# SPDX-License-Identifier: Apache-2.0
"""Paired measurement: A B, B A, A B ..., so that other work on the machine is beside both."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Callable, Sequence

from lab.httpd import Httpd
from lab.wait import connections as connections_of
from lab.wait import until

from . import cost
from .load import Headers, Load
from .rig import Layout, Rig


@dataclass(frozen=True)
class Side:
    """The requests, and their server."""

    name: str
    gateway: Httpd                  # or a backend, asked without one
    path: str
    headers: Headers | Callable[[], Headers] = ()   # of each run
    each: Path | None = None        # a file of headers, one for each request
    own: bool = False               # one for each connection


@dataclass(frozen=True)
class Run:
    load: Load
    cpu: float      # of the gateway, seconds per request
    opens: float    # connections to the backend that a request opens
    foreign: float = 0      # share of the cores that other programs had


@dataclass(frozen=True)
class Pair:
    """Medians over the rounds. A ratio is the median of the rounds' ratios, B to A."""

    a: Side
    b: Side
    runs: list[tuple[Run, Run]]

    def ratio(self, figure: Callable[[Run], float]) -> float:
        return median(figure(b) / max(figure(a), 1e-9) for a, b in self.runs)

    def spread(self, figure: Callable[[Run], float]) -> tuple[float, float]:
        """The quartiles of the rounds' ratios."""
        ratios = [figure(b) / max(figure(a), 1e-9) for a, b in self.runs] * 2   # one has some, too
        low, _, high = quantiles(ratios, n=4, method="inclusive")
        return low, high

    def difference(self, figure: Callable[[Run], float]) -> float:
        return median(figure(b) - figure(a) for a, b in self.runs)

    def of(self, side: int, figure: Callable[[Run], float]) -> float:
        return median(figure(run[side]) for run in self.runs)

    @property
    def throughput(self) -> float:
        return self.ratio(per_second)

    @property
    def cpu(self) -> float:
        return self.ratio(cpu)


def per_second(run: Run) -> float:
    return run.load.per_second


def cpu(run: Run) -> float:
    return run.cpu


def opens(run: Run) -> float:
    return run.opens


def foreign(run: Run) -> float:
    return run.foreign


def p50(run: Run) -> float:
    return run.load.p50


def p99(run: Run) -> float:
    return run.load.p99


def once(rig: Rig, side: Side, connections: int, seconds: int) -> Run:
    root = side.gateway.daemon.process.pid
    headers, cores = _headers(side), rig.layouts["shared"].gateway
    before, opened = cost.cpu_seconds(root), cost.connections_accepted()
    others, began = _others(rig, root, cores), time.monotonic()
    load = _load(rig, side, headers, connections, seconds).must_be_clean(side.name)
    run = Run(load, (cost.cpu_seconds(root) - before) / load.requests,
              (cost.connections_accepted() - opened - connections) / load.requests,
              (_others(rig, root, cores) - others) / len(cores) / (time.monotonic() - began))
    _come_to_rest(side)
    return run


def _others(rig: Rig, root: int, cores: Sequence[int]) -> float:
    """CPU of all but the benchmark, its load, the server and the backends."""
    ours = sum(os.times()[:4]) + sum(map(cost.cpu_seconds, {root, *rig.others}))
    return cost.busy_seconds(cores) - ours


def _headers(side: Side) -> Headers:
    return side.headers() if callable(side.headers) else side.headers


def _load(rig: Rig, side: Side, headers: Headers, connections: int, seconds: int) -> Load:
    return rig.wrk(side.gateway.port, side.path, headers, each=side.each,
                   own=side.own, connections=connections, seconds=seconds)


def _come_to_rest(side: Side) -> None:
    """A slow server finishes its requests before the next run."""
    until(lambda: connections_of(side.gateway.port) == 0, 60, f"{side.name} to come to rest")


def _warm_up(rig: Rig, side: Side, connections: int) -> None:
    """All children shall know the user; while they ask the KDC, a run may be without an answer."""
    headers = _headers(side)
    until(lambda: _load(rig, side, headers, connections, 1).requests, 60, f"{side.name} to answer")
    _come_to_rest(side)
    _load(rig, side, headers, connections, 1)
    _come_to_rest(side)


def paired(rig: Rig, a: Side, b: Side, layout: Layout, *, rounds: int, seconds: int,
           connections: int = 16) -> Pair:
    gateways = {id(side.gateway): side.gateway for side in (a, b)}
    rig.lay_out(layout, list(gateways.values()))
    for side in (a, b):
        _warm_up(rig, side, connections if side.own else max(connections, 32))
    runs = []
    for number in range(rounds):        # every other round begins with B
        order = (a, b) if number % 2 == 0 else (b, a)
        seen = [once(rig, side, connections, seconds) for side in order]
        runs.append((seen[0], seen[1]) if order[0] is a else (seen[1], seen[0]))
    return Pair(a, b, runs)
