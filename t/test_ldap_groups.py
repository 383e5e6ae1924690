# SPDX-License-Identifier: Apache-2.0
"""mod_authnz_ldap's groups beside ours: it finds users by the account's name."""

import signal
import subprocess

import pytest

from lab.ad import PASSWORDS
from lab.examples import block_with
from lab.exchange import DOMAINS, location
from lab.gateway import MODULES
from lab.unique import unique_path
from lab.wait import Daemon, answers, free_port

BASE = "dc=corp,dc=example,dc=test"
CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {path}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw lab
directory {path}
"""
ENTRIES = """
dn: {base}
changetype: add
objectClass: dcObject
objectClass: organization
dc: corp
o: corp

dn: cn=bob,{base}
changetype: add
objectClass: inetOrgPerson
cn: bob
sn: Builder
uid: bob
mail: bob.builder@mail.example.test

dn: cn=mail,{base}
changetype: add
objectClass: groupOfNames
cn: mail
member: cn=bob,{base}

dn: cn=outer,{base}
changetype: add
objectClass: groupOfNames
cn: outer
member: cn=mail,{base}
"""


@pytest.fixture(scope="module")
def server(lab_dir):
    """An LDAP server: bob is in the group mail, under his account's name and his UPN. That group is
    in another."""
    path, port = lab_dir / "ldap", free_port()
    path.mkdir()
    (path / "slapd.conf").write_text(CONF.format(path=path, base=BASE))
    url = f"ldap://127.0.0.1:{port}"
    slapd = Daemon("slapd", ["/usr/sbin/slapd", "-d", "0", "-h", url, "-f", str(path / "slapd.conf")],
                   path / "slapd.log")
    slapd.start(lambda: answers(port))
    subprocess.run(["ldapmodify", "-x", "-H", url, "-D", f"cn=admin,{BASE}", "-w", "lab"],
                   input=ENTRIES.format(base=BASE), text=True, check=True,
                   stdout=subprocess.DEVNULL)
    yield url, slapd
    slapd.stop()


@pytest.fixture
def directory(server):
    return server[0]


@pytest.mark.parametrize("kind,attribute,status", [("account", "uid", 200), ("upn", "mail", 200),
                                                   ("principal", "uid", 403)])
def test_ldap_group(gateway, backends, domain, directory, kind, attribute, status):
    """bob's UPN is not his account's name and realm: with the principal, no directory finds him."""
    cas1 = backends("cas1")
    require = ("<RequireAll>\nRequire valid-user\nRequire eas-group \"Domain Users\"\n"
               f"Require ldap-group cn=mail,{BASE}\n</RequireAll>")
    gw = gateway(DOMAINS + location(
        cas1.url, f"EasKcdRemoteUser {kind}", f'AuthLDAPURL "{directory}/{BASE}?{attribute}"',
        require=require), modules=(*MODULES, "ldap", "authnz_ldap"))
    gw.allow("AH01631", "EAS1063", because="httpd and the module report a refusal")
    for user, wanted in (("bob", status), ("alice", 403)):
        path = unique_path("/eas")
        assert gw.get(path, user, PASSWORDS[user]).status == wanted
        if wanted == 403:
            assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1063"
            assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}


RECIPE = block_with("AuthLDAPSubGroupClass")


@pytest.mark.parametrize("nested", [True, False])
def test_recipe(gateway, backends, server, nested):
    """The page's section. Nested groups count where the class is that of the directory's groups."""
    url, slapd = server
    cas1 = backends("cas1")
    block = RECIPE
    for text, instead in {
            "https://cas1.corp.example.com/ecp": cas1.url, "ldaps://dc1.corp.example.com": url,
            "CN=Mail users,OU=Groups,DC=corp,DC=example,DC=com": f"cn=outer,{BASE}",
            "DC=corp,DC=example,DC=com": BASE, "sAMAccountName": "uid", "CORP\\ldap-reader": f"cn=admin,{BASE}",
            "SubGroupClass group": f"SubGroupClass {'groupOfNames' if nested else 'group'}",
            "exec:/bin/cat /etc/eas-kcd/ldap-password": "lab"}.items():
        assert text in block, text
        block = block.replace(text, instead)
    gw = gateway(DOMAINS + block, modules=(*MODULES, "ldap", "authnz_ldap"))
    gw.allow("AH01631", "EAS1063", "AH01697", "AH01717", because="refusals, and the directory's end")

    def status(user):
        path = unique_path("/ecp")
        answer = gw.get(path, user, PASSWORDS[user]).status
        if answer != 200:
            assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1063"
            assert not any(path.removeprefix("/ecp") in entry["uri"] for entry in cas1.requests())
        return answer
    assert (status("bob"), status("alice")) == (200 if nested else 403, 403)
    if nested:
        slapd.signal(signal.SIGKILL)
        slapd.process.wait(10)
        gw.graceful()       # its memory of the answers ends
        assert status("bob") == 403
        slapd.start(lambda: answers(int(url.rpartition(":")[2])))
