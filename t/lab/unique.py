# SPDX-License-Identifier: Apache-2.0
"""Numbers, and paths, that occur once in a test run."""

import itertools

_numbers = itertools.count(1)


def unique_number() -> int:
    return next(_numbers)


def unique_path(path: str) -> str:
    """The path with a query that means nothing and finds its request in a log."""
    return f"{path}?n={unique_number()}"
