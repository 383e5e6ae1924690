# SPDX-License-Identifier: Apache-2.0
"""Records that are lost before they expire, because their memory is full."""

import re
import struct
from pathlib import Path

from lab.exchange import location
from lab.sessions import OWA, log_on, served
from lab.wait import until

MAGIC = struct.pack("<Q", 0x4541534b43443033)       # auth/base/shm_table.c, as are the offsets
SIZE, EVICTED = 8, 48
LOCKOUTS = 32 << 20     # no other table has that size


def table_of(pid, size):
    """The address of the table of that size in a process."""
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, access = re.match(r"([0-9a-f]+)-[0-9a-f]+ (\S+)", line).groups()
            if access != "rw-s":
                continue
            memory.seek(int(start, 16))
            head = memory.read(4096)
            at = head.find(MAGIC)
            if at >= 0 and struct.unpack_from("<Q", head, at + SIZE)[0] == size:
                return int(start, 16) + at
    raise LookupError(size)


def test_lost_lockouts_are_logged(gateway, mailbox):
    """A user cannot fill that memory, so the table's own count stands in."""
    gw = gateway(location(mailbox.url, path=OWA))
    gw.expect("EAS1073")
    alice = log_on(gw)
    table = table_of(gw.daemon.process.pid, LOCKOUTS)
    with open(f"/proc/{gw.daemon.process.pid}/mem", "r+b", buffering=0) as memory:
        for lost in (3, 5):
            memory.seek(table + EVICTED)
            memory.write(struct.pack("<Q", lost))
            if lost == 3:
                until(lambda: "EAS1073" in gw.error_log.tags(), 30, "the parent to look")
    served(alice)
    text = (gw.root / "error.log").read_text()
    line, = re.findall(r"EAS1073: .*", text)    # once a minute at most
    assert "for lockouts is full: 3 records" in line
