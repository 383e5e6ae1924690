# SPDX-License-Identifier: Apache-2.0
"""Configurations that many tests share, and how their answers are compared."""

import itertools

import pytest

from .ad import PASSWORDS, REALM
from .client import Client, Headers, Response
from .tls import Authority

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

# For tests of tokens and their answers: with each setting of EasKcdToken.
both_tokens = pytest.mark.parametrize("token", ["native", "gssapi"])


def location(backend_url: str, *lines: str, path: str = "/eas",
             require: str = "Require valid-user", parameters: str = "") -> str:
    """A Location that authenticates and delegates, as in the README's minimal configuration.
    *parameters* are the worker's, such as "max=4"."""
    more = "\n    ".join(lines)
    return f"""
<Location "{path}">
    AuthType EasKcd
    AuthName "Mail"
    {require}
    EasKcdDelegate On
    ProxyPass "{backend_url}" {parameters}
    {more}
</Location>
"""


def anybody_location(backend_url: str, *lines: str, require: str = "Require valid-user") -> str:
    """A Location that delegates, where mod_auth_basic and mod_authn_anon let everybody be whom they
    say."""
    more = "\n    ".join(lines)
    return f"""
<Location "/eas">
    AuthType Basic
    AuthName "Anybody"
    AuthBasicProvider anon
    Anonymous "*"
    Anonymous_MustGiveEmail Off
    {require}
    EasKcdDelegate On
    ProxyPass "{backend_url}"
    {more}
</Location>
"""


def open_location(backend_url: str, path: str = "/open") -> str:
    """A Location that our module has no part in."""
    return f'<Location "{path}">\n    ProxyPass "{backend_url}"\n</Location>\n'


def trusting(authority: Authority) -> str:
    """TLS to the lab's backends."""
    return ("SSLProxyEngine On\nSSLProxyVerify require\n"
            f'SSLProxyCACertificateFile "{authority.ca_file}"\n')


_numbers = itertools.count(1)


def ask(client: Client, path: str, user: str | None = None, method: str = "GET",
        headers: Headers = (), body: bytes | None = None) -> Response:
    """One request with a number of its own (a Gateway does for a client, too). Wherever the
    answer is a backend's echo, it must be this user's, and the one to this request."""
    number = str(next(_numbers))
    answer = client.request(method, path, user, PASSWORDS[user] if user else None,
                            [("X-Request-Id", number), *headers], body)
    if answer.header("Content-Type") == "application/json" and method != "HEAD":
        echo = answer.json()
        assert echo["remote_user"] == (f"{user}@{REALM}" if user else None)
        assert dict(echo["headers"])["X-Request-Id"] == number
    return answer
