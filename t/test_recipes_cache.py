# SPDX-License-Identifier: Apache-2.0
"""Recipe for a pair of cache servers: the loss of one signs nobody off, and undoes no
sign-out."""

import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.ad import PASSWORDS
from lab.examples import block_with, in_the_lab, modules_for
from lab.exchange import location
from lab.frontdoor import Visitor
from lab.pages import RECIPES, TEXT
from lab.redis import Redis
from lab.sessions import OWA, at, log_on, refused, served
from lab.unique import unique_path
from lab.wait import Daemon, answers, free_port, until



def text(language: str, mark: str) -> str:
    found, = [block for block in re.findall(rf"^```{language}\n(.*?)^```$", TEXT[RECIPES],
                                            re.DOTALL | re.MULTILINE) if mark in block]
    return found


CACHE = block_with("EasKcdCache redis:127.0.0.1")
SYSTEMD, SENTINEL, HAPROXY = (text("ini", "--replicaof"), text("redis", "sentinel monitor"),
                              text("haproxy", "role:master"))


@dataclass
class Pair:
    """Two servers and three Sentinels by the text of the page, and the port of HAProxy."""

    path: Path
    servers: list[Redis]
    daemons: list[Daemon] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    def localized(self, text: str) -> str:
        """With ports in place of hosts."""
        for n, server in enumerate(self.servers):
            text = re.sub(rf"192\.0\.2\.3{n + 1}([: ])6379", rf"127.0.0.1\g<1>{server.port}", text)
        return text

    def start(self) -> None:
        one, two = self.servers
        for server in self.servers:
            server.start()
        assert one.do("REPLICAOF", "NO", "ONE") == b"OK"
        until(lambda: two.do("ROLE")[3] == b"connected", 20, "the replica")
        for n in range(3):
            conf, port = self.path / f"sentinel-{n}.conf", free_port()
            conf.write_text(self.localized(SENTINEL).replace("26379", str(port)).replace(
                "/var/lib/redis", str(self.path)))
            self._run(f"sentinel-{n}", ["/usr/bin/redis-server", str(conf), "--sentinel"], port)
        conf = self.path / "haproxy.cfg"
        conf.write_text(self.localized(HAPROXY).replace("bind 127.0.0.1:6379",
                                                        f"bind 127.0.0.1:{self.port}"))
        self._run("haproxy", ["/usr/sbin/haproxy", "-db", "-f", str(conf)], self.port)
        for n in range(3):
            log = self.path / f"sentinel-{n}.log"
            until(lambda: len(re.findall(r" \+(?:sentinel|slave) ", log.read_text())) == 3, 20,
                  "a Sentinel to know all others")

    def _run(self, name: str, command: list[str], port: int) -> None:
        self.daemons.append(Daemon(name, command, self.path / f"{name}.log"))
        self.daemons[-1].start(lambda: answers(port))

    def stop(self) -> None:
        for daemon in self.daemons:
            daemon.stop()
        for server in self.servers:
            server.stop()


@pytest.fixture
def pair(tmp_path):
    ports = [free_port(), free_port()]
    command, = re.findall("^ExecStart=(/.*)$", SYSTEMD, re.MULTILINE)
    own = command[command.index("--protected-mode"):command.index("--replicaof")].split()
    made = Pair(tmp_path, [Redis(tmp_path / f"redis-{n}", *own, "--repl-diskless-sync-delay", "0",
                                 "--replicaof", "127.0.0.1", str(ports[1 - n]), port=ports[n])
                           for n in (0, 1)])
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def start(gateway, mailbox, pair, domain, authority, lab_dir):
    """A gateway with the page's lines."""
    conf = in_the_lab(CACHE, lab_dir, domain, authority, "gateway")
    assert conf.count("127.0.0.1:6379") == 1
    conf = conf.replace("127.0.0.1:6379", f"127.0.0.1:{pair.port}") + location(mailbox.url, path=OWA)
    return lambda: gateway(conf, modules=modules_for(CACHE), processes=1)


def test_loss_of_the_master(pair, start, mailbox):
    """The session goes on within seconds, and is never refused. A sign-out of the last moment
    stays. The old master returns as a replica."""
    one, two = pair.servers
    gw = start()
    gw.expect("EAS1071")
    gw.allow("AH03478", "AH03479", because="the connections to the lost master fail")
    visitor, other = log_on(gw), log_on(gw)
    served(visitor)
    copy = dict(other.jar)
    assert other.sign_out().status == 303
    one.kill()
    held, seen = two.do("DBSIZE"), set()

    def again() -> bool:
        seen.add(status := at(gw, visitor).get(unique_path(OWA)).status)
        return status == 200
    until(lambda: not again(), 10, "the loss")
    assert gw.get(OWA, "bob", PASSWORDS["bob"]).status == 200
    until(again, 60, "the replica to be used")
    assert seen <= {200, 503}
    assert two.do("ROLE")[0] == b"master" and two.do("DBSIZE") >= held >= 3

    one.start()
    assert one.do("ROLE")[0] == b"slave"
    until(lambda: one.do("ROLE")[3] == b"connected", 20, "the old master to be a replica")
    fresh = start()     # it knows no record but those of the cache server
    served(at(fresh, visitor))
    refused(mailbox, Visitor(fresh, jar=copy))


def test_two_masters(pair):
    """HAProxy takes no connection while it cannot know which is right."""
    def ping() -> bytes:
        with (suppress(ConnectionError),
              socket.create_connection(("127.0.0.1", pair.port), 10) as client):
            client.sendall(b"PING\r\n")
            return client.recv(5)
        return b""
    assert ping() == b"+PONG"
    assert pair.servers[1].do("REPLICAOF", "NO", "ONE") == b"OK"
    until(lambda: ping() == b"", 10, "HAProxy to know both")
