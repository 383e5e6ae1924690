#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many parked Pings: memory, threads, graceful restarts, and the wake-up of all.

    /usr/bin/python3 t/parked.py [--pings N] [--users N] [--processes N] [--threads N]
                                 [--restarts N] [--park Off] [--minutes M]

TLS on both sides. Each Ping has a connection of its own, and its answer names the user whom the
backend has authenticated. Exit status 0: each was answered, and with its own user.

httpd may close a kept-alive connection, and a client repeats its request on a new one (RFC 9112
section 9.3.1). Three counts tell that apart from a loss: "closed idle", before the client has sent a
request; "repeated", where httpd has not read the request, which its access log lacks; and "lost".
"""

import argparse
import asyncio
import asyncio.sslproto
import itertools
import json
import os
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from benchmark.cost import cpu_seconds                      # noqa: E402
from lab import sanitizer                                   # noqa: E402
from lab.activesync import PATH, TYPE                       # noqa: E402
from lab.ad import CAS1, REALM, Domain                      # noqa: E402
from lab.exchange import location, trusting                 # noqa: E402
from lab.gateway import MODULES, Gateway                    # noqa: E402
from lab.kerberos import Acceptor                           # noqa: E402
from lab.names import GATEWAY, ensure_names                 # noqa: E402
from lab.short_requests import Unanswered, ask, connect     # noqa: E402
from lab.tls import Authority                               # noqa: E402
from lab.wait import free_port, until                       # noqa: E402

HOST = "cas1.corp.example.test"
STORM = 64              # Pings that begin at once
SHORT = 200             # short requests a second
RESTART_MAX = 15        # seconds that are waited for the old processes
GROWTH_MAX = 0.05
ROUND = 60              # seconds of a soak from one wake-up of all to the next
KERNEL = ("SUnreclaim", "KernelStack", "PageTables")
SLOWEST = 25            # Pings a second that begin or are answered, beside much other work

# Of each connection of the phones and the backend; 256 KB would be 5 GB for 10 000 Pings.
asyncio.sslproto.SSLProtocol.max_size = 16 << 10


class Backend:
    """A process that accepts Kerberos and keeps Pings waiting until SIGUSR1."""

    def __init__(self, keytab: Path, certificate) -> None:
        self.port = free_port()
        self.pid = os.fork()
        if self.pid == 0:
            with suppress(KeyboardInterrupt):
                asyncio.run(self._serve(Acceptor(keytab), certificate.server_context()))
            os._exit(0)

    async def _serve(self, acceptor: Acceptor, context: ssl.SSLContext) -> None:
        self.changed = asyncio.Event()

        def change() -> None:
            self.changed.set()
            self.changed = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, change)
        server = await asyncio.start_server(
            lambda reader, writer: self._talk(acceptor, reader, writer), "127.0.0.1", self.port,
            ssl=context, backlog=4096)
        await server.serve_forever()

    async def _talk(self, acceptor, reader, writer) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                await reader.readexactly(int(fields.get("Content-Length", 0)))
                accepted = acceptor.accept(fields["Authorization"])
                if "Cmd=Ping" in head:
                    await self.changed.wait()
                body = accepted.user.encode()
                writer.write(f"HTTP/1.1 200 OK\r\nWWW-Authenticate: {accepted.www_authenticate}\r\n"
                             f"Content-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                             + body)
                await writer.drain()
        writer.close()

    def change(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


class Phones:
    """The clients: what they got, by kind."""

    def __init__(self, port: int, users: list[str], ca_file: Path) -> None:
        self.port, self.users = port, users
        self.context = ssl.create_default_context(cafile=ca_file)
        self.own = self.unchanged = self.other = self.refused = self.idle = self.broken = 0
        self.unanswered: set[str] = set()       # requests, on connections that had been used
        self.last_answer = 0.0
        self.ends = False
        self._storm = asyncio.Semaphore(STORM)

    async def connect(self):
        return await connect(self.port, self.context)

    def count(self, user: str, status: int, body: bytes) -> None:
        self.last_answer = time.monotonic()
        if status != 200:
            self.refused += 1
        elif body.startswith(b"\x03\x01"):
            self.unchanged += 1
        elif body.decode() == f"{user}@{REALM}":
            self.own += 1
        else:
            self.other += 1

    async def talk(self, reader, writer, number: int, serials) -> None:
        """Pings again and again, as phones do, on a kept connection."""
        user = self.users[number % len(self.users)]
        closes = False
        while not (self.ends or closes):
            if reader.at_eof():
                self.idle += 1
                return
            try:
                *answer, closes = await ask(reader, writer, user, f"D{number}", "Ping",
                                                 next(serials))
                self.count(user, *answer)
            except Unanswered as error:
                self.unanswered.add(str(error))
                return

    async def phone(self, number: int) -> None:
        serials = itertools.count()
        while not self.ends:
            try:
                async with self._storm:
                    reader, writer = await self.connect()
                with closing(writer):
                    await self.talk(reader, writer, number, serials)
            except (OSError, EOFError):
                self.broken += not self.ends

    async def log_on(self) -> None:
        """All users, a few at a time: the domain controller is not what is measured."""
        async def once(user: str) -> None:
            async with few:
                for _ in range(20):
                    with suppress(OSError, EOFError, Unanswered):
                        reader, writer = await self.connect()
                        with closing(writer):
                            status, *_ = await ask(reader, writer, user, "S", "FolderSync")
                        if status == 200:
                            return
                    await asyncio.sleep(1)
                raise RuntimeError(f"{user} cannot log on")
        few = asyncio.Semaphore(4)
        await asyncio.gather(*map(once, self.users))


@dataclass(frozen=True)
class Memory:
    """Of httpd's children; of the kernel, for all processes of the machine. In KB."""

    processes: int
    threads: int
    pss: int
    kernel: int


def memory(gateway: Gateway) -> Memory:
    threads = pss = 0
    children = gateway.children()
    for pid in children:
        threads += len(os.listdir(f"/proc/{pid}/task"))
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        pss += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    table = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    kernel = sum(int(table[name].split()[0]) for name in KERNEL)
    tcp = next(line.split() for line in Path("/proc/net/sockstat").read_text().splitlines()
               if line.startswith("TCP:"))
    kernel += int(tcp[tcp.index("mem") + 1]) * resource.getpagesize() // 1024
    return Memory(len(children), threads, pss, kernel)


def connections_to(port: int) -> int:
    """Of the gateway, that are open."""
    wanted = f"{port:04X}"
    with open("/proc/net/tcp") as table:
        return sum(1 for row in table if row.split()[2].endswith(":" + wanted)
                   and row.split()[3] == "01")


async def all_wait(backend: Backend, number: int, what: str) -> float:
    began = time.monotonic()
    while connections_to(backend.port) < number:
        if time.monotonic() - began > max(180, number / SLOWEST):
            raise TimeoutError(f"{what}: {connections_to(backend.port)} of {number} wait")
        await asyncio.sleep(0.5)
    await asyncio.sleep(4)
    return time.monotonic() - began - 4


async def restart(gateway: Gateway) -> float:
    """Returns how long the old processes stay; at most RESTART_MAX are waited for."""
    old = set(gateway.children())
    began = time.monotonic()
    gateway.daemon.signal(signal.SIGUSR1)
    while old & set(gateway.children()):
        if time.monotonic() - began > RESTART_MAX:
            return float("inf")
        await asyncio.sleep(0.1)
    return time.monotonic() - began


class Short:
    """The process of the short requests."""

    def __init__(self, phones: Phones, ca_file: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.short_requests", str(phones.port), str(ca_file),
             phones.users[0], str(SHORT)], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)})

    def end(self) -> "Figures":
        self.process.terminate()
        said = json.loads(self.process.communicate()[0])
        took = sorted(said["seconds"]) or [float("inf")]
        return Figures(len(said["seconds"]), took[len(took) // 2], took[len(took) * 99 // 100],
                       took[-1], said["failed"], said["repeated"])


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
    restarts: Figures | None = None
    stayed: float = 0           # the longest of the old processes
    back: float = 0             # the longest until all Pings wait again
    woken: int = 0
    wake: float = 0
    again: float = 0            # until all wait after that
    cpu: float = 0              # of httpd for each Ping, from one wait to the next
    growth: float = 0           # of a soak, as a part
    good: bool = False          # each answer is right, and no Ping is without one


async def be_parked(given, gateway: Gateway, backend: Backend, phones: Phones, result: Result,
                    ca_file: Path) -> list[asyncio.Task]:
    await phones.log_on()
    empty = memory(gateway)
    result.empty = empty.pss
    half = given.pings // 2
    tasks = [asyncio.create_task(phones.phone(number)) for number in range(half)]
    result.begin = await all_wait(backend, half, "begin")
    first = memory(gateway)
    tasks += [asyncio.create_task(phones.phone(number)) for number in range(half, given.pings)]
    result.begin += await all_wait(backend, given.pings, "begin")
    held = memory(gateway)
    result.slope = (held.pss - first.pss) / (given.pings - half)
    result.processes, result.threads = held.processes, held.threads
    result.pss = (held.pss - empty.pss) / given.pings
    result.kernel = (held.kernel - empty.kernel) / given.pings
    print(f"{given.pings} Pings wait after {result.begin:.0f} s: {held.processes} processes, "
          f"{held.threads} threads, {held.pss / 1024:.0f} MB PSS; for each Ping {result.pss:.0f} KB"
          f" ({result.slope:.0f} KB from {half} Pings on), and {result.kernel:.0f} KB in the kernel "
          "with both ends of its connections",
          flush=True)
    short = Short(phones, ca_file)
    await asyncio.sleep(given.every)
    result.calm = short.end()
    print(f"while they wait, {result.calm}", flush=True)
    return tasks


async def restart_often(given, gateway: Gateway, backend: Backend, phones: Phones, result: Result,
                        ca_file: Path) -> None:
    """With short requests meanwhile."""
    short = Short(phones, ca_file)
    for number in range(given.restarts):
        began = time.monotonic()
        stayed = await restart(gateway)
        back = await all_wait(backend, given.pings, "restart")
        result.stayed, result.back = max(result.stayed, stayed), max(result.back, back)
        print(f"restart {number + 1}: old processes stay {stayed:.1f} s, all Pings are back "
              f"{back:.0f} s later; {phones.unchanged} answers without change", flush=True)
        await asyncio.sleep(max(0, began + given.every - time.monotonic()))
    result.restarts = short.end()
    print(f"through {given.restarts} graceful restarts, {result.restarts}", flush=True)


async def wake_all(given, gateway: Gateway, backend: Backend, phones: Phones,
                   result: Result) -> None:
    before = phones.own
    used = cpu_seconds(gateway.daemon.process.pid)
    began = time.monotonic()
    backend.change()
    most = max(60, given.pings / SLOWEST)
    while phones.own < before + given.pings and time.monotonic() - began < most:
        await asyncio.sleep(0.1)
    result.woken, result.wake = phones.own - before, phones.last_answer - began
    result.again = await all_wait(backend, given.pings, "again")
    result.cpu = (cpu_seconds(gateway.daemon.process.pid) - used) / given.pings
    result.pss_later = (memory(gateway).pss - result.empty) / given.pings
    print(f"wake-up: {result.woken} answers in {result.wake:.1f} s; all wait again "
          f"{result.again:.0f} s later, with {result.pss_later:.0f} KB each; "
          f"{result.cpu * 1e3:.1f} ms of httpd's CPU for each answer and the next Ping", flush=True)


async def soak(given, gateway: Gateway, backend: Backend, phones: Phones, result: Result) -> None:
    """The memory after each wake-up of all, compared with that after the third."""
    sizes: list[int] = []
    ends = time.monotonic() + 60 * given.minutes
    while time.monotonic() < ends:
        await asyncio.sleep(ROUND)
        await wake_all(given, gateway, backend, phones, result)
        sizes.append(memory(gateway).pss)
        result.growth = sizes[-1] / sizes[min(2, len(sizes) - 1)] - 1
        print(f"round {len(sizes)}: {sizes[-1] / 1024:.0f} MB PSS, {result.growth:+.1%}",
              flush=True)


async def measure(given, gateway: Gateway, backend: Backend, phones: Phones, ca_file: Path,
                  ) -> Result:
    result = Result(given.pings)
    tasks = await be_parked(given, gateway, backend, phones, result, ca_file)
    if given.restarts:
        await restart_often(given, gateway, backend, phones, result, ca_file)
    await wake_all(given, gateway, backend, phones, result)
    if given.minutes:
        await soak(given, gateway, backend, phones, result)
    phones.ends = True
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return result


def report(phones: Phones, gateway: Gateway) -> bool:
    """Whether each Ping was answered, with its own user, and no sanitizer has found anything."""
    lost = phones.unanswered & {entry["uri"] for entry in gateway.requests()}
    print(f"answers: {phones.own} of one's own, {phones.unchanged} without change, {phones.other} "
          f"of others, {phones.refused} refused; connections closed idle {phones.idle}, requests "
          f"repeated {len(phones.unanswered - lost)}, lost {len(lost) + phones.broken}")
    print("\n".join(sorted({line[line.find("]", 60):][:160] for line in
                            gateway.error_log.text().splitlines()
                            if ":error" in line or ":crit" in line})[:10]))
    found = sanitizer.reports(gateway.root)
    print(found[:5000])
    return not (found or lost or phones.broken or phones.other or phones.refused)


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
    parser.add_argument("--park", default="On")
    parser.add_argument("--log-level", default="notice")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    return parser.parse_args()


def make_gateway(given, root: Path, domain: Domain, authority: Authority, port: int) -> Gateway:
    return Gateway(
        root / "gateway", trusting(authority) + "AsyncRequestWorkerFactor 1000\n"
        f"MaxSpareThreads {given.processes * given.threads}\nKeepAliveTimeout 60\n"
        "EasKcdPasswordCache 8h\n"
        + location(f"https://{HOST}:{port}{PATH}", f"EasKcdPark {given.park}",
                   "EasKcdLongPolls Off", path=PATH),
        keytab=domain.export_keytab(root / "gateway.keytab",
                                    ["gateway", "HTTP/gateway.corp.example.test"]),
        krb5_conf=domain.krb5_conf, ca_file=authority.ca_file, modules=MODULES,
        tls=authority.certificate(GATEWAY), processes=given.processes, threads=given.threads,
        env={"MALLOC_PERTURB_": "0", "KRB5RCACHENAME": "none:"}, log_level=given.log_level)


def run(given, root: Path, domain: Domain, authority: Authority, users: list[str]) -> Result:
    """One gateway and its backend, in that folder. The users are in the domain."""
    backend = Backend(domain.export_keytab(root / "cas1.keytab", [CAS1]),
                      authority.certificate(HOST))
    gateway = make_gateway(given, root, domain, authority, backend.port)
    phones = Phones(gateway.port, users, authority.ca_file)
    result = Result(given.pings)
    try:
        gateway.start()
        until(lambda: len(gateway.children()) >= given.processes, 10, "the processes")
        result = asyncio.run(measure(given, gateway, backend, phones, authority.ca_file))
    finally:
        gateway.daemon.stop()
        backend.stop()
        result.good = report(phones, gateway)
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
