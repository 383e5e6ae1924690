# SPDX-License-Identifier: Apache-2.0
"""Short requests at a steady rate, from a process of their own.

    python3 -m lab.short_requests PORT CA_FILE USER RATE

At SIGTERM it prints, as JSON, when each was due (time.monotonic()) and the seconds that it took,
and how many failed. A request's time begins when it is due, whether or not a connection is free.
Where httpd closes a kept connection instead of an answer, the client repeats it on a new one (RFC
9112 section 9.3.1), with the newest session of TLS. It stands for machines of their own: it has
connections enough that none of its requests waits for another, and runs before all other programs
where the system lets it.
"""

import asyncio
import base64
import itertools
import json
import os
import signal
import ssl
import sys
import time
from contextlib import suppress

from .activesync import PING, TYPE, plain
from .ad import PASSWORDS
from .names import GATEWAY

CONNECTIONS = 64


class Unanswered(Exception):
    """A connection has ended before a byte of the answer to that request."""


class Resuming(ssl.SSLContext):
    """Connections by asyncio take up the session that is kept here."""

    kept: ssl.SSLSession | None = None

    def __new__(cls, ca_file: str) -> "Resuming":
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(ca_file)
        return made

    def wrap_bio(self, *given, **named) -> ssl.SSLObject:
        return super().wrap_bio(*given, session=self.kept, **named)

    def keep(self, writer: asyncio.StreamWriter) -> None:
        self.kept = writer.get_extra_info("ssl_object").session


async def connect(port: int, context: ssl.SSLContext):
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=GATEWAY)


async def ask(reader, writer, user: str, device: str, command: str,
              serial: int = 0) -> tuple[int, bytes, bool]:
    """Status, body, and whether the server closes the connection."""
    credentials = base64.b64encode(f"{user}:{PASSWORDS['alice']}".encode()).decode()
    path = plain(command, user, device) + f"&Try={serial}"
    writer.write((f"POST {path} HTTP/1.1\r\nHost: {GATEWAY}\r\n"
                  f"Authorization: Basic {credentials}\r\nContent-Type: {TYPE}\r\n"
                  f"Content-Length: {len(PING)}\r\n\r\n").encode() + PING)
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, OSError) as error:
        if getattr(error, "partial", b""):
            raise
        raise Unanswered(path) from None
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    body = await reader.readexactly(int(fields.get("Content-Length", 0)))
    return int(head.split()[1]), body, fields.get("Connection") == "close"


class Steady:
    """Connections that share the requests."""

    def __init__(self, port: int, ca_file: str, user: str, rate: float) -> None:
        self.port, self.user, self.rate = port, user, rate
        self.context = Resuming(ca_file)
        self.numbers = itertools.count()
        self.requests: list[tuple[float, float]] = []
        self.failed = self.repeated = 0

    async def _once(self, kept):
        """Returns the connection, if it is still good."""
        if kept is not None and kept[0].at_eof():
            kept[1].close()
            kept = None
        used = kept is not None
        kept = kept or await connect(self.port, self.context)
        try:
            status, _, closes = await ask(*kept, self.user, "S", "FolderSync")
        except Unanswered:
            kept[1].close()
            if not used:
                raise
            self.repeated += 1
            return await self._once(None)
        self.failed += status != 200
        if not used:
            self.context.keep(kept[1])
        if closes:
            kept[1].close()
        return None if closes else kept

    async def _connection(self, began: float) -> None:
        kept = None
        while True:
            due = began + next(self.numbers) / self.rate
            await asyncio.sleep(max(0, due - time.monotonic()))
            try:
                kept = await self._once(kept)
            except (OSError, EOFError, Unanswered):
                self.failed += 1
                kept = None
            self.requests.append((due, time.monotonic() - due))

    async def run(self) -> None:
        began = time.monotonic()
        tasks = [asyncio.create_task(self._connection(began)) for _ in range(CONNECTIONS)]
        ends = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ends.set)
        await ends.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        print(json.dumps({"requests": self.requests, "failed": self.failed,
                          "repeated": self.repeated}))


if __name__ == "__main__":
    with suppress(PermissionError):     # a container may lack CAP_SYS_NICE
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with suppress(KeyboardInterrupt):
        asyncio.run(Steady(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])).run())
