# SPDX-License-Identifier: Apache-2.0
"""Short runs of soak.py and identities.py; the long ones are programs of their own."""

from collections import Counter
from contextlib import ExitStack

import pytest

import identities
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


# --- tokens beside passwords beside sessions -----------------------------------------------------

def test_nobody_gets_the_identity_of_another_kind(domain, authority, lab_dir):
    root = lab_dir / "identities"
    root.mkdir()
    with ExitStack() as stack:
        running = identities.Soak(stack, root, domain, authority)
        run = running.run(1000, restart_every=2)
        tags = running.gateway.error_log.tags()
    print(run.figures())
    assert identities.is_good(run, 1000) and "EAS2050" not in tags
    assert set(run.asked) == {"token", "password", "session", "session and password",
                              "token and session", "empty token", "two tokens", "none"}


def good_run():
    users = {n: Counter({f"{user}@X": 12}) for n, user in enumerate(identities.USERS)}
    return identities.Run(Counter({"token": 100}),
                          owners=users | {99: Counter({"client 0.1.1": 4})})


def test_what_is_no_good_run():
    """The checks of the soak find what they look for."""
    assert identities.is_good(good_run(), 100) and not identities.is_good(good_run(), 101)
    for spoil in (lambda run: run.mismatches.append("token: alice instead of bob"),
                  lambda run: run.owners[1].update({"client 0.1.1": 1}),
                  lambda run: run.owners[1].update({f"{identities.USERS[0]}@X": 1}),
                  lambda run: run.owners.pop(99), lambda run: run.owners.pop(3),
                  lambda run: setattr(run, "broken", 2)):
        run = good_run()
        spoil(run)
        assert not identities.is_good(run, 100)
