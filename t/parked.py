#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many parked Pings: memory, threads, graceful restarts, and the wake-up of all.

    /usr/bin/python3 t/parked.py [--pings N] [--users N] [--processes N] [--threads N]
                                 [--restarts N] [--every S] [--park Off] [--minutes M]
                                 [--at-once N] [--spread S]

TLS on both sides. Each Ping has a connection of its own, and its answer names the user whom the
backend has authenticated. Exit status 0: each was answered, and with its own user. The phones, the
backend and the short requests are processes of their own (benchmark/pings.py), cheap beside httpd.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from benchmark.cost import cpu_seconds                      # noqa: E402
from benchmark.pings import AT_ONCE, Backend, Counts, Phones        # noqa: E402
from lab import sanitizer                                   # noqa: E402
from lab.activesync import PATH                             # noqa: E402
from lab.ad import CAS1, Domain                             # noqa: E402
from lab.exchange import location, trusting                 # noqa: E402
from lab.gateway import MODULES, Gateway                    # noqa: E402
from lab.names import GATEWAY, ensure_names                 # noqa: E402
from lab.short_requests import Resuming, Unanswered, ask, connect   # noqa: E402
from lab.tls import Authority                               # noqa: E402
from lab.wait import until                                  # noqa: E402

HOST = "cas1.corp.example.test"
SHORT = 200             # short requests a second
PATIENCE = 15           # seconds that are waited for the old processes of the last restart
GROWTH_MAX = 0.05
ROUND = 60              # seconds of a soak from one wake-up of all to the next
KERNEL = ("SUnreclaim", "KernelStack", "PageTables")
SLOWEST = 25            # Pings a second that begin or are answered, beside much other work
SETTLED = 4             # seconds after which each Ping that waits has parked
CONF = """
AsyncRequestWorkerFactor 1000
MaxSpareThreads {workers}
KeepAliveTimeout 60
EasKcdParkSpread {spread:.0f}s
EasKcdPasswordCache 8h
"""


async def log_on(port: int, ca_file: Path, users: list[str]) -> None:
    """All users, a few at a time: the domain controller is not what is measured."""
    async def once(user: str) -> None:
        async with few:
            for _ in range(20):
                with suppress(OSError, EOFError, Unanswered):
                    reader, writer = await connect(port, context)
                    with closing(writer):
                        status, *_ = await ask(reader, writer, user, "S", "FolderSync")
                    if status == 200:
                        return
                await asyncio.sleep(1)
            raise RuntimeError(f"{user} cannot log on")
    few, context = asyncio.Semaphore(4), Resuming(str(ca_file))
    await asyncio.gather(*map(once, users))


@dataclass(frozen=True)
class Memory:
    """Of httpd's children; of the kernel, for all processes of the machine. In KB."""

    processes: int
    threads: int
    pss: int
    kernel: int


def memory(gateway: Gateway) -> Memory:
    processes = threads = pss = 0
    for pid in gateway.children():
        with suppress(FileNotFoundError, ProcessLookupError):    # an old one has ended
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            threads += len(os.listdir(f"/proc/{pid}/task"))
            pss += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            processes += 1
    table = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    kernel = sum(int(table[name].split()[0]) for name in KERNEL)
    tcp = next(line.split() for line in Path("/proc/net/sockstat").read_text().splitlines()
               if line.startswith("TCP:"))
    kernel += int(tcp[tcp.index("mem") + 1]) * resource.getpagesize() // 1024
    return Memory(processes, threads, pss, kernel)


@dataclass(frozen=True)
class Lab:
    """All that runs."""

    given: argparse.Namespace
    gateway: Gateway
    backend: Backend
    phones: Phones
    users: list[str]
    ca_file: Path

    def all_wait(self, number: int, what: str) -> float:
        """Returns the seconds until so many Pings are at the backend; they have parked then."""
        began = time.monotonic()
        while (waiting := self.backend.waiting) < number:
            if time.monotonic() - began > max(180, number / SLOWEST):
                raise TimeoutError(f"{what}: {waiting} of {number} wait")
            time.sleep(0.1)
        took = time.monotonic() - began
        time.sleep(self.given.settle)
        return took

    def spent(self) -> tuple[float, float, float]:
        """CPU seconds of httpd, the phones and the backend."""
        return (cpu_seconds(self.gateway.daemon.process.pid), cpu_seconds(self.phones.pid),
                cpu_seconds(self.backend.pid))

    def restart(self, last: bool) -> tuple[float, float]:
        """Begins a graceful restart, and watches it until the next is due, or somewhat longer.
        Returns how long old processes stay, and after how long all Pings wait; inf: not yet."""
        old = set(self.gateway.children())
        began = time.monotonic()
        self.gateway.daemon.signal(signal.SIGUSR1)
        stayed = back = 0.0
        remain = missing = True
        most = max(self.given.every, self.given.patience) if last else self.given.every
        while (since := time.monotonic() - began) < self.given.every or (
                since < most and (remain or missing)):
            if remain := bool(old & set(self.gateway.children())):
                stayed = since
            if missing := self.backend.waiting < self.given.pings:
                back = since
            time.sleep(0.1)
        return float("inf") if remain else stayed, float("inf") if missing else back


Request = tuple[float, float]       # when it was due, and the seconds that it took


class Short:
    """The process of the short requests."""

    def __init__(self, lab: Lab) -> None:
        self.requests: list[Request] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.short_requests", str(lab.gateway.port), str(lab.ca_file),
             lab.users[0], str(SHORT)], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)})

    def end(self) -> "Figures":
        self.process.terminate()
        said = json.loads(self.process.communicate()[0])
        self.requests = said["requests"]
        took = sorted(seconds for _, seconds in self.requests) or [float("inf")]
        return Figures(len(self.requests), took[len(took) // 2], took[len(took) * 99 // 100],
                       took[-1], said["failed"], said["repeated"])


def worst_half_second(requests: list[Request], restarts: list[float]) -> tuple[float, float]:
    """By the median of the requests that were due in it: its begin, in seconds after the restart
    before, and that median."""
    parts: dict[tuple[float, int], list[float]] = {}
    for due, seconds in requests:
        before = max((restart for restart in restarts if restart <= due), default=None)
        if before is not None:
            parts.setdefault((before, int(2 * (due - before))), []).append(seconds)
    medians: dict[float, float] = {}
    for (_, number), took in parts.items():
        after = number / 2
        medians[after] = max(medians.get(after, 0), statistics.median(took))
    return max(medians.items(), key=lambda item: item[1], default=(0.0, 0.0))


@dataclass(frozen=True)
class Figures:
    """Of short requests; seconds."""

    number: int
    p50: float
    p99: float
    most: float
    failed: int
    repeated: int

    def __str__(self) -> str:
        return (f"{self.number} short requests: p50 {self.p50 * 1e3:.1f} ms, p99 "
                f"{self.p99 * 1e3:.1f} ms, longest {self.most * 1e3:.0f} ms, {self.failed} errors, "
                f"{self.repeated} repeated")


@dataclass
class Result:
    """Of one gateway; KB for each Ping, seconds."""

    pings: int
    processes: int = 0
    threads: int = 0
    begin: float = 0
    empty: int = 0              # without Pings, in all
    pss: float = 0
    slope: float = 0            # of the latter half of the Pings: without what all share
    pss_later: float = 0        # ... on connections that have had an answer
    kernel: float = 0
    calm: Figures | None = None
    short_cpu: tuple[float, ...] = ()       # of httpd, phones and backend, for a short request
    restarts: Figures | None = None
    stayed: float = 0           # the longest of the old processes
    back: float = 0             # the longest from a restart until all Pings wait again
    worst: float = 0            # median of the short requests in the worst half-second
    worst_after: float = 0      # ... that begins so long after a restart
    woken: int = 0
    wake: float = 0
    again: float = 0            # until all wait after that
    cpu: float = 0              # of httpd for each Ping, from one wait to the next
    growth: float = 0           # of a soak, as a part
    good: bool = False          # each answer is right, and no Ping is without one


def be_parked(lab: Lab, result: Result) -> None:
    asyncio.run(log_on(lab.gateway.port, lab.ca_file, lab.users))
    empty, pings = memory(lab.gateway), lab.given.pings
    result.empty = empty.pss
    half = pings // 2
    lab.phones.begin(half)
    result.begin = lab.all_wait(half, "begin")
    first = memory(lab.gateway)
    lab.phones.begin(pings)
    result.begin += lab.all_wait(pings, "begin")
    held = memory(lab.gateway)
    result.slope = (held.pss - first.pss) / (pings - half)
    result.processes, result.threads = held.processes, held.threads
    result.pss = (held.pss - empty.pss) / pings
    result.kernel = (held.kernel - empty.kernel) / pings
    print(f"{pings} Pings wait after {result.begin:.1f} s: {held.processes} processes, "
          f"{held.threads} threads, {held.pss / 1024:.0f} MB PSS; for each Ping {result.pss:.0f} KB"
          f" ({result.slope:.0f} KB from {half} Pings on), and {result.kernel:.0f} KB in the "
          "kernel with both ends of its connections", flush=True)
    short, spent = Short(lab), lab.spent()
    time.sleep(lab.given.every)
    result.calm = short.end()
    result.short_cpu = tuple((now - then) / max(result.calm.number, 1)
                             for now, then in zip(lab.spent(), spent))
    print(f"while they wait, {result.calm}", flush=True)


def restart_often(lab: Lab, result: Result) -> None:
    """With short requests meanwhile."""
    short, began, number = Short(lab), [], lab.given.restarts
    before, spent = lab.phones.counts(), lab.spent()
    for last in [False] * (number - 1) + [True]:
        began.append(time.monotonic())
        stayed, back = lab.restart(last)
        result.stayed, result.back = max(result.stayed, stayed), max(result.back, back)
        print(f"restart {len(began)}: old processes stay {stayed:.1f} s, all Pings are back after "
              f"{back:.1f} s; {lab.phones.counts().unchanged} answers without change", flush=True)
    lab.all_wait(lab.given.pings, "restarts")
    result.restarts = short.end()
    result.worst_after, result.worst = worst_half_second(short.requests, began)
    after = lab.phones.counts()
    used = [now - then - each * result.restarts.number
            for now, then, each in zip(lab.spent(), spent, result.short_cpu)]
    print(f"through {number} graceful restarts, {result.restarts}; worst half-second: from "
          f"{result.worst_after:.1f} s after a restart, p50 {result.worst * 1e3:.0f} ms\n"
          f"{after.connections - before.connections} connections of phones, "
          f"{after.resumed - before.resumed} with their session of TLS; CPU seconds of httpd, "
          "phones, backend, without what short requests take while all wait: "
          + ", ".join(f"{seconds:.1f}" for seconds in used), flush=True)


def wake_all(lab: Lab, result: Result) -> None:
    pings, before = lab.given.pings, lab.phones.counts().own
    used = cpu_seconds(lab.gateway.daemon.process.pid)
    began = time.monotonic()
    lab.backend.change()
    most = max(60, pings / SLOWEST)
    while ((seen := lab.phones.counts()).own < before + pings
           and time.monotonic() - began < most):
        time.sleep(0.1)
    result.woken, result.wake = seen.own - before, seen.last_answer - began
    result.again = lab.all_wait(pings, "again")
    result.cpu = (cpu_seconds(lab.gateway.daemon.process.pid) - used) / pings
    result.pss_later = (memory(lab.gateway).pss - result.empty) / pings
    print(f"wake-up: {result.woken} answers in {result.wake:.1f} s; all wait again "
          f"{result.again:.1f} s later, with {result.pss_later:.0f} KB each; "
          f"{result.cpu * 1e3:.1f} ms of httpd's CPU for each answer and the next Ping", flush=True)


def soak(lab: Lab, result: Result) -> None:
    """The memory after each wake-up of all, compared with that after the third."""
    sizes: list[int] = []
    ends = time.monotonic() + 60 * lab.given.minutes
    while time.monotonic() < ends:
        time.sleep(lab.given.round)
        wake_all(lab, result)
        sizes.append(memory(lab.gateway).pss)
        result.growth = sizes[-1] / sizes[min(2, len(sizes) - 1)] - 1
        print(f"round {len(sizes)}: {sizes[-1] / 1024:.0f} MB PSS, {result.growth:+.1%}",
              flush=True)


def measure(lab: Lab, result: Result) -> None:
    be_parked(lab, result)
    if lab.given.restarts:
        restart_often(lab, result)
    wake_all(lab, result)
    if lab.given.minutes:
        soak(lab, result)


def report(seen: Counts, gateway: Gateway) -> bool:
    """Whether each Ping was answered, with its own user, and no sanitizer has found anything."""
    lost = set(seen.unanswered) & {entry["uri"] for entry in gateway.requests()}
    print(f"answers: {seen.own} of one's own, {seen.unchanged} without change, {seen.other} "
          f"of others, {seen.refused} refused; connections closed idle {seen.idle}, requests "
          f"repeated {len(seen.unanswered) - len(lost)}, lost {len(lost) + seen.broken}")
    print("\n".join(sorted({line[line.find("]", 60):][:160] for line in
                            gateway.error_log.text().splitlines()
                            if ":error" in line or ":crit" in line})[:10]))
    found = sanitizer.reports(gateway.root)
    print(found[:5000])
    return not (found or lost or seen.broken or seen.other or seen.refused)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pings", type=int, default=1000)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--every", type=float, default=20, metavar="SECONDS",
                        help="from one restart to the next (default: 20)")
    parser.add_argument("--minutes", type=float, default=0,
                        help="then soak for as long; the exit status is 1 if memory grows by 5 %%")
    parser.add_argument("--round", type=float, default=ROUND, metavar="SECONDS",
                        help="of a soak, from one wake-up of all to the next (default: 60)")
    parser.add_argument("--park", default="On")
    parser.add_argument("--spread", type=float, default=7, metavar="SECONDS",
                        help="EasKcdParkSpread (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N",
                        help="phones that connect at the same time (default: %(default)s)")
    parser.add_argument("--log-level", default="notice")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    parser.set_defaults(settle=SETTLED, patience=PATIENCE)
    return parser.parse_args()


def make_gateway(given, root: Path, domain: Domain, authority: Authority, port: int) -> Gateway:
    return Gateway(
        root / "gateway", trusting(authority)
        + CONF.format(workers=given.processes * given.threads, spread=given.spread)
        + location(f"https://{HOST}:{port}{PATH}", f"EasKcdPark {given.park}",
                   "EasKcdLongPolls Off", path=PATH),
        keytab=domain.export_keytab(root / "gateway.keytab",
                                    ["gateway", "HTTP/gateway.corp.example.test"]),
        krb5_conf=domain.krb5_conf, ca_file=authority.ca_file, modules=MODULES,
        tls=authority.certificate(GATEWAY), processes=given.processes, threads=given.threads,
        env={"MALLOC_PERTURB_": "0", "KRB5RCACHENAME": "none:"}, log_level=given.log_level)


def run(given, root: Path, domain: Domain, authority: Authority, users: list[str]) -> Result:
    """One gateway and its backend, in that folder. The users are in the domain."""
    backend = Backend(root, domain.export_keytab(root / "cas1.keytab", [CAS1]),
                      authority.certificate(HOST), domain.krb5_conf)
    gateway = make_gateway(given, root, domain, authority, backend.port)
    phones = Phones(root, gateway.port, given.pings, users, given.at_once)
    result, seen = Result(given.pings), Counts()
    try:
        gateway.start()
        until(lambda: len(gateway.children()) >= given.processes, 10, "the processes")
        measure(Lab(given, gateway, backend, phones, users, authority.ca_file), result)
    finally:
        seen = phones.stop()
        gateway.daemon.stop()
        backend.stop()
        result.good = report(seen, gateway)
    return result


def main() -> int:
    given = arguments()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ensure_names()
    root = Path(tempfile.mkdtemp(prefix="eas-parked-"))
    root.chmod(0o755)
    authority = Authority(root / "tls")
    with closing(Domain(root / "ad")) as domain:
        domain.create()
        os.environ |= {"KRB5_CONFIG": str(domain.krb5_conf), "KRB5RCACHENAME": "none:"}
        users = [f"many{number:05}" for number in range(given.users)]
        domain.add_copies("alice", users)
        result = run(given, root, domain, authority, users)
    if not given.keep:
        shutil.rmtree(root)
    return 0 if result.good and result.growth <= GROWTH_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
