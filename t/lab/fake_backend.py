# SPDX-License-Identifier: Apache-2.0
"""A backend that does what it is told, for all that a decent server would never do."""

import socket
import ssl
import threading
from dataclasses import dataclass
from typing import BinaryIO, Callable, Iterable

from .tls import Certificate


@dataclass(frozen=True)
class Request:
    """A request as it came: nothing merged, nothing left out."""

    connection: int     # 1, 2, … in the order of accepting
    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def authorization(self) -> str | None:
        return next(iter(self.all("Authorization")), None)


# Returns the raw bytes of the answer; None hangs up without one.
Script = Callable[[Request], bytes | None]


def response(status: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """A complete answer: response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers),
             f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def always_401(_: Request) -> bytes:
    """The script of a backend that accepts nobody."""
    return response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])


class FakeBackend:
    """A threaded HTTP/1.1 server with keep-alive. `requests` is what it got, in order."""

    def __init__(self, script: Script, host: str, tls: Certificate | None = None) -> None:
        self.script = script
        self.host = host
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls.server_context() if tls else None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    def start(self) -> "FakeBackend":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close everything; shutdown() is what wakes the threads that wait in accept, recv."""
        for waiting in (self._listener, *self._open):
            try:
                waiting.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass    # the peer was faster
        self._thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(accepted)
            threading.Thread(target=self._serve, args=(accepted, self.connections),
                             daemon=True).start()

    def _serve(self, accepted: socket.socket, number: int) -> None:
        connection = accepted
        try:
            if self._tls:
                connection = self._tls.wrap_socket(accepted, server_side=True)
                self._open.add(connection)
            with connection.makefile("rb") as stream:
                while request := _read_request(stream, number):
                    self.requests.append(request)
                    answer = self.script(request)
                    if answer is None:
                        return
                    connection.sendall(answer)
        except (OSError, ssl.SSLError):
            pass        # the gateway hung up: its good right
        finally:
            self._open -= {accepted, connection}
            connection.close()


def _read_request(stream: BinaryIO, connection: int) -> Request | None:
    """The next request, or None at the end of the connection."""
    line = stream.readline()
    if not line.strip():
        return None
    headers = []
    while field := stream.readline().strip():
        name, _, value = field.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    known = {name.lower(): value for name, value in headers}
    if known.get("transfer-encoding", "").lower() == "chunked":
        body = _read_chunks(stream)
    else:
        body = stream.read(int(known.get("content-length", 0)))
    return Request(connection, line.decode("latin-1").strip(), headers, body)


def _read_chunks(stream: BinaryIO) -> bytes:
    pieces = []
    while size := int(stream.readline().split(b";")[0] or b"0", 16):
        pieces.append(stream.read(size))
        stream.readline()
    while stream.readline().strip():
        pass            # trailers
    return b"".join(pieces)
