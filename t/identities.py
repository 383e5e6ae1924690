#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens beside passwords beside sessions on one host: is anybody ever served as somebody else?

    /usr/bin/python3 t/identities.py [--requests N]

Users come with a token of Microsoft's (the recipe "Bearer tokens"), with a password, with a
session, with two of them in one request, or with none, in any order on the same connections of
clients, while httpd restarts. The backend serves a connection's first Kerberos user for good, as
IIS may, and says who was served. Each answer must name its own user and its own request, and no
connection of the backend may have two users, or a user and a token. Exit status 0: not one was
wrong.
"""

import argparse
import http.client
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lab.ad import CAS1, PASSWORDS, REALM, Domain           # noqa: E402
from lab.client import Client, Headers, basic               # noqa: E402
from lab.examples import block_with                         # noqa: E402
from lab.exchange import location, trusting                 # noqa: E402
from lab.frontdoor import COOKIE, PHONE, Visitor            # noqa: E402
from lab.gateway import Gateway                             # noqa: E402
from lab.names import GATEWAY, ensure_names                 # noqa: E402
from lab.tls import Authority                               # noqa: E402
from lab.wait import Daemon, answers, free_port             # noqa: E402

HOST = "cas1.corp.example.test"
USERS = [f"user{n:02}" for n in range(1, 9)]
PATHS = {False: "/Autodiscover/Autodiscover.xml", True: "/EWS/Exchange.asmx"}   # by TLS behind
PROCESSES, CLIENTS = 2, 8       # of the load, and of each of its processes
KEPT = 0.98     # requests after which a client keeps its connection


@dataclass
class Run:
    """The result of a run, or of one process's part of it."""

    asked: Counter[str] = field(default_factory=Counter)    # by the kind of credentials
    broken: int = 0     # connections that the server closed before an answer
    mismatches: list[str] = field(default_factory=list)
    owners: dict[int, Counter[str]] = field(default_factory=dict)   # by the backend's connection
    seconds: float = 0
    restarts: int = 0

    def add(self, part: "Run") -> None:
        self.asked += part.asked
        self.broken += part.broken
        self.mismatches += part.mismatches
        for connection, owners in part.owners.items():
            self.owners.setdefault(connection, Counter()).update(owners)

    def shared(self) -> list[Counter[str]]:
        """The backend's connections with more than one owner."""
        return [owners for owners in self.owners.values() if len(owners) > 1]

    def per_owner(self) -> tuple[list[int], list[int]]:
        """How many connections each user had, and each connection of a client with tokens."""
        counts = Counter(owner for owners in self.owners.values() for owner in owners)
        return (sorted(n for owner, n in counts.items() if "@" in owner),
                sorted(n for owner, n in counts.items() if "@" not in owner))

    def figures(self) -> str:
        served = sum(sum(owners.values()) for owners in self.owners.values())
        users, tokens = self.per_owner()
        return "\n".join([
            f"{self.asked.total()} answers in {self.seconds:.0f} s, {self.restarts} graceful "
            f"restarts, {self.broken} connections closed by the server",
            *(f"  {kind:24} {n}" for kind, n in sorted(self.asked.items())),
            f"backend connections: {len(self.owners)} for {served} requests",
            f"  of each of {len(users)} users: {_range(users)}",
            f"  of each of {len(tokens)} connections of clients with tokens: {_range(tokens)}",
            f"backend connections of two: {len(self.shared())}",
            *(f"MISMATCH {text}" for text in self.mismatches[:20]),
            f"answers to the wrong user or request: {len(self.mismatches)}"])


def _range(numbers: list[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]}" if numbers else "none"


@dataclass(frozen=True)
class Part:
    """What a process of the load has to know."""

    port: int
    ca_file: Path
    sessions: dict[str, str]    # of the users: the Cookie header
    requests: int               # of each client
    seed: int


def bearer(user: str) -> str:
    return f"Bearer eyJ0eXAi.{user}_~+/-.c2ln=="


def choose(chance: random.Random, sessions: dict[str, str]) -> tuple[str, str | None, Headers]:
    """Credentials: their kind, the user that the backend must name (None: nobody), the headers."""
    user, other = chance.sample(USERS, 2)
    principal = f"{user}@{REALM}"
    session = ("Cookie", sessions[user])
    password = ("Authorization", basic(other, PASSWORDS[other]))
    token = ("Authorization", bearer(user))
    return chance.choice([
        ("token", bearer(user), [token]),
        ("token", bearer(user), [token]),
        ("password", f"{other}@{REALM}", [password]),
        ("password", f"{other}@{REALM}", [password]),
        ("session", principal, [session]),
        ("session", principal, [session]),
        ("session and password", principal, [session, password]),
        ("token and session", bearer(other), [("Authorization", bearer(other)), session]),
        ("empty token", None, [("Authorization", "Bearer")]),
        ("two tokens", None, [token, ("Authorization", bearer(other))]),
        ("none", None, [])])


class Person:
    """One connection after another, with everybody's credentials on each of them."""

    def __init__(self, part: Part, number: int) -> None:
        self.part, self.run = part, Run()
        self.chance = random.Random(part.seed * CLIENTS + number)
        self.name = f"client {part.seed}.{number}"
        self.connections = 0
        self.client = self.connect()

    def connect(self) -> Client:
        self.connections += 1
        return Client(self.part.port, tls=True, ca_file=self.part.ca_file, timeout=60)

    def work(self) -> Run:
        for number in range(self.part.requests):
            self.ask(number)
            if self.chance.random() > KEPT:
                self.client.close()
                self.client = self.connect()
        self.client.close()
        return self.run

    def ask(self, number: int) -> None:
        kind, expected, headers = choose(self.chance, self.part.sessions)
        path = f"{PATHS[self.chance.random() < 0.5]}?{self.name.replace(' ', '-')}={number}"
        try:
            answer = self.client.get(path, headers=[*PHONE, *headers])
        except (http.client.HTTPException, ConnectionError):    # a restart
            self.run.broken += 1
            self.client.close()
            self.client = self.connect()
            return
        self.run.asked[kind] += 1
        wanted = (401, None, None) if expected is None else (200, expected, path.partition("?")[2])
        seen: tuple[int, str | None, str | None] = (answer.status, None, None)
        if answer.status == 200:
            body = answer.json()
            seen = (200, body["remote_user"], body["uri"].partition("?")[2])
            owner = f"{self.name}.{self.connections}" if expected is None or "@" not in expected \
                else expected
            self.run.owners.setdefault(body["connection"], Counter())[owner] += 1
        if seen != wanted:
            self.run.mismatches.append(f"{kind}: {seen} instead of {wanted}")


def load(part: Part) -> Run:
    """In a process of its own."""
    run = Run()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in pool.map(lambda number: Person(part, number).work(), range(CLIENTS)):
            run.add(done)
    return run


class Soak:
    """Gateway and backends. *stack* ends them."""

    def __init__(self, stack: ExitStack, root: Path, domain: Domain, authority: Authority) -> None:
        ensure_names()
        self.authority = authority
        urls = {tls: self._start_backend(stack, root, domain, tls) for tls in PATHS}
        keytab = domain.export_keytab(root / "gateway.keytab",
                                      ["gateway", "HTTP/gateway.corp.example.test"])
        conf = "EasKcdKdcTimeout 60s\n" + trusting(authority)
        for tls, path in PATHS.items():
            section = path[:path.index("/", 1)]
            conf += location(urls[tls] + section, path=section, parameters="retry=0")
        conf += block_with("m#^Bearer")
        self.gateway = Gateway(root / "gateway", conf, keytab=keytab, krb5_conf=domain.krb5_conf,
                               ca_file=authority.ca_file, tls=authority.certificate(GATEWAY),
                               processes=2, threads=40, log_level="notice")
        self.gateway.start()
        stack.callback(self.gateway.stop)

    def _start_backend(self, stack: ExitStack, root: Path, domain: Domain, tls: bool) -> str:
        port, name = free_port(), f"hybrid-{'tls' if tls else 'plain'}"
        files: tuple[Path, ...] = (domain.export_keytab(root / f"{name}.keytab", [CAS1]),)
        if tls:
            certificate = self.authority.certificate(HOST)
            files += (certificate.cert, certificate.key)
        daemon = Daemon(name, [sys.executable, "-m", "lab.simulated", "hybrid", str(port),
                               *map(str, files)], root / f"{name}.log",
                        {"PYTHONPATH": str(Path(__file__).parent),
                         "KRB5_CONFIG": str(domain.krb5_conf)})
        stack.callback(daemon.stop)
        daemon.start(lambda: answers(port))
        return f"{'https' if tls else 'http'}://{HOST}:{port}"

    def _sessions(self) -> dict[str, str]:
        cookies = {}
        for user in USERS:
            visitor = Visitor(self.gateway)
            assert visitor.log_on(user, PASSWORDS[user], trusted=True).status == 303
            cookies[user] = f"{COOKIE}={visitor.session}"
        return cookies

    def run(self, requests: int, restart_every: float = 5) -> Run:
        run, sessions = Run(), self._sessions()
        each = -(-requests // (PROCESSES * CLIENTS))
        began = restarted = time.monotonic()
        with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
            parts = [pool.submit(load, Part(self.gateway.port, self.authority.ca_file, sessions,
                                            each, seed)) for seed in range(PROCESSES)]
            while not all(part.done() for part in parts):
                time.sleep(0.2)
                if time.monotonic() - restarted > restart_every:
                    self.gateway.graceful()
                    run.restarts += 1
                    restarted = time.monotonic()
            for part in parts:
                run.add(part.result())
        run.seconds = time.monotonic() - began
        return run


def is_good(run: Run, requests: int) -> bool:
    users, tokens = run.per_owner()
    return (not run.mismatches and not run.shared() and len(users) == len(USERS) and bool(tokens)
            and run.asked.total() + run.broken >= requests and run.broken < requests / 100)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=200_000)
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="eas-identities-"))
    root.chmod(0o755)
    domain = Domain(root / "ad")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        stack.callback(domain.close)
        domain.create()
        os.environ |= {"KRB5_CONFIG": str(domain.krb5_conf), "TMPDIR": str(root)}
        soak = Soak(stack, root, domain, Authority(root / "tls"))
        run = soak.run(args.requests)
        tags = soak.gateway.error_log.tags()
    good = is_good(run, args.requests) and "EAS2050" not in tags
    print(run.figures())
    found = ", ".join(f"{tag} {n}" for tag, n in sorted(Counter(tags).items()))
    print(f"tags: {found or 'none'}")
    print("good" if good else "NOT GOOD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
