# SPDX-License-Identifier: Apache-2.0
"""The configurations that are compared, all on one gateway.

Each Location proxies to a path of its own at the same backend: httpd gives workers to URL prefixes,
so that none shares another's connections.
"""

from pathlib import Path

GSSAPI_PATH = "/gss"        # below it, the backend wants a Kerberos token for each request
SILENT_PATH = "/gss-silent"

BACKEND = """
KeepAliveTimeout 60
LimitRequestFieldSize 131072
BufferedLogs On
AliasMatch "^/" "{root}/answer"
<Directory "{root}">
    Require all granted
</Directory>
<LocationMatch "^{gss}">
    AuthType GSSAPI
    AuthName "backend"
    GssapiCredStore "keytab:{keytab}"
    Require valid-user
</LocationMatch>
# The acceptor does its work, and does not prove it.
<LocationMatch "^{silent}">
    Header unset WWW-Authenticate
    Header always unset WWW-Authenticate
</LocationMatch>
"""

GATEWAY = """
KeepAliveTimeout 60
ExtendedStatus Off
SSLProxyEngine On
SSLProxyVerify require
SSLProxyCACertificateFile "{ca_file}"
<Location "/server-status">
    SetHandler server-status
    Require all granted
</Location>
"""

BCRYPT = """
AuthnCacheSOCache shmcb
<Location "/bcrypt">
    AuthType Basic
    AuthName "bcrypt"
    AuthBasicProvider socache file
    AuthnCacheProvideFor file
    AuthUserFile "{htpasswd}"
    Require valid-user
    ProxyPass "{url}/bcrypt"
</Location>
"""

MAG = """
<Location "/mag">
    AuthType GSSAPI
    AuthName "mod_auth_gssapi"
    GssapiBasicAuth On
    GssapiAllowedMech krb5
    GssapiCredStore "keytab:{keytab}"
    Require valid-user
    ProxyPass "{url}/mag"
</Location>
"""


def bare(path: str, url: str) -> str:
    """The baseline: a ProxyPass and nothing else."""
    return f'<Location "{path}">\n    ProxyPass "{url}{path}"\n</Location>\n'


def fixed(path: str, url: str, token: str) -> str:
    """A bare proxy that sends one token again and again, to an acceptor that does not mind."""
    return (f'<Location "{path}">\n    RequestHeader set Authorization "{token}"\n'
            f'    ProxyPass "{url}{path}"\n</Location>\n')


def ours(path: str, url: str, *lines: str) -> str:
    more = "".join(f"    {line}\n" for line in lines)
    return f"""
<Location "{path}">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    ProxyPass "{url}{path}"
{more}</Location>
"""


def common(ca_file: Path) -> str:
    return GATEWAY.format(ca_file=ca_file)
