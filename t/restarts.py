#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Graceful restarts under light traffic: what does each of them leave behind?

    /usr/bin/python3 t/restarts.py [--restarts N] [--mpm NAME] [--bare]

Users log on by Basic and by the form, and are delegated, while httpd restarts. It counts
descriptors, memory and shared memory after 20 restarts and at the end. --bare: the same without
this module, for httpd's own growth. Exit status 0: nothing grew, and all requests were served.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).parent))

from lab.ad import CAS1, PASSWORDS, Domain              # noqa: E402
from lab.backend import GssBackend                      # noqa: E402
from lab.exchange import location, open_location        # noqa: E402
from lab.frontdoor import Visitor                       # noqa: E402
from lab.gateway import MODULES, Gateway                # noqa: E402
from lab.names import GATEWAY, ensure_names             # noqa: E402
from lab.tls import Authority                           # noqa: E402
from lab.wait import until                              # noqa: E402

BASIC_USERS = [f"user{number:02}" for number in range(1, 5)]
FORM_USER = "user05"
WARM = 20       # restarts until all is there that will stay
CHILDREN = 2
# Bytes a restart. httpd loads its modules anew each time, and libraries lose some of their memory.
PARENT_GROWTH = 4096
COUNTS = ("parent_descriptors", "child_descriptors", "system_v", "files")
MEMORY = ("parent_rss", "parent_anonymous")


@dataclass(frozen=True)
class Figures:
    """What httpd holds; sizes in KB."""

    parent_descriptors: int
    parent_rss: int
    parent_anonymous: int   # its own; PSS would depend on who else maps a library
    parent_mappings: int
    child_descriptors: int
    child_rss: int
    system_v: int       # shared memory segments and semaphore sets, of the whole system
    files: int          # below the directories for temporary and run-time files

    def rows(self, later: "Figures", restarts: int) -> str:
        return "\n".join(f"  {field.name:20} {before:8} {after:8}" for field, before, after in zip(
            fields(self), astuple(self), astuple(later))) + f"\n  (after {WARM} and {restarts})"

    def grown(self, later: "Figures", restarts: int) -> list[str]:
        """What is more than before. Memory may grow as httpd's does without this module."""
        allowed = PARENT_GROWTH / 1024 * (restarts - WARM)
        return [name for names, more in ((COUNTS, 0), (MEMORY, allowed)) for name in names
                if getattr(later, name) - getattr(self, name) > more]


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid: int, kind: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


def figures(gateway: Gateway) -> Figures:
    parent = gateway.daemon.process.pid
    children = sorted(gateway.children())
    return Figures(
        descriptors(parent), memory(parent, "Rss"), memory(parent, "Anonymous"),
        len(Path(f"/proc/{parent}/maps").read_text().splitlines()),
        max(map(descriptors, children)), max(memory(child, "Rss") for child in children),
        sum(len(Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:])
            for kind in ("shm", "sem")),
        sum(len(names) for part in ("tmp", "run") for _, _, names in os.walk(gateway.root / part)))


class Restarts:
    """A gateway that restarts between requests of the same kind."""

    def __init__(self, gateway: Gateway, requests: list[Callable[[], int]]) -> None:
        self.gateway, self.requests = gateway, requests
        self.failed: list[int] = []
        self.served = 0

    def run(self, restarts: int) -> tuple[Figures, Figures]:
        """The figures after WARM restarts, and at the end."""
        with ThreadPoolExecutor(len(self.requests)) as pool:
            self._restart(pool, WARM)
            first = self._settled()
            self._restart(pool, restarts - WARM)
            return first, self._settled()

    def _restart(self, pool: ThreadPoolExecutor, times: int) -> None:
        for _ in range(times):
            under_way: list[Future[int]] = [pool.submit(ask) for ask in self.requests]
            self.gateway.graceful()
            statuses = [one.result() for one in under_way]
            self.served += statuses.count(200)
            self.failed += [status for status in statuses if status != 200]

    def _settled(self) -> Figures:
        """With the children of one generation, and the same requests behind each."""
        until(lambda: len(self.gateway.children()) == CHILDREN, 60, "old children to end")
        for ask in self.requests * 4:
            self.failed += [status for status in [ask()] if status != 200]
        last: Figures | None = None

        def stay() -> Figures | None:
            nonlocal last
            before, last = last, None
            with suppress(FileNotFoundError, ProcessLookupError):   # a child that ends
                last = figures(self.gateway)
            return last if last == before else None
        return until(stay, 60, "figures that stay")


def requests_of(gateway: Gateway, bare: bool) -> list[Callable[[], int]]:
    def phone(user: str) -> int:
        return gateway.get("/eas", user, PASSWORDS[user]).status

    def browser() -> int:
        visitor = Visitor(gateway)
        visitor.log_on(FORM_USER, PASSWORDS[FORM_USER])
        return visitor.get("/eas").status

    def nobody() -> int:
        return 200 if gateway.get("/open").status == 401 else 0     # the backend wants a token

    return [nobody] * (len(BASIC_USERS) + 1) if bare else [
        *(lambda user=user: phone(user) for user in BASIC_USERS), browser, nobody]


def start(stack: ExitStack, root: Path, domain: Domain, authority: Authority, mpm: str = "event",
          bare: bool = False) -> Restarts:
    ensure_names()
    backend = GssBackend(root / "cas1", domain.export_keytab(root / "cas1.keytab", [CAS1]),
                         domain.krb5_conf, name="cas1.corp.example.test")
    stack.callback(backend.stop)
    backend.start()
    keytab = domain.export_keytab(root / "gateway.keytab",
                                  ["gateway", "HTTP/gateway.corp.example.test"])
    conf = open_location(backend.url) + ("" if bare else location(backend.url))
    gateway = Gateway(root / "gateway", conf, keytab=None if bare else keytab,
                      krb5_conf=domain.krb5_conf, ca_file=authority.ca_file,
                      tls=authority.certificate(GATEWAY), mpm=mpm, processes=CHILDREN,
                      modules=MODULES[:-1] if bare else MODULES, log_level="notice",
                      env={"MALLOC_PERTURB_": "0"})
    stack.callback(gateway.stop)
    gateway.start()
    return Restarts(gateway, requests_of(gateway, bare))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--restarts", type=int, default=200)
    parser.add_argument("--mpm", default="event", choices=("event", "worker", "prefork"))
    parser.add_argument("--bare", action="store_true")
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="eas-restarts-"))
    root.chmod(0o755)
    domain = Domain(root / "ad")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        stack.callback(domain.close)
        domain.create()
        os.environ |= {"KRB5_CONFIG": str(domain.krb5_conf), "TMPDIR": str(root)}
        run = start(stack, root, domain, Authority(root / "tls"), args.mpm, args.bare)
        began = time.monotonic()
        first, last = run.run(args.restarts)
        grown = first.grown(last, args.restarts)
        print(first.rows(last, args.restarts))
        print(f"{args.restarts} graceful restarts in {time.monotonic() - began:.0f} s, "
              f"{run.served} requests served, {len(run.failed)} not "
              f"({sorted(set(run.failed))}); grown: {', '.join(grown) or 'nothing'}")
    return 1 if grown or run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
