# SPDX-License-Identifier: Apache-2.0
"""A redis server that keeps nothing on disk, and enough of its protocol to look inside."""

import signal
import socket
from pathlib import Path

from .wait import Daemon, answers, free_port


class Redis:
    """Can be stopped, which forgets everything, and started again on the same port."""

    def __init__(self, root: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        root.mkdir(parents=True)
        self.daemon = Daemon("redis", [
            "/usr/bin/redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir",
            str(root), "--save", "", "--appendonly", "no", *options], root / "output.log")

    def start(self) -> "Redis":
        self.daemon.start(lambda: answers(self.port))
        return self

    def stop(self) -> None:
        self.daemon.stop()

    def kill(self) -> None:
        """As stop(), at once."""
        self.daemon.signal(signal.SIGKILL)
        self.daemon.stop()

    def do(self, *command: str | bytes) -> object:
        """One command's answer: bytes, a number, None or a list of them."""
        parts = [part.encode() if isinstance(part, str) else part for part in command]
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"*%d\r\n" % len(parts)
                               + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            with connection.makefile("rb") as stream:
                return _answer(stream)

    def records(self) -> dict[bytes, bytes]:
        """Everything it holds."""
        return {key: self.do("GET", key) for key in self.do("KEYS", "*")}


def _answer(stream) -> object:
    kind, rest = (line := stream.readline())[:1], line[1:].strip()
    if kind == b"-":
        raise RuntimeError(rest.decode())
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    if int(rest) < 0:
        return None
    if kind == b"$":
        return stream.read(int(rest) + 2)[:-2]
    return [_answer(stream) for _ in range(int(rest))]
