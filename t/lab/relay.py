# SPDX-License-Identifier: Apache-2.0
"""A relay in front of the KDC: it counts what passes, and can be a bad KDC or a bad network."""

import asyncio
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Awaitable, Callable, Coroutine

from .ad import Domain
from .krbmsg import Message, parse
from .wait import free_port

PREAUTH_REQUIRED = 25
Ask = Callable[[bytes], Awaitable[bytes]]


class Relay:
    """A TCP and UDP relay that runs in a thread of its own.

    It writes *krb5_conf*, which names it as the only KDC. `messages` is what passed since the
    last reset(), in order; `counts` sums that up under "AS-REQ", "AS-REQ/timestamp", "TGS-REQ",
    "TGS-REQ/s4u2self", "TGS-REQ/s4u2proxy", "AS-REP", "TGS-REP", "KRB-ERROR", "KRB-ERROR/24", …
    """

    def __init__(self, krb5_conf: Path, kdc_port: int, address: str = "127.0.0.1") -> None:
        self.address = address
        self.port = free_port()
        self.messages: list[Message] = []
        self.krb5_conf = Domain.write_krb5_conf(krb5_conf, self.port)
        self._kdc_port = kdc_port
        self.silent_after: str | None = None    # from a message with this label on
        self.kdc_seconds = 0.0      # that the KDC behind it has taken for its answers
        self._mode = "pass"
        self._delay = 0.0
        self._replies: list[tuple[Callable[[Message], bool], bytes]] = []
        self._armor_demanded = False
        self._challenges: dict[str, bytes] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self.datagrams = 0      # messages that came by UDP
        self._clients: set[asyncio.StreamWriter] = set()
        self._blockers: list[socket.socket] = []

    @property
    def kdc(self) -> str:
        """As krb5.conf names it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else (
            f"{self.address}:{self.port}")

    def start(self) -> "Relay":
        self._thread.start()
        self._do(self._listen())
        return self

    def stop(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    # --- what it does with a request -------------------------------------------------------

    def relay(self) -> None:
        """Pass everything on, at once (how it starts)."""
        self._set("pass")

    def delay(self, seconds: float) -> None:
        """Pass everything on, each request so much later."""
        self._set("pass", seconds)

    def blackhole(self) -> None:
        """Take requests and never answer: a firewall that drops, a KDC that hangs."""
        self._set("blackhole")

    def refuse(self) -> None:
        """No socket at all: a KDC that is down."""
        self._set("refuse")

    def answer(self, requests: Callable[[Message], bool], reply: bytes) -> None:
        """Give *reply* to such requests, which do not reach the KDC, and pass everything else on."""
        self._replies.append((requests, reply))

    def demand_armor(self) -> None:
        """Refuse log-ons without armour but for computers, as AD does by "Fail unarmored
        authentication requests" ([MS-KILE] 3.3.5.1): with the question for a password, again."""
        self._armor_demanded = True

    def garbage(self) -> None:
        """Answer what is no Kerberos: another service on the port."""
        self._set("garbage")

    def close(self) -> None:
        """Take requests and close."""
        self._set("close")

    def drop(self) -> None:
        """No answer to a SYN: a host that is off, a firewall."""
        self._set("drop")

    def _set(self, mode: str, delay: float = 0.0) -> None:
        self._do(self._change(mode, delay))

    # --- what it saw -----------------------------------------------------------------------

    def reset(self) -> None:
        self.messages = []

    @property
    def counts(self) -> Counter[str]:
        return Counter(label for message in self.messages for label in message.labels())

    @property
    def passwords(self) -> int:
        """How many passwords were put to the KDC: every second armoured message has one."""
        log_ons = [message.labels() for message in self.messages if message.client != "gateway"]
        return (sum("AS-REQ/timestamp" in labels for labels in log_ons)
                + sum("AS-REQ/armored" in labels for labels in log_ons) // 2)

    # --- inside, all in the loop's thread --------------------------------------------------

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(5)

    async def _change(self, mode: str, delay: float) -> None:
        self._mode, self._delay = mode, delay
        for blocker in self._blockers:
            blocker.close()
        self._blockers.clear()
        if mode in ("refuse", "drop"):
            await self._close()
            if mode == "drop":
                self._block()
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve_tcp, self.address, self.port)
        self._udp, _ = await self._loop.create_datagram_endpoint(
            lambda: _UdpServer(self._exchange, self._ask_udp), (self.address, self.port))

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._udp.close()
            self._server = self._udp = None
        for client in self._clients:
            client.transport.abort()

    def _block(self) -> None:
        """A queue of connections that is full: Linux drops further SYNs."""
        listener = socket.socket()
        self._blockers.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        for _ in range(3):
            waiting = socket.socket()
            self._blockers.append(waiting)
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))

    async def _end(self) -> None:
        """Nothing is left under way that would miss its loop."""
        await self._change("refuse", 0.0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _exchange(self, request: bytes, ask: Ask) -> bytes | None:
        """The KDC's answer, or None where the client shall get none."""
        message = parse(request)
        self.messages.append(message)
        if self.silent_after in message.labels():
            self._mode = "blackhole"
        if self._mode in ("blackhole", "garbage", "close"):
            return None
        await asyncio.sleep(self._delay)
        began = time.monotonic()
        answer = self._scripted(message) or await ask(request)
        self.kdc_seconds += time.monotonic() - began
        self.messages.append(parse(answer))
        if self.messages[-1].error == PREAUTH_REQUIRED:
            self._challenges[message.client] = answer
        return answer

    def _scripted(self, message: Message) -> bytes | None:
        for requests, reply in self._replies:
            if requests(message):
                return reply
        if self._armor_demanded and "AS-REQ/timestamp" in message.labels() \
                and not message.client.endswith("$"):
            return self._challenges[message.client]
        return None

    async def _serve_tcp(self, reader: asyncio.StreamReader,
                         writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while True:
                answer = await self._exchange(await _read_tcp(reader), self._ask_tcp)
                if answer is None and self._mode == "garbage":
                    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                if answer is None and self._mode != "close":
                    await reader.read()     # until the client gives up
                if answer is None:
                    return
                writer.write(_framed(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass                            # the client, or the KDC, has hung up
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _ask_tcp(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._kdc_port)
        try:
            writer.write(_framed(request))
            return await _read_tcp(reader)
        finally:
            writer.close()

    async def _ask_udp(self, request: bytes) -> bytes:
        self.datagrams += 1
        answer: asyncio.Future[bytes] = self._loop.create_future()
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _UdpClient(answer), remote_addr=("127.0.0.1", self._kdc_port))
        try:
            transport.sendto(request)
            return await asyncio.wait_for(answer, 10)
        finally:
            transport.close()


class _UdpServer(asyncio.DatagramProtocol):
    def __init__(self, exchange: Callable[[bytes, Ask], Awaitable[bytes | None]],
                 ask: Ask) -> None:
        self._exchange = exchange
        self._ask = ask
        self._tasks: set[asyncio.Task[None]] = set()    # the loop itself keeps weak references

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            answer = await self._exchange(data, self._ask)
        except OSError:
            return                          # no KDC: over UDP that is silence
        if answer is not None:
            self._transport.sendto(answer, addr)


class _UdpClient(asyncio.DatagramProtocol):
    def __init__(self, answer: "asyncio.Future[bytes]") -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)


def _framed(message: bytes) -> bytes:
    """A message over TCP is preceded by its length (RFC 4120, 7.2.2)."""
    return len(message).to_bytes(4, "big") + message


async def _read_tcp(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
