# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory of processes, by /proc, and the cores they run on."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Iterable, Sequence

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
GONE = (FileNotFoundError, ProcessLookupError)


def family(root: int) -> list[int]:
    """A process and all its descendants."""
    found = [root]
    for pid in found:
        for task in _tasks(pid):
            with suppress(*GONE):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a family, those members included that it has seen end."""
    # cutime and cstime are fields 16 and 17; the name may hold blanks.
    fields = Path(f"/proc/{root}/stat").read_text().rpartition(")")[2].split()
    total = sum(map(int, fields[13:15])) / TICK
    for pid in family(root):
        with suppress(OSError):         # one that has just ended
            total += time.clock_gettime(_clock(pid))
    return total


def _clock(pid: int) -> int:
    """Of a process's CPU time, in nanoseconds: /proc counts in hundredths of a second."""
    return ~pid << 3 | 2                # as clock_getcpuclockid() of the C library makes it


def busy_seconds(cores: Iterable[int]) -> float:
    """Time that these cores have worked, for whomever."""
    names = {f"cpu{core}" for core in cores}
    # user, nice, system, then idle and iowait, then interrupts
    rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    return sum(sum(map(int, row[1:4] + row[6:8])) for row in rows if row[0] in names) / TICK


def connections_accepted() -> int:
    """TCP connections that all servers of this network namespace have accepted so far."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()
                     if line.startswith("Tcp:"))
    return int(values[names.index("PassiveOpens")])


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory that is these processes' own: private pages, not those of shared memory or files."""
    total = 0
    for pid in pids:
        resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
        total += (int(resident) - int(shared)) * PAGE
    return total


def pin(root: int, cores: Sequence[int]) -> None:
    """Let every thread of a family run on these cores only; later threads inherit that."""
    for pid in family(root):
        for task in _tasks(pid):
            with suppress(*GONE):
                os.sched_setaffinity(task, cores)


def _tasks(pid: int) -> list[int]:
    with suppress(*GONE):
        return [int(task) for task in os.listdir(f"/proc/{pid}/task")]
    return []
