# SPDX-License-Identifier: Apache-2.0
"""Warm users by number, each with backend connections of their own."""

import random

from . import conf
from .cold import CLIENTS, first_requests
from .load import in_turn
from .pairs import Pair, Side, cpu, opens
from .warm import Bench

CLIENT_CONNECTIONS = 16     # that users in turns share
WIDE = 1100                 # threads: more than the most users


def users(bench: Bench) -> None:
    """Users with connections of their own, and in turns: what their number costs."""
    _own(bench)
    _in_turns(bench)


def _log_on(bench: Bench, port: int, number: int) -> list[tuple[str, str]]:
    """The header of each of so many users, who have all logged on."""
    names = bench.rig.users(number)
    in_turn(port, first_requests(bench, names), CLIENTS)
    return [header for name in names for header in bench.rig.basic(name)]


def _note(bench: Bench, what: str, name: str, pair: Pair) -> None:
    bench.results.note("users", what, f"throughput {pair.throughput:.2f} and CPU {pair.cpu:.2f} of "
                       f"the bare proxy's, {pair.of(1, cpu) * 1e6:.0f} µs; "
                       f"{pair.of(1, opens):.3f} opens a request")
    bench.results.figure(f"{name}.opens", pair.of(1, opens))


def _own(bench: Bench) -> None:
    """As many client connections as users, each with the requests of one."""
    rig, levels = bench.rig, bench.effort.own
    backend = rig.wide_backend(WIDE)
    gateway = rig.gateway("own", "EasKcdPasswordCache 8h\n" + conf.bare("/bare", backend)
                          + conf.ours("/mail", backend, "EasKcdDelegate On",
                                      "EasKcdMutualAuth optional"), threads=WIDE)
    gateway.start()
    headers = _log_on(bench, gateway.port, levels[-1])
    everybody = rig.wrk.header_file("own", headers)
    rig.lay_out(rig.layouts["shared"], [gateway])
    rig.wrk(gateway.port, "/mail", each=everybody, seconds=3)   # both processes know all users
    pairs = [bench.compare(Side("bare proxy", gateway, "/bare", own=True),
                           Side(f"{number} users", gateway, "/mail", each=everybody, own=True),
                           f"users.own.{number}", connections=number, slow=number > 100)
             for number in levels]
    for number, pair in zip(levels, pairs):
        _note(bench, f"{number} users with connections of their own", f"users.own.{number}", pair)
    bench.results.figure("users.own", min(pair.throughput for pair in pairs[1:]))
    bench.results.figure("users.flat", max(pair.cpu for pair in pairs[1:]) / pairs[1].cpu)
    gateway.stop()


def _in_turns(bench: Bench) -> None:
    """Many users on few client connections: each process keeps connections of some of them, or of
    all, and some more for two requests of one user at once."""
    rig, number = bench.rig, bench.effort.turns
    found = []
    for kept in (number // 4, number // 2, number + CLIENT_CONNECTIONS):
        gateway = rig.gateway("turns", f"EasKcdPasswordCache 8h\nEasKcdBackendPools {kept}\n"
                              + conf.bare("/bare", rig.backend) + rig.mail(),
                              threads=2 * CLIENT_CONNECTIONS)
        gateway.start()
        headers = _log_on(bench, gateway.port, number)
        shuffled = random.Random(1).choices(headers, k=20 * number)
        for word, order, lines in (("turns", "in turns", headers),
                                   ("random", "in random order", shuffled)):
            name = f"users.{word}.{number}.{kept}"
            pair = bench.compare(
                Side("bare proxy", gateway, "/bare"),
                Side(f"{number} users {order}", gateway, "/mail",
                     each=rig.wrk.header_file("turns", lines)), name,
                connections=CLIENT_CONNECTIONS)
            _note(bench, f"{number} users {order}, EasKcdBackendPools {kept}", name, pair)
            found.append(pair.of(1, opens))
        gateway.stop()
    bench.results.figure("users.opens", max(found[-2:]))
