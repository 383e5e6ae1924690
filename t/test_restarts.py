# SPDX-License-Identifier: Apache-2.0
"""A short run of restarts.py; the long one is a program of its own."""

from contextlib import ExitStack
from dataclasses import replace

import restarts
from lab.sanitizer import measures_memory

TIMES = restarts.WARM + 10


@measures_memory
def test_a_graceful_restart_leaves_nothing(domain, authority, lab_dir):
    root = lab_dir / "restarts"
    root.mkdir()
    with ExitStack() as stack:
        running = restarts.start(stack, root, domain, authority)
        first, last = running.run(TIMES)
        print(first.rows(last, TIMES))
    assert running.failed == []
    assert running.served == 6 * TIMES
    assert first.grown(last, TIMES) == []
    running.gateway.check_log()


def test_growth_is_seen():
    before = restarts.Figures(7, 40_000, 30_000, 224, 16, 15_000, 2, 0)
    after = restarts.Figures(8, 41_000, 30_036, 224, 16, 99_000, 3, 1)
    assert before.grown(before, 200) == []
    assert before.grown(after, 200) == ["parent_descriptors", "system_v", "files", "parent_rss"]
    own = replace(before, parent_anonymous=30_721)
    assert before.grown(own, 200) == ["parent_anonymous"]
