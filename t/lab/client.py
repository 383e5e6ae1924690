# SPDX-License-Identifier: Apache-2.0
"""A small HTTP client that hides nothing: no redirects, no merged headers, no retries."""

import base64
import http.client
import json
import select
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable

from .names import GATEWAY
from .tls import Certificate

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reason: str = ""

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The header's value, or None; more than one is an error."""
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{len(values)} {name} headers: {values}")
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)


def assert_unavailable(response: Response) -> None:
    """Our own trouble: to be tried again, and no reason to ask for another password."""
    assert response.status == 503
    assert response.header("Retry-After") == "30"
    assert response.header("WWW-Authenticate") is None


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617, in UTF-8)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _chunks(body: bytes | None) -> bytes:
    """The body in chunked framing, in pieces that are not a buffer's size."""
    pieces = [body[i:i + 5000] for i in range(0, len(body or b""), 5000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Client:
    """One connection, kept alive for as long as the server allows."""

    def __init__(self, port: int, tls: bool = False, ca_file: Path | None = None,
                 host: str = GATEWAY, timeout: float = 30,
                 certificate: Certificate | None = None, source: str | None = None,
                 before: Callable[[str], None] = lambda path: None) -> None:
        """*host* is sent as Host and SNI. TLS is verified only where *ca_file* is given. The
        client's own *certificate* is for TLS, and *source* is its address. *before* is called
        with the path before each request."""
        self.host = host
        self._before = before
        bound = (source, 0) if source else None
        self._http = http.client.HTTPConnection(host, port, timeout=timeout, source_address=bound)
        if tls:
            context = ssl.create_default_context(cafile=ca_file)
            if ca_file is None:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if certificate is not None:
                context.load_cert_chain(certificate.cert, certificate.key)
            self._http = http.client.HTTPSConnection(host, port, timeout=timeout, context=context,
                                                     source_address=bound)

    def request(self, method: str, path: str, user: str | None = None,
                password: str | None = None, headers: Headers = (),
                body: bytes | None = None) -> Response:
        """Send one request with exactly these headers (and Host, Content-Length)."""
        self.send(method, path, user, password, headers, body)
        return self.receive()

    def send(self, method: str, path: str, user: str | None = None, password: str | None = None,
             headers: Headers = (), body: bytes | None = None) -> None:
        """The first half of request(), for those that have to wait for an answer."""
        self._before(path)
        headers = list(headers)
        given = {name.lower() for name, _ in headers}
        self._http.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if "host" not in given:
            self._http.putheader("Host", self.host)
        if user is not None:
            self._http.putheader("Authorization", basic(user, password or ""))
        for name, value in headers:
            self._http.putheader(name, value)
        if body is not None and not given & {"content-length", "transfer-encoding"}:
            self._http.putheader("Content-Length", str(len(body)))
        self._http.endheaders(_chunks(body) if "transfer-encoding" in given else body)

    def receive(self) -> Response:
        answer = self._http.getresponse()
        return Response(answer.status, answer.getheaders(), answer.read(), answer.reason)

    def begin(self) -> http.client.HTTPResponse:
        """As receive(), with the body still to come: read1() gives what has come of it."""
        return self._http.getresponse()

    @property
    def socket(self) -> socket.socket:
        """Below it TLS may lie."""
        assert isinstance(self._http.sock, socket.socket)
        return self._http.sock

    def is_answered(self) -> bool:
        """Whether the answer has begun to come; without TLS, which sends other things, too."""
        assert isinstance(self._http.sock, socket.socket)
        assert not isinstance(self._http.sock, ssl.SSLSocket)
        return bool(select.select([self._http.sock], [], [], 0)[0])

    def get(self, path: str, user: str | None = None, password: str | None = None,
            headers: Headers = ()) -> Response:
        return self.request("GET", path, user, password, headers)

    def post(self, path: str, body: bytes, user: str | None = None, password: str | None = None,
             headers: Headers = ()) -> Response:
        return self.request("POST", path, user, password, headers, body)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def get(port: int, path: str, user: str | None = None, password: str | None = None,
        headers: Headers = (), tls: bool = False) -> Response:
    """One GET on a connection of its own."""
    with Client(port, tls) as client:
        return client.get(path, user, password, headers)


def connect(port: int, host: str = GATEWAY) -> ssl.SSLSocket:
    """A TLS connection for whatever a client is not meant to do."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    return context.wrap_socket(plain, server_hostname=host)
