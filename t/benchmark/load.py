# SPDX-License-Identifier: Apache-2.0
"""Load: wrk for what is warm, and an asyncio client for first requests, which come at once."""

import asyncio
import json
import os
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Sequence

from lab.names import GATEWAY

Headers = Iterable[tuple[str, str]]

# wrk counts in microseconds; a status above 399 is an error to it. With EAS_HEADERS, a file of
# header lines, each request has the next one. With EAS_OWN as well, each thread, which has one
# connection, has one line for all its requests.
LUA = """
local file, own = os.getenv("EAS_HEADERS"), os.getenv("EAS_OWN")
local function add(headers, line)
    local name, value = line:match("^([^:]+): (.*)$")
    headers[name] = value
end
if own then
    local next_line = io.lines(file)
    function setup(thread)
        thread:set("line", next_line())
    end
    function init(args)
        add(wrk.headers, line)
    end
elseif file then
    local requests, at = {}, 0
    function init(args)
        for line in io.lines(file) do
            local headers = {}
            for k, v in pairs(wrk.headers) do headers[k] = v end
            add(headers, line)
            requests[#requests + 1] = wrk.format("GET", nil, headers)
        end
    end
    function request()
        at = at % #requests + 1
        return requests[at]
    end
end
function done(summary, latency)
    local e = summary.errors
    io.write(string.format('\\n{"requests":%d,"us":%d,"p50":%.1f,"p99":%.1f,"status":%d,' ..
        '"socket":%d}\\n', summary.requests, summary.duration, latency:percentile(50),
        latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """The result of one run of wrk; times in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int        # answers of status 400 and above
    broken: int         # connections that failed, and requests that timed out

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def failed(self) -> int:
        return self.refused + self.broken

    def must_be_clean(self, what: str) -> "Load":
        """A run with errors measures something else."""
        if self.failed or not self.requests:
            raise RuntimeError(f"{what}: {self.requests} requests, of which {self.refused} were "
                               f"refused; {self.broken} broke off")
        return self


class Wrk:
    """wrk on the given cores."""

    def __init__(self, directory: Path) -> None:
        self.cores: Sequence[int] = ()
        self._directory = directory
        self._script = directory / "wrk.lua"
        self._script.write_text(LUA)

    def __call__(self, port: int, path: str, headers: Headers = (), *, connections: int = 16,
                 seconds: int = 2, each: Path | None = None, own: bool = False) -> Load:
        """*each* is a file of header lines, one a request, over and over; or one a connection,
        which is its *own*."""
        given = [part for name, value in (("Host", GATEWAY), *headers)
                 for part in ("-H", f"{name}: {value}")]
        env = os.environ | ({"EAS_HEADERS": str(each)} if each else {}) | (
            {"EAS_OWN": "1"} if own and each else {})
        said = subprocess.run(
            ["taskset", "-c", ",".join(map(str, self.cores)), "wrk",
             f"-t{connections if own else 1}", f"-c{connections}",
             f"-d{seconds}s", "--timeout", "60s", "-s", self._script, *given,
             f"http://127.0.0.1:{port}{path}"],
            env=env, text=True, check=True, capture_output=True, timeout=seconds + 120).stdout
        seen = json.loads(said.splitlines()[-1])
        return Load(seen["requests"], seen["us"] / 1e6, seen["p50"] / 1e6, seen["p99"] / 1e6,
                    seen["status"], seen["socket"])

    def header_file(self, name: str, headers: Headers) -> Path:
        path = self._directory / f"{name}.headers"
        path.write_text("".join(f"{key}: {value}\n" for key, value in headers))
        return path


def exactly(number: int, port: int, path: str, headers: Headers, connections: int = 16) -> None:
    """So many requests, by h2load in HTTP/1.1; all must succeed."""
    given = [f"--header={name}: {value}" for name, value in headers]
    said = subprocess.run(["h2load", "--h1", f"-n{number}", f"-c{connections}", *given,
                           f"http://{GATEWAY}:{port}{path}"],
                          text=True, check=True, capture_output=True, timeout=600).stdout
    if f" {number} succeeded, 0 failed" not in said:
        raise RuntimeError(f"not all of {number} requests succeeded:\n{said}")


# --- first requests --------------------------------------------------------------------------

@dataclass(frozen=True)
class Answer:
    status: int         # 0: none came
    seconds: float


@dataclass(frozen=True)
class Answers:
    answers: list[Answer]
    seconds: float

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def percentile(self, share: float) -> float:
        ranked = sorted(answer.seconds for answer in self.answers)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def request(path: str, headers: Headers) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {GATEWAY}", "Connection: close",
             *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode()


def at_once(port: int, requests: Sequence[bytes], timeout: float = 120) -> Answers:
    """All connect first, and then all ask in the same instant."""
    async def run() -> Answers:
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in requests]
        began = time.monotonic()
        answers = await asyncio.gather(*(_ask(stream, sent, timeout)
                                         for stream, sent in zip(streams, requests)))
        return Answers(answers, time.monotonic() - began)
    return asyncio.run(run())


def at_a_rate(port: int, requests: Sequence[bytes], per_second: float,
              timeout: float = 120) -> Answers:
    """Each has a connection of its own, and comes when its time has come, whatever others do."""
    async def one(after: float, sent: bytes) -> Answer:
        await asyncio.sleep(after)
        stream = await asyncio.open_connection("127.0.0.1", port)
        return await _ask(stream, sent, timeout)

    async def run() -> Answers:
        began = time.monotonic()
        answers = await asyncio.gather(*(one(number / per_second, sent)
                                         for number, sent in enumerate(requests)))
        return Answers(answers, time.monotonic() - began)
    return asyncio.run(run())


def in_turn(port: int, requests: Sequence[bytes], clients: int, timeout: float = 120) -> Answers:
    """So many clients, each with a new connection for each request, until none is left."""
    async def work(left: Iterator[bytes], answers: list[Answer]) -> None:
        for sent in left:
            stream = await asyncio.open_connection("127.0.0.1", port)
            answers.append(await _ask(stream, sent, timeout))

    async def run() -> Answers:
        began, left, answers = time.monotonic(), iter(requests), []
        await asyncio.gather(*(work(left, answers) for _ in range(clients)))
        return Answers(answers, time.monotonic() - began)
    return asyncio.run(run())


async def _ask(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], sent: bytes,
               timeout: float) -> Answer:
    reader, writer = stream
    began, status = time.monotonic(), 0
    try:
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(-1), timeout)   # Connection: close
        status = int(answer.split(b" ", 2)[1]) if answer else 0
    except (OSError, asyncio.TimeoutError):
        pass
    finally:
        writer.close()
    return Answer(status, time.monotonic() - began)
