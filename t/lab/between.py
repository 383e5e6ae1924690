# SPDX-License-Identifier: Apache-2.0
"""Somebody between gateway and backend who ends TLS, with a certificate that the gateway trusts."""

import asyncio
import contextlib
import ssl
import threading

from .fake_backend import FakeBackend
from .tls import Certificate


class Between:
    """Decrypts, and encrypts again to *backend*; bytes pass as they are."""

    def __init__(self, backend: FakeBackend, certificate: Certificate) -> None:
        self.backend = backend
        self.connections = 0
        self._context = certificate.server_context()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"https://{self.backend.host}:{self.port}"

    def start(self) -> "Between":
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._context), self._loop).result(5)
        self.port: int = server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        inner, outer = await asyncio.open_connection("127.0.0.1", self.backend.port, ssl=trusting)
        await asyncio.gather(_copy(reader, outer), _copy(inner, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
