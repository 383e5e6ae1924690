# SPDX-License-Identifier: Apache-2.0
"""Just enough ASN.1 to tell Kerberos messages (RFC 4120) apart, and to encode an error."""

import time
from dataclasses import dataclass
from typing import Iterator

KINDS = {0x6A: "AS-REQ", 0x6B: "AS-REP", 0x6C: "TGS-REQ", 0x6D: "TGS-REP", 0x7E: "KRB-ERROR"}

PA_ENC_TIMESTAMP = 2
PA_ETYPE_INFO2 = 19
PA_FX_FAST = 136            # RFC 6113, section 5.4
PA_FOR_USER = 129           # [MS-SFU] 2.2.1
PA_S4U_X509_USER = 130      # [MS-SFU] 2.2.2
CNAME_IN_ADDL_TKT = 1 << 17  # KDC option bit 14, [MS-SFU] 2.2.3: S4U2Proxy


@dataclass(frozen=True)
class Message:
    """The cleartext of one message."""

    kind: str
    client: str = ""
    service: str = ""
    padata: frozenset[int] = frozenset()
    options: int = 0
    error: int | None = None

    def labels(self) -> list[str]:
        """The names that it is counted under: its kind, and its special properties."""
        special = {
            "timestamp": self.kind == "AS-REQ" and PA_ENC_TIMESTAMP in self.padata,
            "armored": self.kind == "AS-REQ" and PA_FX_FAST in self.padata,
            "s4u2self": bool({PA_FOR_USER, PA_S4U_X509_USER} & self.padata),
            "s4u2proxy": self.kind == "TGS-REQ" and bool(self.options & CNAME_IN_ADDL_TKT),
            str(self.error): self.error is not None,
        }
        return [self.kind] + [f"{self.kind}/{name}" for name, is_so in special.items() if is_so]


def parse(data: bytes) -> Message:
    """Read one message; anything that is not Kerberos is of kind "unknown"."""
    try:
        tag, body = next(_elements(data))
        kind = KINDS.get(tag, "unknown")
        fields = _sequence(body)
        if kind in ("AS-REQ", "TGS-REQ"):
            return _parse_request(kind, fields)
        if kind == "KRB-ERROR":
            return Message(kind, error=_integer(fields[6]))
        return Message(kind)
    except (IndexError, KeyError, StopIteration, ValueError):
        return Message("unknown")


def error(code: int, realm: str, client_realm: str | None = None, e_data: bytes = b"") -> bytes:
    """A KRB-ERROR; a referral (RFC 6806, section 7) has the realm of the client."""
    fields = {0: _number(5), 1: _number(30),
              4: _der(0x18, time.strftime("%Y%m%d%H%M%SZ", time.gmtime()).encode()),
              5: _number(0), 6: _number(code), 9: _text(realm), 10: _name("krbtgt", realm)}
    if client_realm is not None:
        fields |= {7: _text(client_realm), 8: _name("user")}
    if e_data:
        fields |= {12: _der(0x04, e_data)}
    return _der(0x7E, _der(0x30, _fields(fields)))


def question(salts: dict[int, str]) -> bytes:
    """METHOD-DATA: an encrypted timestamp is asked for, with a key of one of these enctypes."""
    entries = b"".join(_der(0x30, _fields({0: _number(enctype), 1: _text(salt)}))
                       for enctype, salt in salts.items())
    return _der(0x30, b"".join(
        _der(0x30, _fields({1: _number(kind), 2: _der(0x04, value)}))
        for kind, value in ((PA_ETYPE_INFO2, _der(0x30, entries)), (PA_ENC_TIMESTAMP, b""))))


def _der(tag: int, content: bytes) -> bytes:
    length = bytes([len(content)]) if len(content) < 0x80 else b"\x81" + bytes([len(content)])
    return bytes([tag]) + length + content


def _fields(fields: dict[int, bytes]) -> bytes:
    return b"".join(_der(0xA0 | number, content) for number, content in sorted(fields.items()))


def _number(value: int) -> bytes:
    return _der(0x02, bytes([value]))


def _text(value: str) -> bytes:
    return _der(0x1B, value.encode())


def _name(*parts: str) -> bytes:
    strings = _der(0x30, b"".join(_text(part) for part in parts))
    return _der(0x30, _fields({0: _number(1), 1: strings}))


def _parse_request(kind: str, fields: dict[int, bytes]) -> Message:
    request = _sequence(fields[4])
    padata = frozenset(_integer(_tagged(pa)[1]) for pa in _items(fields.get(3, b"\x30\x00")))
    options = next(_elements(request[0]))[1]
    return Message(kind, client=_principal(request.get(1)), service=_principal(request.get(3)),
                   padata=padata, options=int.from_bytes(options[1:5], "big"))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (tag, content) pairs of DER elements that follow one another."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at:at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("truncated")
        yield tag, data[at:at + length]
        at += length


def _items(sequence_of: bytes) -> list[bytes]:
    """The contents of a SEQUENCE OF's items."""
    return [content for _, content in _elements(next(_elements(sequence_of))[1])]


def _tagged(content: bytes) -> dict[int, bytes]:
    """The context-tagged fields inside a SEQUENCE's content."""
    return {tag & 0x1F: inner for tag, inner in _elements(content)}


def _sequence(data: bytes) -> dict[int, bytes]:
    return _tagged(next(_elements(data))[1])


def _integer(data: bytes) -> int:
    return int.from_bytes(next(_elements(data))[1], "big", signed=True)


def _principal(data: bytes | None) -> str:
    if data is None:
        return ""
    return "/".join(part.decode("utf-8", "replace") for part in _items(_sequence(data)[1]))
