# SPDX-License-Identifier: Apache-2.0
"""Keytab files, entry by entry (MIT krb5, doc/formats/keytab_file_format.rst, version 2)."""

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

RC4 = 23


@dataclass(frozen=True)
class Entry:
    name: bytes         # of the principal, as in the file
    components: int
    time: int
    kvno: int
    enctype: int
    key: bytes

    def encode(self) -> bytes:
        body = self.name + struct.pack(">IBHH", self.time, self.kvno & 0xff, self.enctype,
                                       len(self.key)) + self.key + struct.pack(">I", self.kvno)
        return struct.pack(">i", len(body)) + body


def _decode(body: bytes) -> Entry:
    components, = struct.unpack_from(">H", body)
    at = 2
    for _ in range(components + 1):     # and the realm
        at += 2 + struct.unpack_from(">H", body, at)[0]
    at += 4                             # the type of the name
    time, kvno, enctype, size = struct.unpack_from(">IBHH", body, at)
    key_at = at + 9
    rest = body[key_at + size:]
    return Entry(body[:at], components, time, struct.unpack(">I", rest[:4])[0] if rest else kvno,
                 enctype, body[key_at:key_at + size])


def edit(path: Path, change: Callable[[Entry], Entry | None]) -> None:
    """Each entry becomes what *change* makes of it; None leaves it out."""
    data, at, made = path.read_bytes(), 2, [b"\x05\x02"]
    while at < len(data):
        size, = struct.unpack_from(">i", data, at)
        if size > 0 and (entry := change(_decode(data[at + 4:at + 4 + size]))) is not None:
            made.append(entry.encode())
        at += 4 + abs(size)
    path.write_bytes(b"".join(made))


def only(path: Path, *enctypes: int) -> None:
    edit(path, lambda entry: entry if entry.enctype in enctypes else None)


def with_newer_keys(path: Path) -> None:
    """As it comes of a password that the domain controllers do not know yet."""
    with_other_keys(path)
    edit(path, lambda entry: replace(entry, kvno=entry.kvno + 1))


def with_other_keys(path: Path) -> None:
    edit(path, lambda entry: replace(entry, key=bytes(byte ^ 1 for byte in entry.key)))
