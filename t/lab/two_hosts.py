# SPDX-License-Identifier: Apache-2.0
"""Two virtual hosts of one gateway, and the headers that choose between them."""

from .exchange import location
from .sessions import OWA

HOST_A = [("Host", "a.example.test")]
HOST_B = [("Host", "b.example.test")]


def two_hosts(url: str, a: str = "", b: str = "") -> str:
    """Both have OWA on the same backend; *a* and *b* are lines of their own."""
    return "EasKcdRequireTLS Off\n" + "".join(f"""
<VirtualHost *>
    ServerName {name}.example.test
    {more}
    {location(url, path=OWA)}
</VirtualHost>
""" for name, more in (("a", a), ("b", b)))
