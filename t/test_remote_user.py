# SPDX-License-Identifier: Apache-2.0
"""EasKcdRemoteUser: what REMOTE_USER is, and the variables with a user's names."""

import subprocess

import pytest

from lab.ad import CAS1, PASSWORDS, REALM, UPN_SUFFIX, Account
from lab.exchange import DOMAINS, location
from lab.frontdoor import Visitor
from lab.gateway import MODULES
from lab.mit import write_krb5_conf
from lab.unique import unique_number, unique_path

BOB = {"principal": f"bob@{REALM}", "account": "bob", "upn": f"bob.builder@{UPN_SUFFIX}"}
KINDS = pytest.mark.parametrize("kind", BOB)
NO_AUTH_DATA = 0x2000000        # the KDC puts no PAC into the account's tickets
REFUSES = "AH01631"
OTHER = "OTHER.EXAMPLE.TEST"


@pytest.fixture
def named(gateway, backends):
    """named(kind, *lines): a gateway, and the backend that echoes the user whom it sees."""
    cas1 = backends("cas1")

    def start(kind, *lines, require="Require valid-user", **options):
        lines = (*([f"EasKcdRemoteUser {kind}"] if kind else []), *lines)
        return gateway(DOMAINS + location(cas1.url, *lines, require=require), reuse=True,
                       **options), cas1
    return start


def check_names(entry, kind):
    assert entry["user"] == BOB[kind]
    assert entry["EAS_KCD_USER"] == BOB["principal"]
    assert entry["EAS_KCD_ACCOUNT"] == BOB["account"]
    assert entry["EAS_KCD_UPN"] == BOB["upn"]


@pytest.mark.smoke
@KINDS
def test_remote_user(named, kind):
    """Whatever the log has, the backend gets bob's ticket."""
    gw, _ = named(kind)
    for how in ("basic", "cached"):
        path = unique_path("/eas")
        answer = gw.get(path, r"CORP\bob", PASSWORDS["bob"])
        assert answer.json()["remote_user"] == f"bob@{REALM}"
        entry = gw.logged(path)
        check_names(entry, kind)
        assert entry["EAS_KCD_AUTH"] in (how, "cached")     # another test may have come before


def test_default(named):
    gw, _ = named(None)
    path = unique_path("/eas")
    assert gw.get(path, "bob", PASSWORDS["bob"]).status == 200
    check_names(gw.logged(path), "principal")


@KINDS
def test_session(named, kind):
    """Its evidence is there in every process, also after a reload."""
    gw, _ = named(kind)
    visitor = Visitor(gw)
    assert visitor.log_on("bob", PASSWORDS["bob"]).status == 303
    for _ in range(2):
        path = unique_path("/eas")
        assert visitor.get(path).json()["remote_user"] == f"bob@{REALM}"
        check_names(gw.logged(path), kind)
        gw.graceful()


@KINDS
def test_require_user(named, kind):
    gw, cas1 = named(kind, require=f"Require user {BOB[kind]}")
    gw.expect("EAS1063", REFUSES)
    assert gw.get("/eas/x", "bob", PASSWORDS["bob"]).status == 200
    path = unique_path("/eas")
    assert gw.get(path, "alice", PASSWORDS["alice"]).status == 403
    assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1063"
    assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}


@KINDS
def test_user_of_the_query(named, kind):
    """Require eas-user-match compares with the principal, whatever REMOTE_USER is."""
    gw, _ = named(kind, "EasKcdParseEas On",
                  require="<RequireAll>\nRequire valid-user\nRequire eas-user-match\n</RequireAll>")
    for name in (r"CORP\bob", f"bob@{REALM}"):
        query = f"Cmd=Sync&User={name}&DeviceId=A1&DeviceType=iPhone".replace("\\", "%5C")
        assert gw.post(f"/eas/x?{query}", b"", f"bob.builder@{UPN_SUFFIX}",
                       PASSWORDS["bob"]).status == 200


@KINDS
def test_basic_authentication_of_httpd(gateway, backends, kind):
    gw = gateway(f"""
<Location "/eas">
    AuthType Basic
    AuthName "Plain"
    AuthBasicProvider kdc
    Require valid-user
    EasKcdRemoteUser {kind}
    EasKcdDelegate On
    ProxyPass "{backends("cas1").url}"
</Location>
""", reuse=True)
    path = unique_path("/eas")
    assert gw.get(path, "bob", PASSWORDS["bob"]).json()["remote_user"] == f"bob@{REALM}"
    check_names(gw.logged(path), kind)


@pytest.mark.parametrize("kind", ["account", "upn"])
def test_user_of_a_file(named, lab_dir, kind):
    """A file's alice is not AD's: no name is made up."""
    htpasswd = lab_dir / f"htpasswd-{unique_number()}"
    htpasswd.write_text(subprocess.run(["htpasswd", "-nbB", "-C", "4", "alice", "File-1"],
                                       check=True, text=True, stdout=subprocess.PIPE).stdout)
    htpasswd.chmod(0o644)
    gw, cas1 = named(kind, f"AuthUserFile {htpasswd}\n</Location>\n"
                     "EasKcdPasswordProvider file\n<Location /eas>",
                     modules=(*MODULES[:-1], "authn_file", MODULES[-1]))
    gw.expect("EAS1319")
    path = unique_path("/eas")
    assert gw.get(path, "alice", "File-1").status == 403
    entry = gw.logged(path)
    assert (entry["user"], entry["EAS_KCD_ERROR"]) == ("-", "EAS1319")
    assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}


@pytest.fixture
def without_pac(domain):
    """The name of a gateway's account whose tickets have no PAC."""
    name = f"nopac{unique_number()}"
    domain.add(Account(name, "No-groups-1", spns=(f"HTTP/{name}.corp.example.test",),
                       flags=NO_AUTH_DATA, delegate_to=(CAS1,)))
    return name


@pytest.mark.parametrize("kind", ["account", "upn"])
def test_tickets_without_a_pac(named, without_pac, kind):
    """Nobody's name is known then: no user is let in under another one."""
    gw, cas1 = named(kind, account=without_pac)
    gw.expect("EAS1317")
    path = unique_path("/eas")
    answer = gw.get(path, "alice", PASSWORDS["alice"])
    assert (answer.status, answer.header("Retry-After")) == (503, "30")
    entry = gw.logged(path)
    assert (entry["user"], entry["EAS_KCD_ERROR"]) == ("-", "EAS1317")
    assert "NO_AUTH_DATA_REQUIRED" in gw.error_log.text()
    assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}


def test_principal_without_a_pac(gateway, ok_backend, without_pac):
    """The default needs none."""
    gw = gateway(location(ok_backend.url, "EasKcdDelegate Off"), account=without_pac)
    path = unique_path("/eas")
    assert gw.get(path, "alice", PASSWORDS["alice"]).status == 200
    entry = gw.logged(path)
    assert entry["user"] == f"alice@{REALM}"
    assert (entry["EAS_KCD_ACCOUNT"], entry["EAS_KCD_UPN"]) == ("-", "-")


def test_user_to_act_for(named):
    """The names are those of the user of EAS_KCD_USER, or there are none."""
    gw, _ = named("account", f"EasKcdDelegateUser carol@{REALM}\nEasKcdProtocolTransition On",
                  account="gateway2")
    path = unique_path("/eas")
    assert gw.get(path, "bob", PASSWORDS["bob"]).json()["remote_user"] == f"carol@{REALM}"
    entry = gw.logged(path)
    assert (entry["user"], entry["EAS_KCD_USER"]) == ("bob", f"carol@{REALM}")
    assert (entry["EAS_KCD_ACCOUNT"], entry["EAS_KCD_UPN"]) == ("-", "-")


@pytest.mark.parametrize("kind,realms,warns", [("account", (REALM, OTHER), True),
                                               ("account", (REALM,), False),
                                               ("upn", (REALM, OTHER), False)])
def test_accounts_of_two_realms(gateway, lab_dir, kind, realms, warns):
    """Both realms may have an alice."""
    conf = write_krb5_conf(lab_dir / f"krb5-{unique_number()}.conf", {REALM: 1, OTHER: 1})
    domains = "".join(f"EasKcdDomain D{n} {realm}\n" for n, realm in enumerate(realms))
    code, said = gateway(f"{domains}EasKcdRemoteUser {kind}\n", krb5_conf=conf,
                         start=False).check_config()
    assert code == 0, said
    assert ("EAS3120" in said) == warns
    assert ("httpd.conf:" in said and OTHER in said) == warns


def test_accounts_of_two_realms_in_a_virtual_host(gateway, lab_dir):
    """The virtual host has its realm, and the setting of the main server."""
    conf = write_krb5_conf(lab_dir / f"krb5-{unique_number()}.conf", {REALM: 1, OTHER: 1})
    code, said = gateway(f"EasKcdRemoteUser account\n<VirtualHost *:1>\nEasKcdDomain D {OTHER}\n"
                         "</VirtualHost>\n", krb5_conf=conf, start=False).check_config()
    assert code == 0, said
    assert "EAS3120" in said and OTHER in said
