# SPDX-License-Identifier: Apache-2.0
"""Phones with a Ping each, and the backend that has them wait: pings.c and pings_backend.c.

httpd may close a kept-alive connection, and a client repeats its request on a new one (RFC 9112
section 9.3.1). Three counts tell that apart from a loss: "idle", before the client has sent a
request; "unanswered", before the first byte of an answer; and "broken". The access log has those of
the unanswered requests that httpd has read, and so lost.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.activesync import PING, plain
from lab.ad import PASSWORDS, REALM
from lab.client import basic
from lab.programs import compiled
from lab.tls import Certificate
from lab.wait import answers, free_port, until

HERE = Path(__file__).parent
AT_ONCE = 64            # phones that connect at once


class Program:
    """It answers commands with a line of JSON, and ends when this process does."""

    def __init__(self, *command: Any, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, env=env)
        self.pid = self.process.pid

    def tell(self, command: str) -> None:
        print(command, file=self.process.stdin, flush=True)

    def ask(self, command: str) -> dict[str, Any]:
        self.tell(command)
        said = self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"{self.process.args[0]} has ended: {self.process.wait()}")
        return json.loads(said)

    def end(self) -> None:
        self.process.communicate()


@dataclass(frozen=True)
class Counts:
    """Of the phones: answers by kind, and connections that ended in another way."""

    waiting: int = 0            # phones that have sent their Ping
    own: int = 0
    unchanged: int = 0
    other: int = 0              # answers for another user
    refused: int = 0            # answers with another status than 200
    idle: int = 0
    broken: int = 0
    connections: int = 0
    resumed: int = 0
    last_answer: float = 0      # of time.monotonic()
    unanswered: tuple[str, ...] = ()        # paths, which only stop() tells


class Phones:
    """So many, of these users in turn."""

    def __init__(self, root: Path, port: int, number: int, users: list[str],
                 at_once: int = AT_ONCE, resume: bool = True) -> None:
        program = compiled(root / "pings", HERE / "pings.c", HERE / "peer.c",
                           packages=("openssl",))
        lines = root / "phones"
        lines.write_text("".join(_line(users[n % len(users)], n) for n in range(number)))
        self._program = Program(program, port, lines, at_once, PING.hex(),
                                "resume" if resume else "full")
        self.pid = self._program.pid

    def begin(self, number: int) -> None:
        """So many in all."""
        self._program.tell(f"begin {number}")

    def counts(self) -> Counts:
        return Counts(**self._program.ask("counts"))

    def stop(self) -> Counts:
        seen = self._program.ask("stop")
        self._program.end()
        return Counts(**seen | {"unanswered": tuple(seen["unanswered"])})


def _line(user: str, number: int) -> str:
    return (f"{user}@{REALM} {plain('Ping', user, f'D{number}')} "
            f"{basic(user, PASSWORDS['alice'])}\n")


class Backend:
    """A process that accepts Kerberos, and has Pings wait until change()."""

    def __init__(self, root: Path, keytab: Path, certificate: Certificate,
                 krb5_conf: Path) -> None:
        self.port = free_port()
        program = compiled(root / "pings_backend", HERE / "pings_backend.c", HERE / "peer.c",
                           packages=("krb5-gssapi", "openssl"))
        self._program = Program(program, self.port, certificate.cert, certificate.key,
                                env=os.environ | {"KRB5_CONFIG": str(krb5_conf),
                                                   "KRB5_KTNAME": str(keytab),
                                                   "KRB5RCACHENAME": "none:"})
        self.pid = self._program.pid
        until(lambda: answers(self.port), 10, "the backend")

    @property
    def waiting(self) -> int:
        """Pings."""
        return self.counts()["waiting"]

    def counts(self) -> dict[str, int]:
        return self._program.ask("counts")

    def change(self) -> None:
        self._program.ask("change")

    def stop(self) -> None:
        self._program.end()
