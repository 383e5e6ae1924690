# SPDX-License-Identifier: Apache-2.0
"""Waiting without sleeping too long, and ending only what we started."""

import itertools
import os
import select
import shlex
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Mapping, Sequence, TypeVar

from .unique import WORKER, WORKERS

T = TypeVar("T")

BLOCKED = (10080,)      # of those that are tried here, the one that browsers refuse to ask


def until(predicate: Callable[[], T], timeout: float, what: str) -> T:
    """Poll until *predicate* answers something true, and return that answer."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


_clients_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
_ports = itertools.cycle(range(min(10_000, _clients_from // 2) + WORKER, _clients_from, WORKERS))


def free_port() -> int:
    """A port on which 127.0.0.1 listens for neither TCP nor UDP (a KDC wants both).

    It lies below the kernel's range for clients: a port of that range may belong to a connection
    before its server binds it. Browsers ask it (https://fetch.spec.whatwg.org/#port-blocking).
    """
    while True:
        port = next(_ports)
        if port in BLOCKED:
            continue
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def answers(port: int) -> bool:
    """Does something accept TCP connections there?"""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def connections(port: int, of_peers: bool = False) -> int:
    """How many connections does the server on *port* hold, as the kernel sees it? Or its
    peers, of whose closed ones it may not know yet?"""
    address = 2 if of_peers else 1      # the socket's remote one, its local one
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(line[address].endswith(f":{port:04X}") and line[3] in ("01", "08")
               for line in lines)       # ESTABLISHED, CLOSE_WAIT


class Daemon:
    """A child process that stays in the foreground and writes its output to a file.

    It leads a process group of its own: a stopping httpd sends SIGTERM to its whole group.
    """

    def __init__(self, name: str, command: Sequence[str], output: Path,
                 env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.command = list(command)
        self.output = output
        self.env = dict(env or {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], object], timeout: float = 20) -> None:
        """Start the child; return when *ready* says so, fail at once when it dies instead."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=os.environ | self.env, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, process_group=0)

        def ready_or_dead() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n"
                                   + self.output.read_text(errors="replace")[-3000:])
            return bool(ready())
        try:
            until(ready_or_dead, timeout, f"{self.name} to get ready")
        except BaseException:
            self.stop()
            raise

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, timeout: float = 15) -> int | None:
        """End the child and return its exit status; harmless when it is not running."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            if not self._ends_within(timeout):
                self.process.kill()
        return self.process.wait()

    def _ends_within(self, timeout: float) -> bool:
        """At once where it ends, which Popen.wait() would look for each 50 ms."""
        descriptor = os.pidfd_open(self.process.pid)
        try:
            return bool(select.select([descriptor], [], [], timeout)[0])
        finally:
            os.close(descriptor)

    def by_hand(self) -> str:
        """The shell command that starts the same daemon."""
        env = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        return " ".join(env + [shlex.join(self.command)])
