# SPDX-License-Identifier: Apache-2.0
"""A TLS client whose records a test sends octet by octet, or without TCP's end after them."""

import contextlib
import socket
import ssl
from typing import Callable, TypeVar

from .names import GATEWAY

T = TypeVar("T")


class TlsBytes:
    """Its records wait for flush() or taken()."""

    def __init__(self, port: int) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=GATEWAY)
        self._until_done(self._tls.do_handshake)

    def _until_done(self, step: Callable[[], T]) -> T:
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                result = step()
                self.flush()
                return result
            self.flush()
            self._in.write(self.socket.recv(65536) or b"")

    def flush(self) -> None:
        if data := self._out.read():
            self.socket.sendall(data)

    def taken(self) -> bytes:
        """What flush() would send; the caller does."""
        return self._out.read()

    def write(self, data: bytes) -> None:
        self._tls.write(data)

    def end(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()      # sends close_notify, and would wait for the server's

    def read(self) -> bytes:
        return self._until_done(lambda: self._tls.read(65536))

    def close(self) -> None:
        self.socket.close()
