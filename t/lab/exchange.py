# SPDX-License-Identifier: Apache-2.0
"""What many tests share: configurations, and how answers are compared."""

# Headers of an answer that are httpd's business and not ours: the time (twice, where nothing may be
# cached), and whether it has workers enough to keep the connection.
VARYING = ("Date", "Expires", "Connection", "Keep-Alive")

DOMAINS = """
EasKcdDomain CORP CORP.EXAMPLE.TEST
"""

# For tests that send wrong passwords again and again, and want each of them asked about.
UNGUARDED = """
EasKcdBadPasswordMemory off
EasKcdLockout off
"""


def location(backend_url: str, *lines: str, path: str = "/eas",
             require: str = "Require valid-user") -> str:
    """A Location that authenticates and delegates, as in the README's minimal configuration."""
    more = "\n    ".join(lines)
    return f"""
<Location "{path}">
    AuthType EasKcd
    AuthName "Mail"
    {require}
    EasKcdDelegate On
    ProxyPass "{backend_url}"
    {more}
</Location>
"""
