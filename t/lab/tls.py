# SPDX-License-Identifier: Apache-2.0
"""A throw-away certification authority, by the openssl command."""

import hashlib
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, both as PEM files."""

    cert: Path
    key: Path
    digest: str = "sha256"      # of its signature

    def channel_binding(self) -> bytes:
        """tls-server-end-point (RFC 5929) as GSSAPI's application data."""
        der = ssl.PEM_cert_to_DER_cert(self.cert.read_text())
        return b"tls-server-end-point:" + hashlib.new(self.digest, der).digest()

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def faketime(offset: str) -> dict[str, str]:
    """The environment of a program whose clock is away from ours, as by "-60d"."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": offset}


class Authority:
    """Issues certificates into one directory; `ca_file` is what clients are to trust."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._ca = self._create("ca", "/CN=lab CA", "-addext", "basicConstraints=critical,CA:TRUE",
                                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.ca_file = self._ca.cert
        self._issued: dict[tuple[str, str, int], Certificate] = {}

    def certificate(self, name: str, digest: str = "sha256", number: int = 1) -> Certificate:
        """The certificate for *name*, which also names localhost and 127.0.0.1; another *number*
        is another certificate for the same name."""
        wanted = (name, digest, number)
        if wanted not in self._issued:
            self._issued[wanted] = self._create(
                f"{name}-{digest}-{number}", f"/CN={name}", f"-{digest}",
                "-CA", str(self._ca.cert), "-CAkey", str(self._ca.key),
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1", digest=digest)
        return self._issued[wanted]

    def user(self, name: str, upn: str) -> Certificate:
        """A client's certificate, as Active Directory and device managements issue them."""
        wanted = (name, upn, 0)
        if wanted not in self._issued:
            self._issued[wanted] = self._create(
                f"user-{name}", f"/CN={name}", "-CA", str(self._ca.cert), "-CAkey",
                str(self._ca.key), "-addext",
                f"subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:{upn}")
        return self._issued[wanted]

    def expired(self, name: str) -> Certificate:
        """A certificate for *name* whose time is over."""
        return self._create(f"{name}-expired", f"/CN={name}", "-CA", str(self._ca.cert), "-CAkey",
                            str(self._ca.key), "-addext", f"subjectAltName=DNS:{name}",
                            env=faketime("-60d"))

    def _create(self, name: str, subject: str, *more: str, digest: str = "sha256",
                env: dict[str, str] | None = None) -> Certificate:
        made = Certificate(self.path / f"{name}.pem", self.path / f"{name}.key", digest)
        # Not the machine's openssl.cnf: its default extensions would come on top of ours.
        subprocess.run(
            ["openssl", "req", "-x509", "-config", "/dev/null", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", subject,
             "-out", made.cert, "-keyout", made.key, *more], check=True, capture_output=True,
            env={**os.environ, **(env or {})})
        return made
