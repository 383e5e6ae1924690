# SPDX-License-Identifier: Apache-2.0
"""Two forests of Active Directory with a trust: users of both at a gateway of one."""

from contextlib import closing

import pytest

from lab.ad import SENSITIVE, Account, Domain
from lab.client import assert_unavailable
from lab.exchange import both_tokens, location
from lab.mit import write_krb5_conf
from lab.unique import unique_path

EAST = "EAST.EXAMPLE.TEST"
OURS = f"EasKcdDomain EAST {EAST}\n"
THEIRS = "HTTP/mail.east.example.test"
PASSWORD = {"erna": "East-of-here-1", "esther": "Not-to-be-sent-2"}


class East(Domain):
    realm = EAST
    netbios = "EAST"


@pytest.fixture(scope="module")
def east(lab_dir, domain):
    accounts = (Account("erna", PASSWORD["erna"]),
                Account("esther", PASSWORD["esther"], flags=SENSITIVE),
                Account("mailer", "Mailbox-of-the-east-3", spns=(THEIRS,)))
    with closing(East(lab_dir / "east", accounts)) as made:
        made.create()
        domain.trust(made)
        yield made


@pytest.fixture
def start(gateway, backends, domain, east, lab_dir):
    """start(conf, line, ...): a gateway of the lab's domain, which reaches the KDCs of both."""
    conf_of_both = write_krb5_conf(lab_dir / "forests.conf",
                                   {domain.realm: domain.port, EAST: east.port})

    def make(conf=OURS, *lines, **options):
        return gateway(conf + location(backends("cas1").url, *lines), krb5_conf=conf_of_both,
                       **options)
    return make


def refused(gw, backends, tag, typed, user, password=None):
    path = unique_path("/eas")
    answer = gw.get(path, typed, password or PASSWORD[user])
    assert gw.logged(path)["EAS_KCD_ERROR"] == tag
    assert backends("cas1", mark=False).requests() == []
    return answer


@both_tokens
@pytest.mark.parametrize("typed", [f"erna@{EAST}", r"EAST\erna", "erna@east.example.test"])
def test_user_of_the_other_forest(start, typed):
    """The last name is referred by our KDC, as a UPN."""
    answer = start().get("/eas", typed, PASSWORD["erna"])
    assert answer.status == 200
    assert answer.json()["remote_user"] == f"erna@{EAST}"


def test_wrong_password_is_one_failure(start, backends, east):
    east.lockout_policy(10)
    try:
        assert refused(start(), backends, "EAS1030", r"EAST\erna", "erna", "wrong").status == 401
        assert east.bad_pwd_count("erna") == 1
    finally:
        east.lockout_policy(0)


def test_forest_that_is_not_ours(start, backends):
    assert refused(start(""), backends, "EAS1007", f"erna@{EAST}", "erna").status == 401


def test_sensitive_user_of_the_other_forest(start, backends):
    gw = start()
    gw.expect("EAS2030")
    assert refused(gw, backends, "EAS2030", r"EAST\esther", "esther").status == 403


def test_service_of_the_other_forest(start, backends, east):
    gw = start(OURS, f"EasKcdSPN {THEIRS}")
    gw.expect("EAS2035")
    assert_unavailable(refused(gw, backends, "EAS2035", r"EAST\erna", "erna"))
    assert f"{THEIRS} is a service of the realm {EAST}" in gw.error_log.text()


@pytest.mark.newer_ad("Samba 4.17 knows no resource-based delegation")
def test_resource_of_the_other_forest(start, backends, domain, east):
    """Samba issues no delegated ticket across realms, which AD does."""
    east.allow_to_act("mailer", [domain.sid("gateway")])
    gw = start(OURS, f"EasKcdSPN {THEIRS}")
    gw.expect("EAS2035")
    assert_unavailable(refused(gw, backends, "EAS2035", r"EAST\erna", "erna"))
