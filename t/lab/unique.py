# SPDX-License-Identifier: Apache-2.0
"""Numbers, and paths, that occur once in a test run."""

import itertools
import os

# pytest-xdist's processes, which share addresses and ports.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

_numbers = itertools.count(1)


def unique_number() -> int:
    return next(_numbers)


def unique_path(path: str) -> str:
    """The path with a query that means nothing and finds its request in a log."""
    return f"{path}?n={unique_number()}"
