# SPDX-License-Identifier: Apache-2.0
"""A short run of soak.py; the long one is a program of its own."""

import pytest

import soak
from lab.ad import PASSWORDS

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def running(domain, authority, lab_dir):
    root = lab_dir / "soak"
    root.mkdir()
    users = [[name, PASSWORDS[name]] for name in (f"user{n:02}" for n in range(1, 21))]
    made = soak.Soak(root, domain, authority, users)
    yield made
    made.close()


def test_no_user_is_served_as_another(running):
    run = running.run("event", requests=1_000_000, seconds=14, restart_every=5)
    print(run.figures())
    assert run.mismatched == 0
    assert run.requests > 1000 and run.restarts >= 2 and run.aborted > 0
    assert run.tags["EAS2050"] == 0
    assert run.served() > 0.98
    assert run.backend_connections < run.backend_requests / 2, "hardly a connection was reused"


def test_no_user_is_served_as_another_without_the_veto(running):
    run = running.run("event", requests=1_000_000, seconds=8, veto=False, restart_every=60)
    print(run.figures())
    assert run.mismatched == 0
    assert run.requests > 1000
    assert run.tags["EAS2050"] > 0, "the last line of defence was not needed"
