#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The long run: is anybody ever served as somebody else?

    /usr/bin/python3 t/soak.py [--requests N] [--minutes M] [--mpm NAME]... [--no-veto]

Thirty users, and nobody, over HTTP/1.1 and HTTP/2, against four kinds of backends, each by http and
by https, under event, worker and prefork; with clients that leave, backends that answer late, twice,
half, too early or not at all, and graceful restarts. Every answer must name its own user, and its
own request. --no-veto takes the module's variant without the veto of pooled connections. Exit
status 0: not one was wrong.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from lab.ad import CAS1, PASSWORDS, REALM, STANDARD, Account, Domain    # noqa: E402
from lab.backend import GssBackend                                      # noqa: E402
from lab.exchange import location, open_location, trusting              # noqa: E402
from lab.gateway import MODULES, Gateway, module_without_veto           # noqa: E402
from lab.names import GATEWAY, ensure_names                             # noqa: E402
from lab.tls import Authority, Certificate                              # noqa: E402
from lab.wait import Daemon, answers, free_port                         # noqa: E402

HOST = "cas1.corp.example.test"
LOAD = Path(__file__).parent / "lab" / "load.js"
MORE = tuple(Account(f"user{n}", f"Number-{n}-of-many") for n in range(21, 31))
USERS = ([[name, PASSWORDS[name]] for name in (f"user{n:02}" for n in range(1, 21))]
         + [[account.name, account.password] for account in MORE])
KINDS = ("request", "bound", "first", "unruly")
MPMS = ("event", "worker", "prefork")


class Backends:
    """The four kinds, without TLS and with it. urls: ("first", True) → "https://…"."""

    def __init__(self, root: Path, domain: Domain, authority: Authority) -> None:
        self.root, self.domain = root, domain
        self.certificate = authority.certificate(HOST)
        self.urls: dict[tuple[str, bool], str] = {}
        self.real: list[GssBackend] = []
        self.stack = ExitStack()

    def start(self) -> "Backends":
        for tls in (False, True):
            for kind in KINDS[:2]:
                self._start_real(kind, tls)
            for kind in KINDS[2:]:
                self._start_simulated(kind, tls)
        return self

    def _keytab(self, name: str) -> Path:
        return self.domain.export_keytab(self.root / f"{name}.keytab", [CAS1])

    def _start_real(self, kind: str, tls: bool) -> None:
        name = f"{kind}-tls" if tls else kind
        backend = GssBackend(self.root / name, self._keytab(name), self.domain.krb5_conf,
                             name=HOST, connection_bound=kind == "bound", threads=64,
                             tls=self.certificate if tls else None)
        self.stack.callback(backend.stop)
        backend.start()
        self.real.append(backend)
        self.urls[kind, tls] = backend.url

    def _start_simulated(self, kind: str, tls: bool) -> None:
        port, name = free_port(), f"{kind}-tls" if tls else kind
        files: tuple[Path, ...] = (self._keytab(name),)
        if tls:
            files += (self.certificate.cert, self.certificate.key)
        daemon = Daemon(name, [sys.executable, "-m", "lab.simulated", kind, str(port),
                               *map(str, files)], self.root / f"{name}.log",
                        {"PYTHONPATH": str(LOAD.parents[1]),
                         "KRB5_CONFIG": str(self.domain.krb5_conf)})
        self.stack.callback(daemon.stop)
        daemon.start(lambda: answers(port))
        self.urls[kind, tls] = f"{'https' if tls else 'http'}://{HOST}:{port}"

    def connections(self) -> tuple[int, int]:
        """(connections, requests) that the real ones have seen."""
        entries = [entry for backend in self.real for entry in backend.requests()]
        return sum(entry["keepalives"] == "0" for entry in entries), len(entries)

    def stop(self) -> None:
        self.stack.close()


@dataclass
class Run:
    """The result of a run."""

    requests: int = 0
    seconds: float = 0
    aborted: int = 0
    broken: int = 0
    restarts: int = 0
    mismatched: int = 0
    mismatches: list[dict[str, Any]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    backend_connections: int = 0
    backend_requests: int = 0

    def add(self, load: dict[str, Any]) -> None:
        for name in ("requests", "aborted", "broken", "mismatched"):
            setattr(self, name, getattr(self, name) + load[name])
        self.mismatches += load["mismatches"]
        self.statuses.update(load["statuses"])

    def served(self) -> float:
        """Of the users' requests to those backends that behave, which share got its answer?"""
        found = Counter[bool]()
        for key, count in self.statuses.items():
            path, who, status = key.split(" ")
            if who == "user" and "unruly" not in path:
                found[status == "200"] += count
        return found[True] / max(1, found.total())

    def figures(self) -> str:
        by_status: dict[str, Counter[str]] = {}
        for key, count in sorted(self.statuses.items()):
            path, who, status = key.split(" ")
            kind = path.strip("/").replace("open-", "")
            by_status.setdefault(f"{kind} {who}", Counter())[status] += count
        lines = [f"  {name:22} " + "  ".join(f"{s}: {n}" for s, n in sorted(counts.items()))
                 for name, counts in by_status.items()]
        return "\n".join([
            f"{self.requests} answers in {self.seconds:.0f} s ({self.requests / self.seconds:.0f}/s)"
            f", {self.restarts} graceful restarts, {self.aborted} clients left, {self.broken} "
            "answers broken off", *lines,
            f"users served where the backend behaves: {self.served():.2%}",
            f"backend connections: {self.backend_connections} for {self.backend_requests} requests",
            "tags: " + (", ".join(f"{tag} {n}" for tag, n in sorted(self.tags.items())) or "none"),
            *(f"MISMATCH {json.dumps(entry)}" for entry in self.mismatches),
            f"answers to the wrong user or request: {self.mismatched}"])


class Soak:
    """Domain and backends for as many runs as are wanted. *shared* are what a test has already."""

    def __init__(self, root: Path, domain: Domain, authority: Authority,
                 users: list[list[str]] | None = None) -> None:
        self.root, self.domain, self.authority = root, domain, authority
        self.users = users or USERS
        ensure_names()
        self.backends = Backends(root, domain, authority).start()
        self.number = 0

    def close(self) -> None:
        self.backends.stop()

    def gateway(self, mpm: str, veto: bool, tls: Certificate) -> Gateway:
        self.number += 1
        root = self.root / f"soak-{self.number}-{mpm}"
        keytab = self.domain.export_keytab(
            root.with_suffix(".keytab"), ["gateway", "HTTP/gateway.corp.example.test"])
        conf = "EasKcdKdcTimeout 60s\nKeepAliveTimeout 30\n" + trusting(self.authority)
        if mpm != "prefork":
            conf += "Protocols h2 http/1.1\n"
        if not veto:
            conf += "EasKcdBackendPools 1\n"
        for (kind, tls_behind), url in self.backends.urls.items():
            name = f"{kind}-tls" if tls_behind else kind
            conf += location(url, path=f"/{name}", require="Require all granted",
                             parameters="retry=0 timeout=2" if kind == "unruly" else "retry=0")
            conf += open_location(url, path=f"/open-{name}")
        modules = MODULES if mpm == "prefork" else (*MODULES, "http2")
        return Gateway(root, conf, keytab=keytab, krb5_conf=self.domain.krb5_conf,
                       ca_file=self.authority.ca_file, tls=tls, modules=modules, mpm=mpm,
                       processes=24 if mpm == "prefork" else 2, threads=40, log_level="notice",
                       module=None if veto else module_without_veto())

    def run(self, mpm: str, requests: int, seconds: float, veto: bool = True,
            restart_every: float = 20) -> Run:
        """At most *requests*, and at most so long."""
        run = Run()
        for backend in self.backends.real:
            backend.mark()
        gateway = self.gateway(mpm, veto, self.authority.certificate(GATEWAY))
        gateway.start()
        try:
            began = time.monotonic()
            self._load(gateway, run, mpm, requests, seconds, restart_every)
            run.seconds = time.monotonic() - began
        finally:
            gateway.stop()
        run.tags.update(gateway.error_log.tags())
        run.backend_connections, run.backend_requests = self.backends.connections()
        return run

    def _load(self, gateway: Gateway, run: Run, mpm: str, requests: int, seconds: float,
              restart_every: float) -> None:
        names = [f"{kind}-tls" if tls else kind for kind, tls in self.backends.urls]
        ask = {"port": gateway.port, "ca": str(self.authority.ca_file), "host": GATEWAY,
               "realm": REALM, "users": self.users, "requests": requests, "seconds": seconds,
               "http1": 16, "http2": 0 if mpm == "prefork" else 16,
               "paths": {"delegated": [f"/{name}" for name in names],
                         "open": [f"/open-{name}" for name in names]}}
        load = subprocess.Popen(["node", LOAD, json.dumps(ask)], stdout=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + seconds + 90
            while time.monotonic() < deadline:
                try:
                    output, _ = load.communicate(timeout=restart_every)
                    run.add(json.loads(output))
                    return
                except subprocess.TimeoutExpired:
                    gateway.graceful()
                    run.restarts += 1
            raise TimeoutError("the load does not end")
        finally:
            load.kill()
            load.wait()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=40, help="at most (default: 40)")
    parser.add_argument("--mpm", action="append", choices=MPMS)
    parser.add_argument("--no-veto", action="store_true")
    args = parser.parse_args()
    shares = {mpm: {"event": 6, "worker": 3, "prefork": 1}[mpm] for mpm in args.mpm or MPMS}
    root = Path(tempfile.mkdtemp(prefix="eas-soak-"))
    root.chmod(0o755)
    domain = Domain(root / "ad", STANDARD + MORE)
    good, total = True, 0
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        stack.callback(domain.close)
        domain.create()
        os.environ |= {"KRB5_CONFIG": str(domain.krb5_conf), "TMPDIR": str(root)}
        soak = Soak(root, domain, Authority(root / "tls"))
        stack.callback(soak.close)
        for mpm, share in shares.items():
            part = share / sum(shares.values())
            run = soak.run(mpm, int(args.requests * part) + 1, args.minutes * 60 * part,
                           not args.no_veto)
            print(f"--- {mpm}\n{run.figures()}", flush=True)
            total += run.requests
            good = good and run.mismatched == 0 and (
                run.tags["EAS2050"] > 0 if args.no_veto
                else run.tags["EAS2050"] == 0 and run.served() > 0.98)
    good = good and total >= args.requests
    print(f"{total} answers: {'good' if good else 'NOT GOOD'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
