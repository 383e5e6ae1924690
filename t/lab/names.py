# SPDX-License-Identifier: Apache-2.0
"""The lab's host names resolve to 127.0.0.1.

Workers are configured by name (http://cas1.corp.example.test:PORT), since the name is what their
SPN is made of, and child processes look names up by themselves. So the names go into /etc/hosts:
one marked line, added only when missing, and left there. That is the one thing outside its
temporary directory that the lab touches; ".test" (RFC 6761) names never mean a real host.
"""

import socket
from pathlib import Path

GATEWAY = "mail.example.test"
BACKENDS = tuple(f"cas{n}.corp.example.test" for n in (1, 2, 3))
HOSTS = Path("/etc/hosts")
LINE = f"127.0.0.1 {' '.join((GATEWAY, *BACKENDS))} # the test lab of mod_eas_kcd\n"


def ensure_names() -> None:
    """Make every name resolve, or say why that cannot be had."""
    if not all(_resolves(name) for name in (GATEWAY, *BACKENDS)):
        try:
            before = HOSTS.read_text()
            with HOSTS.open("a") as hosts:
                hosts.write(LINE if before.endswith("\n") or not before else "\n" + LINE)
        except OSError as error:
            raise RuntimeError(f"add this line to {HOSTS}, or run as root: {LINE}") from error


def _resolves(name: str) -> bool:
    try:
        return socket.gethostbyname(name) == "127.0.0.1"
    except OSError:
        return False
