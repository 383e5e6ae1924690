# SPDX-License-Identifier: Apache-2.0
"""Requests of warm users: against the bare proxy, and against what others do."""

from dataclasses import dataclass

from . import conf
from .pairs import Pair, Side, cpu, paired
from .results import Results
from .rig import THREADS, Rig, session

LEVELS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Effort:
    """How much a run measures."""

    name: str
    rounds: int
    seconds: int
    users: int              # that cycle through the cache
    storm: int              # simultaneous first requests
    cold: int               # cold log-ons
    messages: int           # warm requests that the KDC must not notice
    counted: int            # requests whose instructions are counted
    levels: tuple[int, ...] = LEVELS
    own: tuple[int, ...] = (1, 16, 256, 1000)   # users with connections of their own
    turns: int = 256        # users that take turns
    phones: tuple[int, ...] = (1000, 10_000)    # that return at once
    pings: tuple[int, ...] = (1_000, 5_000, 10_000)


# Many short rounds: their median varies less than that of half as many of twice the time.
FULL = Effort("full", rounds=14, seconds=1, users=10_000, storm=1_000, cold=300, messages=10_000,
              counted=300)
QUICK = Effort("quick", rounds=4, seconds=1, users=200, storm=100, cold=40, messages=1_000,
               counted=100, levels=(1, 16, 256), own=(1, 16, 256), turns=128, phones=(200,),
               pings=(1_000,))
SMOKE = Effort("smoke", rounds=1, seconds=1, users=10, storm=10, cold=5, messages=100,
               counted=20, levels=(1, 4), own=(1, 4), turns=8, phones=(8,), pings=(50,))


@dataclass(frozen=True)
class Bench:
    """The configuration of every case."""

    rig: Rig
    results: Results
    effort: Effort

    def compare(self, a: Side, b: Side, name: str = "", *, layout: str = "shared",
                connections: int = 16, slow: bool = False, often: bool = False) -> Pair:
        """Figures whose names begin with this *name*. *slow*: one of them needs more time to show
        anything. *often*: a promise depends on few per cent."""
        pair = paired(self.rig, a, b, self.rig.layouts[layout],
                      rounds=self.effort.rounds * (2 if often else 1),
                      seconds=self.effort.seconds * (3 if slow and self.effort is not SMOKE else 1),
                      connections=connections)
        return self.results.pair(pair, layout, connections, name)

    def side(self, name: str, path: str, user: str | None = "alice") -> Side:
        """A location of the warm gateway; requests by Basic, or without credentials."""
        return Side(name, self.rig.warm, path, self.rig.basic(user) if user else ())

    def bare(self, tls: bool = False) -> Side:
        return (self.side("bare proxy, TLS", "/tls-bare", None) if tls
                else self.side("bare proxy", "/bare", None))

    def cookie(self, name: str, path: str) -> Side:
        """A session, new for each run: a cookie that is a minute old is renewed by each request."""
        return Side(name, self.rig.warm, path, lambda: session(self.rig.warm, "bob"))


def basic(bench: Bench) -> None:
    """The headline: warm Basic, delegated, not verified."""
    for layout in ("shared", "split"):
        bench.compare(bench.bare(), bench.side("Basic", "/mail"), f"basic.{layout}",
                      layout=layout, often=True)


def cookie(bench: Bench) -> None:
    """A session in place of Basic."""
    for layout in ("shared", "split"):
        bench.compare(bench.bare(), bench.cookie("session", "/mail"), f"cookie.{layout}",
                      layout=layout, often=True)


def direct(bench: Bench) -> None:
    """The cost of a proxy at all: throughput of that without one. The CPU is the backend's then."""
    straight = Side("direct", bench.rig.direct, "/bare")
    for side in (bench.bare(), bench.side("Basic", "/mail"), bench.cookie("session", "/mail")):
        pair = bench.compare(straight, side)
        bench.results.note("direct", side.name, f"throughput {pair.throughput:.2f} of direct")


def tls(bench: Bench) -> None:
    """The same to a backend behind TLS."""
    bench.compare(bench.bare(tls=True), bench.side("Basic, TLS", "/tls-mail"), "tls.basic")
    bench.compare(bench.bare(tls=True), bench.cookie("session, TLS", "/tls-mail"), "tls.cookie")


def mutual(bench: Bench) -> None:
    """A backend that accepts tokens, and what it costs to verify its proof."""
    silent = bench.side("real acceptor, no proof", "/gss-silent")
    bench.compare(bench.bare(), silent)
    if not bench.rig.knows("EasKcdMutualAuth required"):
        bench.results.note("mutual", "EasKcdMutualAuth", "the module does not know it")
        return
    bench.compare(silent, bench.side("real acceptor, verified", "/gss-required"), "mutual",
                  often=True)
    bench.compare(bench.side("real acceptor, no proof, TLS", "/gss-tls-silent"),
                  bench.side("real acceptor, verified, TLS", "/gss-tls-required"), "mutual.tls")


def reuse(bench: Bench) -> None:
    """The gain by kept backend connections."""
    if not bench.rig.knows("EasKcdBackendReuse On"):
        bench.results.note("reuse", "EasKcdBackendReuse", "the module does not know it")
        return
    bench.compare(bench.side("reuse", "/mail"), bench.side("no reuse", "/fresh"), "reuse")
    bench.compare(bench.side("reuse, TLS", "/tls-mail"), bench.side("no reuse, TLS", "/tls-fresh"),
                  "reuse.tls")


def parts(bench: Bench) -> None:
    """Where it goes: authentication alone, and what delegation adds."""
    known = bench.side("Basic, not delegated", "/known")
    bench.compare(bench.bare(), known, "parts.known")
    bench.compare(known, bench.side("Basic, delegated", "/mail"), "parts.delegated")


def token(bench: Bench) -> None:
    """The cost of delegation, verification included, beyond a token as libkrb5 makes it by itself.

    The two parts are measured with the backend that suits each: one that costs the cores little,
    and a real acceptor, with and without its proof. That acceptor beside a bare proxy which sends
    one token again and again shows the whole where the cores' caches are somebody else's."""
    alone, native, gssapi, proof = bench.rig.token_seconds()
    delegated = bench.compare(bench.side("Basic, not delegated", "/known"),
                              bench.side("Basic, delegated", "/mail"))
    over = delegated.difference(cpu) - alone
    for name, what, spent in (("libkrb5", "libkrb5's token by itself", alone),
                              ("native", "native, as a header's value", native),
                              ("gssapi", "gssapi, as a header's value", gssapi),
                              ("proof", "verification of the backend's reply", proof)):
        bench.results.note("token", what, f"{spent * 1e6:.1f} µs")
        bench.results.figure(f"token.{name}", spent * 1e6)
    bench.results.note("token", "guard, pools, retry", f"{over * 1e6:.1f} µs")
    if bench.rig.knows("EasKcdMutualAuth required"):
        verified = bench.compare(bench.side("real acceptor, no proof", "/gss-silent"),
                                 bench.side("real acceptor, verified", "/gss-required"))
        over += verified.difference(cpu)
        bench.compare(bench.side("real acceptor, verified", "/gss-required"),
                      bench.side("the same, EasKcdToken gssapi", "/gss-gssapi"))
    bench.results.figure("token.over", over * 1e6)
    bare = bench.rig.gateway("fixed", conf.fixed("/gss-fixed", bench.rig.backend, bench.rig.token),
                             ours=False, threads=THREADS)
    bare.start()
    bench.compare(Side("bare proxy, a fixed token, module not loaded", bare, "/gss-fixed"),
                  bench.side("real acceptor, no proof", "/gss-silent"))
    bare.stop()


def guard(bench: Bench) -> None:
    """The cost of the loaded module for Locations that do not use it."""
    bare = conf.bare("/bare", bench.rig.backend)
    sides = []
    for ours in (False, True):
        gateway = bench.rig.gateway("guard", bare, ours=ours)
        gateway.start()
        sides.append(Side(f"bare proxy, module {'' if ours else 'not '}loaded", gateway, "/bare"))
    bench.compare(*sides, "guard")
    for side in sides:
        side.gateway.stop()


def others(bench: Bench) -> None:
    """The alternatives."""
    mag = bench.side("mod_auth_gssapi Basic", "/mag")
    bcrypt = bench.side("mod_auth_basic, bcrypt", "/bcrypt")
    bench.compare(mag, bench.side("Basic", "/mail"), "others.mag", slow=True)
    bench.compare(bench.bare(), mag, slow=True)
    bench.compare(bcrypt, bench.side("Basic", "/mail"), "others.bcrypt", slow=True)
    bench.compare(bench.bare(), bcrypt, slow=True)


def curve(bench: Bench) -> None:
    """Throughput and p99 over concurrency."""
    for connections in bench.effort.levels:
        bench.results.curve.append(bench.compare(bench.bare(), bench.side("Basic", "/mail"),
                                                 f"curve.{connections}", connections=connections))
    first, *rest = (pair.throughput for pair in bench.results.curve)
    bench.results.figure("curve.scaling", min(rest) / first)
