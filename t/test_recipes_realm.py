# SPDX-License-Identifier: Apache-2.0
"""The recipe for a realm of MIT Kerberos: its commands, run at a KDC, and the gateway after them."""

import os
import re
import subprocess

import pytest

from lab import doctor
from lab.ad import CAS1, CAS2, PASSWORDS, REALM
from lab.backend import GssBackend
from lab.client import assert_unavailable
from lab.exchange import anybody_location, location
from lab.gateway import MODULES
from lab.mit import ADMIN, BASE, MASTER, Mit
from lab.pages import RECIPES, sections
from lab.unique import unique_path

TEXT = sections(RECIPES, 1)["AN MIT KDC IN PLACE OF ACTIVE DIRECTORY"]
PRINCIPALS, DELEGATION, TRANSITION, INSTALL = re.findall(r"(?:^    .*\n)+", TEXT, re.MULTILINE)
SENSITIVE, = re.findall(r"`(kadmin.local modprinc -allow_forwardable alice)`", TEXT)


class Recipe:
    """A realm, and the recipe's commands with its names and paths."""

    def __init__(self, path, ldap):
        self.path = path
        self.mit = Mit(path / "realm", REALM, ldap).create()
        for user in ("alice", "bob"):
            self.mit.add(user, PASSWORDS[user])
        self.run(PRINCIPALS)
        self.mit.start()
        self.keytab = path / "installed/gateway.keytab"

    def run(self, commands):
        """As root in root's directory; ends at the first command that fails."""
        if "ldapmodify" in commands:
            commands = commands.replace("ldapi:///", self.mit.ldapi())
        for text, instead in {
                "cn=admin,dc=corp,dc=example,dc=com -W": f"{ADMIN} -w {MASTER}",
                "dc=corp,dc=example,dc=com": BASE, "CORP.EXAMPLE.COM": REALM,
                "example.com": "example.test", "/root/": f"{self.path}/",
                "/etc/eas-kcd/": f"{self.path}/installed/"}.items():
            commands = commands.replace(text, instead)
        commands = re.sub(r"^    ", "", commands, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-ec", commands], cwd=self.path, text=True, capture_output=True, timeout=60,
            env=os.environ | self.mit.env | {"PATH": f"{os.environ['PATH']}:/usr/sbin",
                                             "KRB5CCNAME": f"FILE:{self.path}/ccache"})
        assert done.returncode == 0, (commands, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def recipe(lab_dir):
    """All of it, but what is for users of other modules."""
    made = Recipe(lab_dir / "recipe", ldap=True)
    made.run(DELEGATION)
    installed = made.run(INSTALL)
    assert f"{CAS1}@{REALM}: kvno = " in installed
    yield made
    made.mit.close()


@pytest.fixture(scope="module")
def cas1(recipe):
    backend = GssBackend(recipe.path / "cas1", recipe.path / "cas1.keytab", recipe.mit.krb5_conf,
                         name="cas1.corp.example.test")
    backend.start()
    yield backend
    backend.stop()


@pytest.fixture
def member(gateway, recipe, cas1):
    """member(section): a gateway of the realm."""
    def start(section, **options):
        cas1.mark()
        return gateway(f'EasKcdKeytab "{recipe.keytab}"\n{section}', account=None,
                       krb5_conf=recipe.mit.krb5_conf, **options)
    return start


def refused(gw, cas1, user, password, status, tag):
    gw.expect(tag)
    path = unique_path("/eas")
    answer = gw.get(path, user, password)
    if status == 503:
        assert_unavailable(answer)
    assert answer.status == status
    assert gw.logged(path)["EAS_KCD_ERROR"] == tag
    assert cas1.requests() == []


def test_password(member, recipe, cas1):
    assert recipe.keytab.stat().st_mode & 0o777 == 0o600
    gw = member(location(cas1.url))
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.json()["remote_user"]) == (200, f"alice@{REALM}")
    assert gw.get("/eas", "bob", "wrong").status == 401


def test_user_who_may_not_be_delegated(member, recipe, cas1):
    recipe.run(SENSITIVE)
    try:
        refused(member(location(cas1.url)), cas1, "alice", PASSWORDS["alice"], 403, "EAS2030")
    finally:
        recipe.run(SENSITIVE.replace("-allow", "+allow"))


def test_backend_that_is_not_in_the_list(member, recipe, cas1):
    recipe.mit.add(CAS2, PASSWORDS["backend2"])
    refused(member(location(cas1.url, f"EasKcdSPN {CAS2}")), cas1, "alice", PASSWORDS["alice"], 503,
            "EAS2032")
    assert findings(recipe, CAS2) == ["spn-not-allowed"]
    assert findings(recipe, CAS1) == []


def test_user_of_another_module(member, recipe, cas1):
    """Not before ok_to_auth_as_delegate."""
    section = anybody_location(cas1.url, "EasKcdProtocolTransition On")
    modules = (*MODULES, "authn_anon")
    refused(member(section, modules=modules), cas1, f"bob@{REALM}", "x", 503, "EAS2031")
    recipe.run(TRANSITION)
    answer = member(section, modules=modules).get("/eas", f"bob@{REALM}", "x")
    assert (answer.status, answer.json()["remote_user"]) == (200, f"bob@{REALM}")


def test_ktadd_again(member, recipe, cas1):
    """Between the new key and the new file, nobody can log on; the file has both keys."""
    recipe.run(next(line for line in PRINCIPALS.splitlines() if "ktadd" in line))
    refused(member(location(cas1.url)), cas1, "alice", PASSWORDS["alice"], 503, "EAS1043")
    recipe.run(INSTALL)
    kvnos = {line.split()[0] for line in recipe.run(f"klist -k {recipe.keytab}").splitlines()[3:]}
    assert len(kvnos) == 2
    assert member(location(cas1.url)).get("/eas", "alice", PASSWORDS["alice"]).status == 200


def findings(recipe, spn):
    return doctor.report(["-k", recipe.path / "gateway.keytab", "-u", "alice", "-s", spn,
                          "--password", "--httpd-user", "root"], recipe.mit.krb5_conf,
                         password=PASSWORDS["alice"]).findings


def test_db2(lab_dir):
    """The KDC's default database: the doctor's finding. EAS2032: test_realms.py."""
    made = Recipe(lab_dir / "recipe-db2", ldap=False)
    try:
        assert findings(made, CAS1) == ["spn-not-allowed"]
    finally:
        made.mit.close()
