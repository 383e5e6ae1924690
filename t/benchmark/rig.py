# SPDX-License-Identifier: Apache-2.0
"""The servers of a benchmark: a domain with many users, backends of static answers, gateways."""

import os
import resource
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Iterable

from lab import kerberos
from lab.ad import CAS1, PASSWORDS, Domain
from lab.client import basic
from lab.frontdoor import COOKIE, Visitor
from lab.gateway import MODULES, Gateway
from lab.httpd import BASIC_MODULES, USER, Httpd
from lab.names import ensure_names
from lab.programs import compiled
from lab.relay import Relay
from lab.tls import Authority

from . import conf, cost
from .load import Headers, Wrk

TOP = Path(__file__).parents[2]
# None of the lab's aids to finding bugs, and no replay cache on disk: the same on both sides.
ENV = {"MALLOC_PERTURB_": "0", "KRB5RCACHENAME": "none:"}
EXTRA_MODULES = ("authn_file", "authn_socache", "auth_gssapi", "status")
USER_PASSWORD = PASSWORDS["alice"]      # of all users that are made by the thousand
SIZE = 1024                             # of an answer
LOGGED = ("EAS_KCD_USER", "EAS_KCD_ERROR")      # in the access log, as an administrator has them
# For each of two processes: more than the most connections, however these are spread. When event
# runs out of threads, it closes connections that clients would go on using.
THREADS = 300


@dataclass(frozen=True)
class Layout:
    """Which cores the gateway has, and which everybody else."""

    name: str
    gateway: list[int]
    others: list[int]


def layouts() -> dict[str, Layout]:
    """"shared": everything on the same two cores. "split": the gateway has one for itself."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    return {"shared": Layout("shared", cores, cores),
            "split": Layout("split", cores[:1], cores[-1:])}


class Rig:
    """All that runs, each server from when it is first wanted. The stack ends everything."""

    def __init__(self, stack: ExitStack) -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.stack = stack
        self._users = 0
        self._numbers = 0
        self._known: dict[str, bool] = {}
        self.path = Path(tempfile.mkdtemp(prefix="eas-bench-"))
        self.path.chmod(0o755)
        if not os.environ.get("EAS_T_KEEP"):
            self.stack.callback(shutil.rmtree, self.path)
        self.wrk = Wrk(self.path)
        self.layouts = layouts()
        self.others: list[int] = []     # backends, which share cores with the load
        self._servers: dict[str, Httpd] = {}     # backends, by URL
        ensure_names()
        self.authority = Authority(self.path / "tls")
        self.domain = self.stack.enter_context(closing(Domain(self.path / "ad"))).create()
        os.environ |= {"KRB5_CONFIG": str(self.domain.krb5_conf), "TMPDIR": str(self.path),
                       "KRB5CCNAME": f"FILE:{self.path}/no-ccache"}

    # --- who is there ----------------------------------------------------------------------

    def users(self, number: int) -> list[str]:
        """The first so many of the users that are made by the thousand."""
        if number > self._users:
            self.domain.add_copies("alice", [f"many{n:05}" for n in range(self._users, number)])
            self._users = number
        return [f"many{n:05}" for n in range(number)]

    @staticmethod
    def basic(user: str) -> Headers:
        return (("Authorization", basic(user, PASSWORDS.get(user, USER_PASSWORD))),)

    @cached_property
    def ticket(self) -> Path:
        """A credential cache with one service ticket of a user's in it."""
        ccache = self.path / "ticket"
        done = kerberos.kinit(self.domain.krb5_conf, ccache, "alice", PASSWORDS["alice"], None,
                              "-S", CAS1)
        if done.returncode != 0:
            raise RuntimeError(f"kinit: {done.stderr}")
        return ccache

    @property
    def ticket_bytes(self) -> int:
        """The size of a service ticket with its session key, as libkrb5 writes it."""
        return self.ticket.stat().st_size

    @property
    def token(self) -> str:
        """An Authorization header's value from that ticket; good for five minutes."""
        return kerberos.authorization(kerberos.initiate(kerberos.from_ccache(self.ticket), CAS1))

    def token_seconds(self) -> tuple[float, ...]:
        """CPU of making one token from a ticket in hand, and nothing else: libkrb5's, and ours by
        each EasKcdToken, native and gssapi; and of verifying the native one's reply."""
        program = compiled(self.path / "token", Path(__file__).with_name("token.c"),
                           TOP / ".libs" / "libeaskcd.a", options=[f"-I{TOP}"],
                           packages=("apr-1", "krb5-gssapi", "krb5", "libcrypto"))
        keytab = self.domain.export_keytab(self.path / "token.keytab", [CAS1])
        said = subprocess.run([program, self.ticket, CAS1, "50000"], check=True, text=True,
                              capture_output=True, env={
                                  **os.environ, "KRB5_KTNAME": str(keytab),
                                  "KRB5RCACHENAME": "none:"}).stdout
        return tuple(float(microseconds) / 1e6 for microseconds in said.split())

    # --- servers ---------------------------------------------------------------------------

    @cached_property
    def backend(self) -> str:
        return self._backend("cas1", tls=False)

    @cached_property
    def tls_backend(self) -> str:
        return self._backend("cas1-tls", tls=True)

    @cached_property
    def direct(self) -> Httpd:
        """A backend without a gateway: all connections to it are clients' own."""
        return self._servers[self._backend("cas1-direct", tls=False)]

    def wide_backend(self, threads: int) -> str:
        """With as many threads in each process."""
        return self._backend("cas1-wide", tls=False, threads=threads)

    @cached_property
    def relay(self) -> Relay:
        made = Relay(self.path / "relay.conf", self.domain.port).start()
        self.stack.callback(made.stop)
        return made

    @cached_property
    def warm(self) -> Gateway:
        """The gateway of most comparisons, which has the KDC to itself."""
        made = self.gateway("warm", self.everything(), threads=THREADS)
        made.start()
        return made

    def mail(self) -> str:
        """The Locations of gateways that are made to be cold; the second keeps no connections."""
        return "".join(conf.ours(path, self.backend, "EasKcdDelegate On",
                                 *self.lines("EasKcdMutualAuth optional"), *lines)
                       for path, lines in (("/mail", ()),
                                           ("/fresh", self.lines("EasKcdBackendReuse Off"))))

    def everything(self) -> str:
        """A Location for each of what is compared."""
        plain, tls = self.backend, self.tls_backend
        optional = self.lines("EasKcdMutualAuth optional")
        delegate = ("EasKcdDelegate On",)
        keytab = self._readable("mag.keytab", ["HTTP/gateway.corp.example.test"])
        htpasswd = self.path / "htpasswd"
        subprocess.run(["htpasswd", "-cbB", htpasswd, "alice", PASSWORDS["alice"]], check=True,
                       capture_output=True)
        return "".join((
            conf.bare("/bare", plain), conf.bare("/tls-bare", tls),
            conf.ours("/known", plain),
            conf.ours("/mail", plain, *delegate, *optional),
            conf.ours("/tls-mail", tls, *delegate, *optional),
            conf.ours("/gss-silent", plain, *delegate, *optional),
            conf.ours("/gss-required", plain, *delegate, *self.lines("EasKcdMutualAuth required")),
            conf.ours("/gss-gssapi", plain, *delegate, *self.lines("EasKcdToken gssapi")),
            conf.ours("/gss-tls-silent", tls, *delegate, *optional),
            conf.ours("/gss-tls-required", tls, *delegate,
                      *self.lines("EasKcdMutualAuth required")),
            conf.ours("/fresh", plain, *delegate, *optional,
                      *self.lines("EasKcdBackendReuse Off")),
            conf.ours("/tls-fresh", tls, *delegate, *optional,
                      *self.lines("EasKcdBackendReuse Off")),
            conf.BCRYPT.format(htpasswd=htpasswd, url=plain),
            conf.MAG.format(keytab=keytab, url=plain)))

    def gateway(self, name: str, text: str, *, relay: bool = False, ours: bool = True,
                **options: Any) -> Gateway:
        """One that is not started yet; the stack ends it. Not *ours*: our module is not loaded."""
        self._numbers += 1
        options = {"processes": 2, "threads": 64, "log_level": "crit", "shown": LOGGED,
                   "keytab": self._gateway_keytab if ours else None,
                   "krb5_conf": (self.relay if relay else self.domain).krb5_conf} | options
        modules = [*MODULES[:-1], *EXTRA_MODULES, *options.pop("more_modules", ()),
                   *(("eas_kcd",) if ours else ())]
        text = ("EasKcdRequireTLS Off\n" if ours else "") + conf.common(
            self.authority.ca_file) + text
        made = Gateway(self.path / f"{name}-{self._numbers}", text, modules=modules, env=ENV,
                       **options)
        self.stack.callback(made.stop)
        return made

    @cached_property
    def _gateway_keytab(self) -> Path:
        return self.domain.export_keytab(self.path / "gateway.keytab",
                                         ["gateway", "HTTP/gateway.corp.example.test"])

    def _readable(self, name: str, principals: list[str]) -> Path:
        """A keytab for mod_auth_gssapi, which opens it in the children."""
        made = self.domain.export_keytab(self.path / name, principals)
        shutil.chown(made, USER)
        return made

    def _backend(self, name: str, tls: bool, threads: int = THREADS) -> str:
        host = "cas1.corp.example.test"
        root = self.path / name
        text = conf.BACKEND.format(root=root, gss=conf.GSSAPI_PATH, silent=conf.SILENT_PATH,
                                   keytab=self._readable(f"{name}.keytab", [CAS1]))
        made = Httpd(root, text, modules=(*BASIC_MODULES, "auth_gssapi"), processes=2,
                     threads=threads, tls=self.authority.certificate(host) if tls else None,
                     env=ENV | {"KRB5_CONFIG": str(self.domain.krb5_conf)})
        (root / "answer").write_bytes(b"x" * (SIZE - 1) + b"\n")
        self.stack.callback(made.stop)
        made.start()
        self.others.append(made.daemon.process.pid)
        url = f"{'https' if tls else 'http'}://{host}:{made.port}"
        self._servers[url] = made
        return url

    # --- what the module can do ------------------------------------------------------------

    def lines(self, directive: str) -> tuple[str, ...]:
        """The line, if the module knows this directive; else none."""
        return (directive,) if self.knows(directive) else ()

    def knows(self, directive: str) -> bool:
        name = directive.split()[0]
        if name not in self._known:
            tried = self.gateway("knows", f'<Location "/x">\n{directive}\n</Location>\n')
            code, said = tried.check_config()
            if code != 0 and "Invalid command" not in said:
                raise RuntimeError(said)
            self._known[name] = code == 0
        return self._known[name]

    # --- layout ----------------------------------------------------------------------------

    def lay_out(self, layout: Layout, gateways: Iterable[Gateway]) -> None:
        """Put the gateways on their cores, backends and load on theirs."""
        for gateway in gateways:
            cost.pin(gateway.daemon.process.pid, layout.gateway)
        for pid in self.others:
            cost.pin(pid, layout.others)
        self.wrk.cores = layout.others


def session(gateway: Gateway, user: str) -> Headers:
    """Log on by the form; the header that carries the session."""
    visitor = Visitor(gateway)
    answer = visitor.log_on(user, PASSWORDS.get(user, USER_PASSWORD))
    if visitor.session is None:
        raise RuntimeError(f"{user} could not log on: {answer.status}")
    return (("Cookie", f"{COOKIE}={visitor.session}"),)


def children(gateway: Gateway) -> list[int]:
    """The processes that answer requests."""
    return cost.family(gateway.daemon.process.pid)[1:]


def restart(gateway: Gateway) -> None:
    """A full stop forgets everything: all is cold."""
    gateway.stop()
    gateway.start()

