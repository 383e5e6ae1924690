# SPDX-License-Identifier: Apache-2.0
"""The users whose requests came on each connection of a backend."""

from collections import defaultdict

from .fake_backend import FakeBackend
from .simulated import Keeper

THREE = ("alice", "bob", "carol")


def owners(backend: FakeBackend, keeper: Keeper) -> dict[int, set[str | None]]:
    """None stands for a request without a token."""
    found: dict[int, set[str | None]] = defaultdict(set)
    for request in backend.requests:
        token = request.authorization
        found[request.connection].add(token and keeper.acceptor.accept(token).user)
    return found
