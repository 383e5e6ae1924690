# SPDX-License-Identifier: Apache-2.0
"""What a process has in its memory, as a debugger or a core dump would find it."""

import re
from pathlib import Path
from typing import Iterable, Iterator

REGION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) .w", re.MULTILINE)
BEFORE = 24     # bytes that show what a text is a part of


def copies(pids: Iterable[int], text: bytes) -> list[bytes]:
    """The copies of a text in the writable memory of these processes, and what stands before."""
    return [data[max(0, found.start() - BEFORE):found.end()] for pid in pids
            for data in _regions(pid) for found in re.finditer(re.escape(text), data)]


def _regions(pid: int) -> Iterator[bytes]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for begin, end in REGION.findall(maps):
            try:
                memory.seek(int(begin, 16))
                yield memory.read(int(end, 16) - int(begin, 16))
            except OSError:
                pass        # memory of a device
