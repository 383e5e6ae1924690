# SPDX-License-Identifier: Apache-2.0
"""A backend that nobody here wrote: httpd with mod_auth_gssapi, which echoes what it saw."""

import shutil
from pathlib import Path
from typing import Any

from .httpd import BASIC_MODULES, USER, Httpd

ECHO = Path(__file__).with_name("echo.lua")

CONF = """
LimitRequestFieldSize 131072
KeepAliveTimeout {keep_alive}
# The only way to tell mod_lua the client's port.
SetEnvIfExpr "%{{REMOTE_PORT}} =~ /(.+)/" LAB_PORT=$1
LuaScope thread
LuaCodeCache forever
LuaMapHandler ^/ "{echo}"
<Location "/">
    AuthType GSSAPI
    AuthName "backend"
    GssapiCredStore "keytab:{keytab}"
    GssapiConnectionBound {connection_bound}
    Require valid-user
</Location>
<Location "/open/">
    AuthType None
    Require all granted
</Location>
"""


class GssBackend(Httpd):
    """Answers any path with JSON: method, uri, remote_user, headers, body_length, body_sha1,
    connection (the client's port) and pad; /open/ without authentication. What the query can
    ask for is in echo.lua. `GssapiConnectionBound On` makes it behave as IIS with
    authPersistNonNTLM: it authenticates the connection, not the request.

    httpd itself joins repeated request headers with ", ": to see them apart, use FakeBackend.
    """

    def __init__(self, root: Path, keytab: Path, krb5_conf: Path, *, name: str,
                 connection_bound: bool = False, keep_alive: int = 60, **options: Any) -> None:
        self.host = name
        shutil.chown(keytab, USER)      # mod_auth_gssapi opens it in the children
        # mod_lua reads the script as www-data, who may not be let into a developer's tree.
        conf = CONF.format(keytab=keytab, connection_bound="On" if connection_bound else "Off",
                           echo=root / ECHO.name, keep_alive=keep_alive)
        super().__init__(root, conf, modules=(*BASIC_MODULES, "auth_gssapi", "lua"),
                         env={"KRB5_CONFIG": str(krb5_conf)}, **options)
        shutil.copy(ECHO, root)

    def users_by_connection(self) -> list[set[str]]:
        """The users served on each of its connections since the mark."""
        latest: dict[str, set[str]] = {}        # by the client's port, which may be used again
        found = []
        for entry in self.requests():
            if entry["keepalives"] == "0" or entry["port"] not in latest:
                latest[entry["port"]] = set()
                found.append(latest[entry["port"]])
            latest[entry["port"]].add(entry["user"])
        return found

    @property
    def url(self) -> str:
        """The beginning of a ProxyPass to it, without a trailing slash."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"
