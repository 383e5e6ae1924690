# SPDX-License-Identifier: Apache-2.0
"""Pings of phones that wait for the backend's answer."""

from typing import Any, Iterable

from .activesync import PATH, PING, TYPE, plain
from .ad import PASSWORDS
from .client import Client
from .gateway import Gateway
from .wait import until


class Pings:
    """Each on a connection of its own. *server* counts those that wait at the backend."""

    def __init__(self, gw: Gateway, server: Any) -> None:
        self.gw, self.server = gw, server
        self._open: list[Client] = []

    def send(self, user: str, device: str = "phone", path: str = PATH,
             command: str = "Ping") -> Client:
        client = self.gw.client()
        self._open.append(client)
        client.send("POST", plain(command, user, device).replace(PATH, path), user,
                    PASSWORDS[user], [("Content-Type", TYPE)], PING)
        return client

    def hold(self, user: str, device: str = "phone", path: str = PATH) -> Client:
        """Send one, and wait until it waits."""
        waiting = self.server.waiting       # it waits for a change, whatever the gateway does
        client = self.send(user, device, path)
        until(lambda: self.server.waiting > waiting, 10, "the Ping to wait")
        return client

    def hold_all(self, users: Iterable[str]) -> list[Client]:
        return [self.hold(user) for user in users]

    def close(self) -> None:
        for client in self._open:
            client.close()
