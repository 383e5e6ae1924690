# SPDX-License-Identifier: Apache-2.0
"""Phones that come back at once, over TLS: to a gateway that knows them, and to one just started."""

import itertools
import json
import secrets
import subprocess
from pathlib import Path

from lab.gateway import Gateway
from lab.programs import compiled
from lab.redis import Redis

from . import conf, cost
from .rig import restart
from .warm import Bench

HERE = Path(__file__).parent
HOST = "gateway.corp.example.test"
PATH = "/Microsoft-Server-ActiveSync"
QUERY = "Cmd=Sync&User={user}&DeviceId=dev{number}&DeviceType=iPhone"
THREADS = 300           # of each of two processes
MEET = 8                # phones at once that log on for the first time
MEET_SECONDS = 900
USERS = 1000            # more phones than that share them, and come back to a warm gateway alone
RETURN_SECONDS = 300
# A phone's session of TLS outlives the gateway; the queue of the kernel has room for all of them.
CONF = """
EasKcdPasswordCache 8h
ListenBackLog 16384
SSLSessionTicketKeyFile "{tickets}"
"""


class Phones:
    """So many, each of a user of its own up to USERS."""

    def __init__(self, bench: Bench, number: int, program: Path) -> None:
        self._program = program
        self._sessions = bench.rig.path / f"sessions-{number}-{secrets.token_hex(4)}"
        users = bench.rig.users(min(number, USERS))
        self._lines = "".join(f"{PATH}?{QUERY.format(user=user, number=n)} {header[1]}\n"
                              for n, user in zip(range(number), itertools.cycle(users))
                              for header in bench.rig.basic(user))

    def come(self, gateway: Gateway, at_once: int, seconds: int) -> dict:
        said = subprocess.run([self._program, str(gateway.port), self._sessions, str(at_once),
                               str(seconds)], input=self._lines, check=True, text=True,
                              capture_output=True, timeout=seconds + 60).stdout
        return json.loads(said)


def _secret(bench: Bench, name: str, size: int) -> Path:
    made = bench.rig.path / name
    made.write_bytes(secrets.token_bytes(size))
    made.chmod(0o600)
    return made


def _gateway(bench: Bench, backend: str, *lines: str, modules: tuple[str, ...] = ()) -> Gateway:
    rig = bench.rig
    text = CONF.format(tickets=_secret(bench, "tickets", 48)) + "".join(f"{line}\n"
                                                                       for line in lines)
    made = rig.gateway("phones", text + conf.ours(PATH, backend, "EasKcdDelegate On",
                                                  "EasKcdMutualAuth optional"),
                       tls=rig.authority.certificate(HOST), threads=THREADS, relay=True,
                       more_modules=modules, log_level="crit eas_kcd:error")
    made.start()
    return made


def _note(bench: Bench, title: str, number: int, seen: dict) -> None:
    statuses = ", ".join(f"{count} × {status}" for status, count in seen["statuses"].items())
    bench.results.note("phones", title, f"all of {number} served after {seen['worst']:.1f} s"
                       if seen["served"] == number else f"{seen['served']} of {number} served")
    bench.results.note("phones", f"{title}: answers", f"{statuses}; p50 {seen['p50']:.2f} s, p99 "
                       f"{seen['p99']:.2f} s; {seen['failures']} connections failed, "
                       f"{seen['resumed']} sessions of TLS resumed")


def _return(bench: Bench, gateway: Gateway, phones: Phones, number: int, title: str,
            name: str) -> dict:
    relay = bench.rig.relay
    relay.reset()
    before = cost.cpu_seconds(gateway.daemon.process.pid)
    seen = phones.come(gateway, number, RETURN_SECONDS)
    spent = cost.cpu_seconds(gateway.daemon.process.pid) - before
    heard = relay.counts["AS-REQ"] + relay.counts["TGS-REQ"]
    _note(bench, f"{number} phones, {title}", number, seen)
    bench.results.note("phones", f"{number} phones, {title}: cost", f"{heard} messages to the KDC; "
                       f"gateway CPU {spent / number * 1000:.2f} ms a phone")
    for what, figure in (("served", seen["served"]), ("seconds", seen["worst"]),
                         ("200", seen["statuses"].get("200", 0)),
                         ("503", seen["statuses"].get("503", 0)), ("messages", heard),
                         ("ms", spent / number * 1000)):
        bench.results.figure(f"phones.{number}.{name}.{what}", figure)
    return seen


def _wrong(seen: dict) -> int:
    """Answers other than the backend's, and than to come again."""
    return sum(count for status, count in seen["statuses"].items() if status not in ("200", "503"))


def phones(bench: Bench) -> None:
    """Phones that return at once over TLS, warm, cold, and cold with a shared cache."""
    program = compiled(bench.rig.path / "phones", HERE / "phones.c", HERE / "peer.c",
                       packages=("openssl",))
    backend, wrong, failed = bench.rig.backend, 0, 0
    redis = Redis(bench.rig.path / "redis").start()
    bench.rig.stack.callback(redis.stop)
    secret = _secret(bench, "secret", 48)
    shared = (f'EasKcdSecretFile "{secret}"', f"EasKcdCache redis:127.0.0.1:{redis.port}")
    for number in bench.effort.phones:
        for lines, modules, name, title in (
                ((), (), "cold", "cold"),
                (shared, ("socache_redis",), "shared", "cold, with a shared cache")):
            if lines and number > USERS:
                continue
            gateway = _gateway(bench, backend, *lines, modules=modules)
            many = Phones(bench, number, program)
            _note(bench, f"{number} phones log on, {MEET} at a time", number,
                  many.come(gateway, MEET, MEET_SECONDS))
            if not lines:
                warm = _return(bench, gateway, many, number, "warm", "warm")
                bench.results.figure("phones.worst", warm["worst"])     # of the most
                failed += warm["failures"] + number - warm["statuses"].get("200", 0)
                wrong += _wrong(warm)
            if number <= USERS:
                restart(gateway)
                wrong += _wrong(_return(bench, gateway, many, number, title, name))
            gateway.stop()
    bench.results.figure("phones.failed", failed)
    bench.results.figure("phones.wrong", wrong)
