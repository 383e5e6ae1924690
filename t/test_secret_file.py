# SPDX-License-Identifier: Apache-2.0
"""EasKcdSecretFile and EasKcdCache: what is refused at start-up, and how secrets are rotated."""

import os
import re
from functools import partial

import pytest

from lab import sessions
from lab.ad import PASSWORDS
from lab.exchange import location
from lab.frontdoor import Visitor
from lab.gateway import MODULES
from lab.sessions import OWA, at, log_on, served
from lab.unique import unique_number

refused = partial(sessions.refused, keep=True)


def refused_at_start(gw, tag, *words):
    """By httpd -t already, in words that say what to do, and with the line of the configuration."""
    status, said = gw.check_config()
    assert status != 0
    for text in (said, gw.refusal()):
        assert re.search(rf"{tag}: .* \({re.escape(str(gw.conf_file))}:\d+\)$", text, re.MULTILINE)
        for word in words:
            assert word in text


@pytest.mark.parametrize("content,mode,tag,word", [
    (b"x" * 31, 0o600, "EAS1142", "openssl rand"),
    (b"", 0o600, "EAS1142", "openssl rand"),
    (os.urandom(5000), 0o600, "EAS3020", "openssl rand"),
    (os.urandom(48), 0o604, "EAS3021", "chmod 600"),
    (os.urandom(48), 0o602, "EAS3021", "chmod 600"),
    (os.urandom(48), 0o620, "EAS3021", "chmod 600"),
], ids=["short", "empty", "long", "world-readable", "world-writable", "group-writable"])
def test_secrets_that_are_refused(gateway, secret, content, mode, tag, word):
    path = secret(content=content, mode=mode)
    refused_at_start(gateway(f'EasKcdSecretFile "{path}"\n', start=False), tag, word)


@pytest.mark.smoke
def test_missing_secret(gateway, lab_dir):
    gw = gateway(f'EasKcdSecretFile "{lab_dir}/there-is-none"\n', start=False)
    refused_at_start(gw, "EAS3020", "there-is-none", "No such file", "openssl rand")


def test_the_same_secret_twice(gateway, secret):
    path = secret()
    refused_at_start(gateway(f'EasKcdSecretFile "{path}" "{path}"\n', start=False), "EAS1144")


def test_second_secret_is_judged_too(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}" "{secret(content=b"short")}"\n', start=False)
    refused_at_start(gw, "EAS1142", "number 2")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_secret_for_root_alone(gateway, secret, mailbox, mode):
    gw = gateway(f'EasKcdSecretFile "{secret(mode=mode)}"\n' + location(mailbox.url, path=OWA))
    served(log_on(gw))


def test_shared_cache_without_a_secret(gateway):
    gw = gateway("EasKcdCache redis:127.0.0.1:1\n", start=False,
                 modules=(*MODULES, "socache_redis"))
    refused_at_start(gw, "EAS3023", "EasKcdSecretFile")


def test_unknown_cache(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache nowhere:1\n', start=False)
    refused_at_start(gw, "EAS3022", "socache_nowhere")


def test_cache_whose_module_is_missing(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache redis:127.0.0.1:1\n', start=False)
    refused_at_start(gw, "EAS3022", "a2enmod socache_redis")


def test_cache_without_its_arguments(gateway, secret):
    gw = gateway(f'EasKcdSecretFile "{secret()}"\nEasKcdCache redis\n', start=False,
                 modules=(*MODULES, "socache_redis"))
    refused_at_start(gw, "EAS3024")


def test_secret_is_read_by_root_and_kept_from_children(gateway, secret, mailbox):
    """0600 root: the children could not read it, and need not."""
    path = secret()
    gw = gateway(f'EasKcdSecretFile "{path}"\n' + location(mailbox.url, path=OWA))
    alice = log_on(gw)
    path.unlink()
    served(alice)


# --- rotation --------------------------------------------------------------------------------

@pytest.fixture
def rotating(gateway, mailbox, lab_dir):
    """A gateway whose secrets can be changed: rotating(path, …) restarts it gracefully."""
    include = lab_dir / f"secrets-{unique_number()}.conf"
    made = []

    def use(*paths):
        include.write_text("EasKcdSecretFile " + " ".join(f'"{path}"' for path in paths) + "\n")
        if made:
            made[0].graceful()
        else:
            made.append(gateway(f'Include "{include}"\n' + location(mailbox.url, path=OWA)))
        return made[0]
    return use


def test_secrets_are_rotated_without_a_log_on(rotating, mailbox, secret):
    old, new = secret("old"), secret("new")
    gw = rotating(old)
    alice, bob = log_on(gw), log_on(gw, "bob")
    gone = at(gw, bob)
    bob.sign_out()
    before = Visitor(gw)
    fields = before.fields()
    rotating(new, old)
    for _ in range(6):      # evidence and revocations have the older secret's names
        served(alice)
        refused(mailbox, at(gw, gone))
    late = before.submit(fields | {"username": "bob", "password": PASSWORDS["bob"],
                                   "destination": "/", "trusted": "0"})
    assert late.status == 303       # the form was fetched before the rotation
    served(before, "bob")
    fresh = log_on(gw)
    ended = log_on(gw)
    over = at(gw, ended)
    ended.sign_out()
    rotating(new)
    for _ in range(4):
        refused(mailbox, at(gw, alice))
        refused(mailbox, at(gw, gone))
        refused(mailbox, at(gw, over))
        served(fresh)
        served(before, "bob")


def test_gateways_are_rotated_one_by_one(gateway, mailbox, secret, redis):
    """While one has {new old} and the other still {old}, what the latter seals opens here."""
    old, new = secret("old"), secret("new")
    rest = (f"EasKcdCache redis:127.0.0.1:{redis.port}\n" + location(mailbox.url, path=OWA))
    gws = [gateway(f"EasKcdSecretFile {paths}\n{rest}", processes=1,
                   modules=(*MODULES, "socache_redis"))
           for paths in (f"{old}", f"{old} {new}", f"{new} {old}")]
    alice = log_on(gws[0])
    for gw in gws[1:]:
        served(at(gw, alice))
    newest = log_on(gws[2], "bob")
    served(at(gws[1], newest), "bob")
    refused(mailbox, at(gws[0], newest))        # {old} must go on to {old new} first
    log_out = at(gws[2], alice)
    assert log_out.sign_out().status == 303
    refused(mailbox, at(gws[1], alice))
