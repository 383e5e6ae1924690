#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many parked Pings: memory, threads, graceful restarts, and the wake-up of all.

    /usr/bin/python3 t/parked.py [--pings N] [--users N] [--processes N] [--threads N]
                                 [--restarts N] [--park Off]

TLS on both sides. Each Ping has a connection of its own, and its answer names the user whom the
backend has authenticated. Exit status 0: each was answered, and with its own user.

httpd may close a kept-alive connection, and a client repeats its request on a new one (RFC 9112
section 9.3.1). Three counts tell that apart from a loss: "closed idle", before the client has sent a
request; "repeated", where httpd has not read the request, which its access log lacks; and "lost".
"""

import argparse
import asyncio
import base64
import itertools
import os
import resource
import shutil
import signal
import ssl
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lab.activesync import PATH, PING, TYPE, plain          # noqa: E402
from lab.ad import CAS1, PASSWORDS, REALM, Domain           # noqa: E402
from lab.exchange import location, trusting                 # noqa: E402
from lab.gateway import MODULES, Gateway                    # noqa: E402
from lab.kerberos import Acceptor                           # noqa: E402
from lab.names import GATEWAY, ensure_names                 # noqa: E402
from lab.tls import Authority                               # noqa: E402
from lab.wait import free_port, until                       # noqa: E402

HOST = "cas1.corp.example.test"
STORM = 64              # Pings that begin at once
SHORT = 50              # short requests a second


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


class Unanswered(Exception):
    """A connection has ended before a byte of the answer to that request."""


class Phones:
    """The clients: what they got, by kind."""

    def __init__(self, port: int, users: list[str], ca_file: Path) -> None:
        self.port, self.users = port, users
        self.context = ssl.create_default_context(cafile=ca_file)
        self.own = self.unchanged = self.other = self.refused = self.idle = self.broken = 0
        self.unanswered: set[str] = set()       # requests, on connections that had been used
        self.short: list[float] = []
        self.short_errors = 0
        self.last_answer = 0.0
        self.ends = False
        self._storm = asyncio.Semaphore(STORM)

    async def ask(self, reader, writer, user: str, device: str, command: str,
                  serial: int = 0) -> tuple[int, bytes, bool]:
        credentials = base64.b64encode(f"{user}:{PASSWORDS['alice']}".encode()).decode()
        path = plain(command, user, device) + f"&Try={serial}"
        writer.write((f"POST {path} HTTP/1.1\r\nHost: {GATEWAY}\r\n"
                      f"Authorization: Basic {credentials}\r\nContent-Type: {TYPE}\r\n"
                      f"Content-Length: {len(PING)}\r\n\r\n").encode() + PING)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, OSError) as error:
            if getattr(error, "partial", b""):
                raise
            raise Unanswered(path) from None
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields.get("Content-Length", 0)))
        return int(head.split()[1]), body, fields.get("Connection") == "close"

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context,
                                             server_hostname=GATEWAY)

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
                *answer, closes = await self.ask(reader, writer, user, f"D{number}", "Ping",
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
                            status, *_ = await self.ask(reader, writer, user, "S", "FolderSync")
                        if status == 200:
                            return
                    await asyncio.sleep(1)
                raise RuntimeError(f"{user} cannot log on")
        few = asyncio.Semaphore(4)
        await asyncio.gather(*map(once, self.users))

    async def short_requests(self) -> None:
        while not self.ends:
            began = time.monotonic()
            try:
                reader, writer = await self.connect()
                with closing(writer):
                    await self.ask(reader, writer, self.users[0], "S", "FolderSync")
            except (OSError, EOFError, Unanswered):
                self.short_errors += 1
            self.short.append(time.monotonic() - began)
            await asyncio.sleep(max(0, 1 / SHORT - (time.monotonic() - began)))


def memory(gateway: Gateway) -> tuple[int, int, int]:
    """Processes, threads, and PSS in KB, of httpd's children."""
    threads = pss = 0
    children = gateway.children()
    for pid in children:
        threads += len(os.listdir(f"/proc/{pid}/task"))
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        pss += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return len(children), threads, pss


def connections_to(port: int) -> int:
    """Of the gateway, that are open."""
    wanted = f"{port:04X}"
    with open("/proc/net/tcp") as table:
        return sum(1 for row in table if row.split()[2].endswith(":" + wanted)
                   and row.split()[3] == "01")


async def all_wait(backend: Backend, number: int, what: str) -> float:
    began = time.monotonic()
    while connections_to(backend.port) < number:
        if time.monotonic() - began > 180:
            raise TimeoutError(f"{what}: {connections_to(backend.port)} of {number} wait")
        await asyncio.sleep(0.5)
    await asyncio.sleep(4)
    return time.monotonic() - began - 4


async def restart(gateway: Gateway) -> float:
    """Returns how long the old processes stay."""
    old = set(gateway.children())
    began = time.monotonic()
    gateway.daemon.signal(signal.SIGUSR1)
    while old & set(gateway.children()):
        if time.monotonic() - began > 60:
            return float("inf")
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def measure(given, gateway: Gateway, backend: Backend, phones: Phones) -> None:
    await phones.log_on()
    empty = memory(gateway)
    tasks = [asyncio.create_task(phones.phone(number)) for number in range(given.pings)]
    took = await all_wait(backend, given.pings, "begin")
    tasks.append(asyncio.create_task(phones.short_requests()))
    await asyncio.sleep(5)
    processes, threads, pss = memory(gateway)
    print(f"{given.pings} Pings wait after {took:.0f} s: {processes} processes, {threads} threads, "
          f"{pss / 1024:.0f} MB PSS, {(pss - empty[2]) / given.pings:.0f} KB for each Ping")
    for number in range(given.restarts):
        stayed = await restart(gateway)
        took = await all_wait(backend, given.pings, "restart")
        print(f"restart {number + 1}: old processes stay {stayed:.1f} s, all Pings are back after "
              f"{took:.0f} s; {phones.unchanged} answers without change")
    before = phones.own
    began = time.monotonic()
    backend.change()
    while phones.own < before + given.pings and time.monotonic() - began < 60:
        await asyncio.sleep(0.1)
    print(f"wake-up: {phones.own - before} answers in {phones.last_answer - began:.1f} s")
    await all_wait(backend, given.pings, "again")
    phones.ends = True
    phones.short.sort()
    print(f"short requests: {len(phones.short)}, p50 {phones.short[len(phones.short) // 2] * 1e3:.0f}"
          f" ms, p99 {phones.short[len(phones.short) * 99 // 100] * 1e3:.0f} ms, "
          f"{phones.short_errors} errors")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def report(phones: Phones, gateway: Gateway) -> bool:
    """Whether each Ping was answered, with its own user."""
    lost = phones.unanswered & {entry["uri"] for entry in gateway.requests()}
    print(f"answers: {phones.own} of one's own, {phones.unchanged} without change, {phones.other} "
          f"of others, {phones.refused} refused; connections closed idle {phones.idle}, requests "
          f"repeated {len(phones.unanswered - lost)}, lost {len(lost) + phones.broken}")
    return not (lost or phones.broken or phones.other or phones.refused)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pings", type=int, default=1000)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--park", default="On")
    parser.add_argument("--log-level", default="notice")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    return parser.parse_args()


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
        backend = Backend(domain.export_keytab(root / "cas1.keytab", [CAS1]),
                          authority.certificate(HOST))
        gateway = Gateway(
            root / "gateway", trusting(authority) + "AsyncRequestWorkerFactor 1000\n"
            f"MaxSpareThreads {given.processes * given.threads}\nKeepAliveTimeout 60\n"
            "EasKcdPasswordCache 8h\n"
            + location(f"https://{HOST}:{backend.port}{PATH}", f"EasKcdPark {given.park}",
                       "EasKcdLongPolls Off", path=PATH),
            keytab=domain.export_keytab(root / "gateway.keytab",
                                        ["gateway", "HTTP/gateway.corp.example.test"]),
            krb5_conf=domain.krb5_conf, ca_file=authority.ca_file, modules=MODULES,
            tls=authority.certificate(GATEWAY), processes=given.processes, threads=given.threads,
            env={"MALLOC_PERTURB_": "0", "KRB5RCACHENAME": "none:"}, log_level=given.log_level)
        gateway.start()
        until(lambda: len(gateway.children()) >= given.processes, 10, "the processes")
        phones = Phones(gateway.port, users, authority.ca_file)
        try:
            asyncio.run(measure(given, gateway, backend, phones))
        finally:
            gateway.daemon.stop()
            backend.stop()
            good = report(phones, gateway)
            print("\n".join(sorted({line[line.find("]", 60):][:160] for line in
                                    gateway.error_log.text().splitlines()
                                    if ":error" in line or ":crit" in line})[:10]))
    if not given.keep:
        shutil.rmtree(root)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
