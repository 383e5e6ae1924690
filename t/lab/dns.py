# SPDX-License-Identifier: Apache-2.0
"""A name server for one server process: it counts questions, and can be slow, broken or silent.

The process runs in a mount namespace where /etc/resolv.conf is a file of ours; that needs root, as
the rest of the lab does, and leaves the machine's own resolver alone.
"""

import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Iterable

A, AAAA, SRV = 1, 28, 33
TYPES = {A: "A", AAAA: "AAAA", SRV: "SRV"}
SERVFAIL, NXDOMAIN = 2, 3


def _name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode()
                    for label in text.rstrip(".").split(".")) + b"\0"


class NameServer:
    """Answers on port 53 of *address*, one of 127/8. `questions` counts (type, name)."""

    def __init__(self, address: str, ttl: int = 300) -> None:
        self.address = address
        self.ttl = ttl
        self.questions: Counter[tuple[str, str]] = Counter()
        self.broken = False
        self.silent = False
        self.delay = 0.0
        self._records: dict[tuple[int, str], list[bytes]] = {}
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", (self.address, 53))
        self._thread.join(5)
        self._socket.close()

    def add_host(self, name: str, address: str) -> None:
        family, kind = (socket.AF_INET6, AAAA) if ":" in address else (socket.AF_INET, A)
        self._records.setdefault((kind, name.lower()), []).append(
            socket.inet_pton(family, address))

    def add_service(self, name: str, priority: int, port: int, host: str) -> None:
        self._records.setdefault((SRV, name.lower()), []).append(
            struct.pack(">HHH", priority, 0, port) + _name(host))

    def forget(self) -> None:
        """No records any more: others follow."""
        self._records = {}

    @property
    def asked(self) -> int:
        return sum(self.questions.values())

    # --- inside ----------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            question, peer = self._socket.recvfrom(4096)
            if not question:
                return
            threading.Thread(target=self._reply, args=(question, peer), daemon=True).start()

    def _reply(self, question: bytes, peer: tuple[str, int]) -> None:
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        end = at + 5
        kind, = struct.unpack(">H", question[at + 1:at + 3])
        name = ".".join(labels).lower()
        self.questions[TYPES.get(kind, str(kind)), name] += 1
        if self.silent:
            return
        time.sleep(self.delay)      # in a thread of this question
        known = any(known == name for _, known in self._records)
        records = [] if self.broken else self._records.get((kind, name), [])
        code = SERVFAIL if self.broken else 0 if known else NXDOMAIN
        answers = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, self.ttl, len(data)) + data
                           for data in records)
        head = question[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        try:
            self._socket.sendto(head + question[12:end] + answers, peer)
        except OSError:
            pass                    # stopped meanwhile


def resolv_conf(path: Path, servers: Iterable[NameServer]) -> Path:
    path.write_text("".join(f"nameserver {server.address}\n" for server in servers))
    path.chmod(0o644)
    return path


def using(conf: Path, command: list[str]) -> list[str]:
    """The command, in a mount namespace where *conf* is /etc/resolv.conf."""
    return bound(conf, Path("/etc/resolv.conf"), command)


def bound(path: Path, place: Path, command: list[str]) -> list[str]:
    """The command, in a mount namespace where *path* stands at *place*."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            'mount --bind "$0" "$1" && shift && exec "$@"', str(path), str(place), *command]
