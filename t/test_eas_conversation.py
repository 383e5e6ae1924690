# SPDX-License-Identifier: Apache-2.0
"""A phone's whole conversation with Exchange, through the gateway; and five hundred that wait."""

import subprocess
import time

import pytest

from lab.activesync import (CHANGED, EXPIRED, FOLDERS, FOLDER_SYNC, PATH, PING, SYNC, SYNCED, TYPE,
                            VERSIONS, Phone, blob, plain)
from lab.ad import PASSWORDS, REALM
from lab.exchange import location
from lab.gateway import MODULES
from lab.names import GATEWAY
from lab.wait import until

# httpd's own patience in these tests, which must not be what a Ping's is.
IMPATIENT = "Timeout 1\n"
PHONES = 500
USERS = ("alice", *(f"user{n:02}" for n in range(1, 21)))


def published(backend, *lines: str, before: str = IMPATIENT) -> str:
    return before + location(backend.url + PATH, *lines, path=PATH)


@pytest.mark.parametrize("form", ["plain", "base64"])
def test_conversation(gateway, exchange, form):
    """OPTIONS, FolderSync, Sync, a Ping that expires after three times httpd's Timeout, a Ping that
    is answered by a change, and an empty Ping and Sync."""
    server, backend = exchange(heartbeat=3.5)
    gw = gateway(published(backend))
    path = {"plain": lambda command: plain(command), "base64": lambda command: blob(command)}[form]
    assert gw.request("OPTIONS", PATH).status == 401        # as some phones begin
    with gw.client() as client:
        phone = Phone(client, "alice")
        options = phone.options()
        assert (options.status, options.header("MS-ASProtocolVersions")) == (200, VERSIONS)
        assert options.body == b"" and options.header("WWW-Authenticate") is None
        for command, sent, expected in (("FolderSync", FOLDER_SYNC, FOLDERS),
                                        ("Sync", SYNC, SYNCED)):
            answer = phone.send(command, sent, path(command))
            assert (answer.status, answer.header("Content-Type")) == (200, TYPE)
            assert answer.body == expected

        began = time.monotonic()
        assert phone.send("Ping", PING, path("Ping")).body == EXPIRED
        assert time.monotonic() - began >= 3.5

        server.heartbeat = 60
        client.send("POST", path("Ping"), "alice", PASSWORDS["alice"], [("Content-Type", TYPE)],
                    PING)
        until(lambda: server.waiting == 1, 10, "the Ping to wait")
        server.change()
        assert client.receive().body == CHANGED

        for command, expected in (("Ping", CHANGED), ("Sync", b""), ("SendMail", b"")):
            answer = phone.send(command, b"", path(command))
            assert (answer.status, answer.body) == (200, expected)
    assert server.users == {f"alice@{REALM}"}
    assert gw.error_log.tags() == ["EAS1062"]


def test_ping_by_http2(gateway, exchange, authority):
    """Longer than Timeout, which is the default of H2StreamTimeout too."""
    server, backend = exchange(heartbeat=3.5)
    gw = gateway("Protocols h2 http/1.1\n" + published(backend), modules=(*MODULES, "http2"))
    url = f"https://{GATEWAY}:{gw.port}{plain('Ping')}"
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--http2", "--max-time", "30", "--cacert",
         authority.ca_file, "--resolve", f"{GATEWAY}:{gw.port}:127.0.0.1", "--user",
         f"alice:{PASSWORDS['alice']}", "--header", f"Content-Type: {TYPE}", "--data-binary", "@-",
         "--write-out", "%{http_version}", url], input=PING, stdout=subprocess.PIPE, check=True)
    assert done.stdout == EXPIRED + b"2"


def test_many_pings(gateway, exchange):
    """Five hundred phones wait, and those that want something are still served at once."""
    server, backend = exchange(heartbeat=120)
    gw = gateway(published(backend, "EasKcdLongPolls Off"), processes=1, threads=PHONES + 40)
    for user in USERS:      # the domain controller is not what is measured
        with gw.client() as client:
            assert Phone(client, user).send("FolderSync", FOLDER_SYNC).status == 200
    waiting = [gw.client(timeout=120) for _ in range(PHONES)]
    try:
        for n, client in enumerate(waiting):
            user = USERS[n % len(USERS)]
            client.send("POST", plain("Ping", user, device=f"D{n}"), user, PASSWORDS[user],
                        [("Content-Type", TYPE)], PING)
        until(lambda: server.waiting == PHONES, 60, "all phones to wait")
        took = sorted(short_requests(gw, 50))
        print(f"short requests beside {PHONES} Pings: median {took[25] * 1000:.1f} ms, "
              f"slowest {took[-1] * 1000:.1f} ms")
        assert took[25] < 0.25 and took[-1] < 2
        assert server.waiting == PHONES
        server.change()
        assert {client.receive().body for client in waiting} == {CHANGED}
    finally:
        for client in waiting:
            client.close()
    assert server.users == {f"{user}@{REALM}" for user in USERS}


def short_requests(gw, count: int) -> list[float]:
    took = []
    with gw.client() as client:
        phone = Phone(client, "alice")
        for _ in range(count):
            began = time.monotonic()
            assert phone.send("FolderSync", FOLDER_SYNC).body == FOLDERS
            took.append(time.monotonic() - began)
    return took
