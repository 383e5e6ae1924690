# SPDX-License-Identifier: Apache-2.0
"""Configurations that many tests share."""

DOMAINS = """
EasKcdDomain CORP CORP.EXAMPLE.TEST
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
