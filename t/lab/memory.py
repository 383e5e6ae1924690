# SPDX-License-Identifier: Apache-2.0
"""What a process has in its memory, as a debugger or a core dump would find it."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

REGION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) .w", re.MULTILINE)
CONSTANTS = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r--p .*/(?:apache2|mod_\w+\.so)$", re.MULTILINE)
PAGE = 4096
NODE, TAG = 40, 80      # sizes: of APR's head of a node, and of a pool before its tag
BEFORE = 24     # bytes that show what a text is a part of


def copies(pids: Iterable[int], text: bytes) -> list[bytes]:
    """The copies of a text in the writable memory of these processes, and what stands before."""
    return [data[max(0, found.start() - BEFORE):found.end()] for pid in pids
            for _, data in _regions(pid) for found in re.finditer(re.escape(text), data)]


def _regions(pid: int) -> Iterator[tuple[int, bytes]]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for begin, end in REGION.findall(maps):
            try:
                memory.seek(int(begin, 16))
                yield int(begin, 16), memory.read(int(end, 16) - int(begin, 16))
            except OSError:
                pass        # memory of a device


@dataclass(frozen=True)
class Pool:
    """Of APR's, by its first node: bytes, and pages that are in memory."""

    size: int
    resident: int


def pools(pid: int, *tags: str) -> list[list[Pool]]:
    """Those with each tag. A pool lies at the beginning of its first node."""
    resident = _resident(pid)   # first: a read of memory maps what has not been used
    wanted = [{struct.pack("<Q", address) for address in _constants(pid, tag)} for tag in tags]
    regions = [*_regions(pid)]
    return [[_pool(resident, data, node - start, node)
             for start, data in regions for text in texts
             for node in (start + found.start() - TAG - NODE
                          for found in re.finditer(re.escape(text), data))
             if _is_node(data, node - start, node)] for texts in wanted]


def _is_node(data: bytes, offset: int, node: int) -> bool:
    """Its reference to its own end lies where its index tells."""
    if offset < 0 or node % PAGE:
        return False
    index, = struct.unpack_from("<I", data, offset + 16)
    end, = struct.unpack_from("<Q", data, offset + 32)
    return end == node + (index + 1) * PAGE


def _pool(resident: set[int], data: bytes, offset: int, node: int) -> Pool:
    pages = struct.unpack_from("<I", data, offset + 16)[0] + 1
    return Pool(pages * PAGE, sum(node + n * PAGE in resident for n in range(pages)))


def _resident(pid: int) -> set[int]:
    """Addresses of the pages of a process that are in memory."""
    found = set()
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as table:
        for begin, end in REGION.findall(Path(f"/proc/{pid}/maps").read_text()):
            table.seek(int(begin, 16) // PAGE * 8)
            entries = table.read((int(end, 16) - int(begin, 16)) // PAGE * 8)
            found |= {int(begin, 16) + n * PAGE for n, (entry,) in
                      enumerate(struct.iter_unpack("<Q", entries)) if entry >> 63}
    return found


def _constants(pid: int, text: str) -> Iterator[int]:
    """Addresses of a text in the read-only data of programs and libraries."""
    wanted = text.encode() + b"\0"
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for begin, end in CONSTANTS.findall(Path(f"/proc/{pid}/maps").read_text()):
            memory.seek(int(begin, 16))
            data = memory.read(int(end, 16) - int(begin, 16))
            for found in re.finditer(b"(?<=\\0)" + re.escape(wanted), data):
                yield int(begin, 16) + found.start()
