# SPDX-License-Identifier: Apache-2.0
"""A backend that does what it is told, for all that a decent server would never do."""

import socket
import ssl
import threading
from dataclasses import dataclass, replace
from typing import BinaryIO, Callable, Iterable, Iterator

from .tls import Certificate
from .wait import free_port, until


@dataclass(frozen=True)
class Request:
    """A request as it came: nothing merged, nothing left out."""

    connection: int     # 1, 2, … in the order of accepting
    line: str
    headers: list[tuple[str, str]]
    body: bytes
    binding: bytes | None = None    # of the TLS connection it came on (tls-server-end-point)

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def authorization(self) -> str | None:
        return next(iter(self.all("Authorization")), None)


# Returns the raw bytes of the answer, at once or in pieces; None hangs up.
Answer = bytes | None | Iterator[bytes | None]
Script = Callable[[Request], Answer]

# Gives the WWW-Authenticate value that proves the backend to who sent a request, if it can be had.
Prover = Callable[[Request], str | None]


def response(status: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """A complete answer: response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers),
             f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def always_401(_: Request) -> bytes:
    """The script of a backend that accepts nobody."""
    return response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])


def proved(answer: bytes, proof: str) -> bytes:
    """The answer with its sender's proof, as a decent backend gives with everything but a 401."""
    status, end, rest = answer.partition(b"\r\n")
    if not status.startswith(b"HTTP/1.1 ") or status[9:10] == b"1" or status[9:12] == b"401":
        return answer
    return status + end + f"WWW-Authenticate: {proof}\r\n".encode("latin-1") + rest


class FakeBackend:
    """A threaded HTTP/1.1 server with keep-alive. `requests` is what it got, in order.

    With *prover*, what the script answers in one piece gets the proof that it lacks. What no
    server should do: `greeting` is sent to whoever connects, and `early` is a script whose answer
    is sent before the request's body is read. After stop() it can resume().

    `resumed` says of each TLS handshake whether it resumed a session. *tls_options* are those of
    ssl.SSLContext.
    """

    def __init__(self, script: Script, host: str, tls: Certificate | None = None,
                 prover: Prover | None = None, early: Script | None = None,
                 greeting: bytes = b"", port: int | None = None, keep: bool = True,
                 address: str = "127.0.0.1", tls_options: int = 0) -> None:
        self.script = script
        self.host = host
        self.early = early
        self.greeting = greeting
        self.requests: list[Request] = []
        self.connections = 0
        self.resumed: list[bool] = []
        self._keep = keep
        self._prover = prover
        self._binding = tls.channel_binding() if tls else None
        self._tls = tls.server_context() if tls else None
        if self._tls:
            self._tls.options |= tls_options
        self._listener = socket.create_server(
            (address, free_port() if port is None else port), backlog=1024,
            family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    def begin(self, script: Script) -> "FakeBackend":
        """Another script, and nothing seen so far: no connection and no request."""
        self._hang_up()
        until(lambda: not self._open, 5, "connections to end")
        self.script = script
        self.requests = []
        self.connections = 0
        self.resumed = []
        return self

    def exchange(self, certificate: Certificate) -> None:
        """Another certificate from now on; sessions of the one before can be resumed."""
        self._tls.load_cert_chain(certificate.cert, certificate.key)
        self._binding = certificate.channel_binding()

    def start(self) -> "FakeBackend":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close everything."""
        self._hang_up(self._listener)
        self._thread.join(5)
        self._listener.close()

    def resume(self) -> None:
        """Listen again after stop(), on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _hang_up(self, *others: socket.socket) -> None:
        """shutdown() wakes the threads that wait in accept, recv."""
        for waiting in (*others, *self._open):
            try:
                waiting.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass    # the peer was faster

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
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._tls:
                connection = self._tls.wrap_socket(accepted, server_side=True)
                self._open.add(connection)
                self.resumed.append(connection.session_reused)
            connection.sendall(self.greeting)
            with connection.makefile("rb") as stream:
                while head := _read_head(stream, number, self._binding):
                    if not self._exchange(connection, stream, head):
                        return
        except (OSError, ssl.SSLError, ValueError):
            pass        # the gateway hung up: its good right
        finally:
            self._open -= {accepted, connection}
            connection.close()

    def _exchange(self, connection: socket.socket, stream: BinaryIO, head: Request) -> bool:
        """Read the rest of a request and answer it; False where that ends the connection."""
        if self.early and not _send(connection, self.early(head)):
            return False
        if head.all("Expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = replace(head, body=_read_body(stream, head))
        if self._keep:
            self.requests.append(request)
        answer = self.script(request)
        if isinstance(answer, bytes) and self._prover and (proof := self._prover(request)):
            answer = proved(answer, proof)
        return _send(connection, answer)


def _send(connection: socket.socket, answer: Answer) -> bool:
    for piece in [answer] if answer is None or isinstance(answer, bytes) else answer:
        if piece is None:
            return False
        connection.sendall(piece)
    return True


def _read_head(stream: BinaryIO, connection: int, binding: bytes | None) -> Request | None:
    """The next request without its body, or None at the end of the connection."""
    line = stream.readline()
    if not line.strip():
        return None
    headers = []
    while field := stream.readline().strip():
        name, _, value = field.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    return Request(connection, line.decode("latin-1").strip(), headers, b"", binding)


def _read_body(stream: BinaryIO, head: Request) -> bytes:
    if "chunked" in head.all("Transfer-Encoding"):
        return _read_chunks(stream)
    return _read_exactly(stream, int(next(iter(head.all("Content-Length")), "0")))


def _read_chunks(stream: BinaryIO) -> bytes:
    pieces = []
    while size := int(stream.readline().split(b";")[0], 16):    # ValueError where it breaks off
        pieces.append(_read_exactly(stream, size))
        stream.readline()
    while stream.readline().strip():
        pass            # trailers
    return b"".join(pieces)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("half a body")
    return data
