# SPDX-License-Identifier: Apache-2.0
"""A Kerberos client and acceptor in Python: kinit for tickets, python3-gssapi for tokens.

python3-gssapi reads KRB5_CONFIG of this very process: the `domain` fixture sets it.
"""

import base64
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import gssapi
from gssapi.raw import ChannelBindings

CHANNEL_BOUND = 0x800       # GSS_C_CHANNEL_BOUND_FLAG, which python3-gssapi does not name
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
KRB5 = gssapi.MechType.kerberos

# By default a step() that fails with a token to send returns that, and only the next call raises.
gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False


def kinit(krb5_conf: Path, ccache: Path, principal: str, password: str | None = None,
          keytab: Path | None = None, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run kinit for a forwardable ticket, with a password or a keytab."""
    how = ["-k", "-t", str(keytab)] if keytab else []
    return subprocess.run(
        ["kinit", "-f", "-c", str(ccache), *how, *options, principal], text=True,
        input=f"{password}\n", capture_output=True, timeout=60,
        env=os.environ | {"KRB5_CONFIG": str(krb5_conf), "LC_ALL": "C"})


def login(user: str, password: str) -> gssapi.Credentials:
    """A user's credentials in memory; raises gssapi.exceptions.GSSError when the KDC says no."""
    name = gssapi.Name(user, gssapi.NameType.kerberos_principal)
    acquired = gssapi.raw.acquire_cred_with_password(
        name, password.encode(), mechs=[SPNEGO], usage="initiate")
    return gssapi.Credentials(acquired.creds)


def from_ccache(ccache: Path, keytab: Path | None = None) -> gssapi.Credentials:
    """The credentials in a cache; with a keytab they can accept as well (the proxy's case)."""
    store = {"ccache": f"FILE:{ccache}"}
    if keytab is None:
        return gssapi.Credentials(usage="initiate", store=store)
    return gssapi.Credentials(usage="both", store=store | {"keytab": str(keytab)})


def initiate(credentials: gssapi.Credentials, spn: str,
             channel_binding: bytes | None = None,
             mech: gssapi.OID = SPNEGO) -> gssapi.SecurityContext:
    """A context toward a service, bound to a TLS channel if asked; step() gives its token.

    A credential that accepting a token delegated to us has no SPNEGO element: it needs KRB5.
    """
    return gssapi.SecurityContext(
        name=gssapi.Name(spn, gssapi.NameType.kerberos_principal), creds=credentials, mech=mech,
        usage="initiate", flags=[gssapi.RequirementFlag.mutual_authentication],
        channel_bindings=_bindings(channel_binding))


def authorization(context: gssapi.SecurityContext) -> str:
    """The context's first token, as the value of an Authorization header."""
    return "Negotiate " + base64.b64encode(context.step()).decode()


def token_of(header: str) -> bytes:
    """The token in an Authorization or WWW-Authenticate header's value."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "negotiate":
        raise ValueError(f"no token in {header!r}")
    return base64.b64decode(token)


@dataclass(frozen=True)
class Accepted:
    """The user of a token, and the reply that authenticates the acceptor to the initiator."""

    user: str
    reply: bytes
    context: gssapi.SecurityContext

    @property
    def bound(self) -> bool:
        """Did the initiator bind its token to the channel, and to the right one?"""
        return bool(self.context.actual_flags & CHANNEL_BOUND)

    @property
    def www_authenticate(self) -> str:
        return "Negotiate " + base64.b64encode(self.reply).decode()


class Acceptor:
    """Accepts SPNEGO tokens with a keytab, as a well-behaved backend does.

    A replay cache is kept only where one is named ("file2:" and a path): tests look at tokens
    again that a backend has accepted before.
    """

    def __init__(self, keytab: Path, replay_cache: str = "none:") -> None:
        self._credentials = gssapi.Credentials(
            usage="accept", store={"keytab": str(keytab), "rcache": replay_cache})

    def accept(self, authorization: str, channel_binding: bytes | None = None) -> Accepted:
        """Accept an Authorization header's value; raises GSSError where the token is no good."""
        context = gssapi.SecurityContext(creds=self._credentials, usage="accept",
                                         channel_bindings=_bindings(channel_binding))
        reply = context.step(token_of(authorization))
        return Accepted(str(context.initiator_name), reply or b"", context)


def _bindings(data: bytes | None) -> ChannelBindings | None:
    return None if data is None else ChannelBindings(application_data=data)
