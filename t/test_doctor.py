# SPDX-License-Identifier: Apache-2.0
"""eas-kcd-check names each misconfiguration that is made on purpose."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import unicodedata
from contextlib import closing

import gssapi
import pytest

from lab import doctor, idle, krbmsg
from lab.ad import (AES_ONLY, CAS1, CAS2, CAS3, DISABLED, LONG_AGO, PASSWORDS, REALM,
                    SMARTCARD_REQUIRED, TRUSTED_TO_AUTH, UPN_SUFFIX, Account, Domain)
from lab.fake_backend import always_401, response
from lab.dns import NameServer, resolv_conf, using
from lab.exchange import location
from lab.httpd import BINARY, _faketime
from lab.kerberos import kinit
from lab.mit import write_krb5_conf
from lab.relay import Relay
from lab.simulated import damaged
from lab.unique import unique_number
from lab.wait import free_port, until

PASSWORD = "Doctors-gateway-1"


@pytest.fixture
def account(domain):
    """A gateway's account of this test, which may do protocol transition and delegate to cas1."""
    name = f"doctor{unique_number()}"
    domain.add(Account(name, PASSWORD, spns=(f"HTTP/{name}.corp.example.test",),
                       flags=TRUSTED_TO_AUTH, delegate_to=(CAS1,)))
    return name


@pytest.fixture
def keytab(domain, account, lab_dir):
    return domain.export_keytab(lab_dir / f"{account}.keytab", [account])


@pytest.fixture
def user(domain):
    """A user of this test."""
    name = f"patient{unique_number()}"
    domain.add_user(name, PASSWORDS["alice"])
    return name


@pytest.fixture
def check(domain, keytab):
    """check(…): the report about alice, cas1 and this test's account."""
    def run(*args, user="alice", spns=(CAS1,), transition=True, krb5_conf=domain.krb5_conf,
            keytab=keytab, **more):
        given = [word for spn in spns for word in ("-s", spn)]
        return doctor.report(["-k", keytab, "-u", user, *given,
                              *(["--transition"] if transition else []), *args],
                             krb5_conf, **more)
    return run


def dn(name):
    return f"CN={name},CN=Users,DC=" + REALM.lower().replace(".", ",DC=")


# --- the whole walk --------------------------------------------------------------------------

def test_all_is_well(check, account):
    report = check()
    assert report.findings == [] and report.status == 0
    assert [step["step"] for step in report.steps] == [
        "keytab", "krb5.conf", "httpd's user", "KDCs", "KDC", "clock", "log-on", "ticket for itself", "user",
        "S4U2Self", "S4U2Proxy"]
    assert {step["verdict"] for step in report.steps} == {"passed"}
    detail = report.step("keytab")["detail"]
    assert f"{account}@{REALM}, " in detail and "kvno 1 (aes256-cts-hmac-sha1-96)" in detail
    assert f"alice@{REALM}" in report.step("S4U2Self")["detail"]
    assert re.fullmatch(r"kvno \d+ \(aes256-cts-hmac-sha1-96\)", report.step("S4U2Proxy")["detail"])


def test_user_by_upn(check):
    detail = check(user="bob.builder@mail.example.test").step("S4U2Self")["detail"]
    assert detail == f"bob@{REALM}, account bob, UPN bob.builder@mail.example.test, forwardable"


def test_text(domain, keytab, account):
    done = doctor.run(["-k", keytab, "-u", "alice", "-s", CAS1, "-s", CAS2], domain.krb5_conf)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"✓ keytab {keytab} (")
    at = next(n for n, line in enumerate(lines) if line.startswith(f"✗ S4U2Proxy {CAS2} ("))
    assert lines[at + 1].startswith(f"      [spn-not-allowed] {account} may not delegate to {CAS2}")
    assert lines[at + 2:at + 4] == [
        f"      PowerShell: Set-ADUser {account} -Add @{{'msDS-AllowedToDelegateTo'='{CAS2}'}}",
        f"      Samba: samba-tool delegation add-service {account} {CAS2}"]
    assert lines[-1] == "10 passed, 1 with a warning, 1 failed, 0 skipped"


@pytest.mark.parametrize("name, shown", [
    (b"al\xffice", "al?ice"), (b"\xc3", "?"), (b"a\xcc\x81\xe2\x80\x93\xf0\x9f\x93\xa7", "á–📧"),
    (b"\xc2\x9b2J\x1b[2J\x7f", "??2J?[2J?"), (b"\xed\xa0\x80\xc0\xaf", "?????")])
def test_names_that_are_no_text(check, name, shown):
    """JSON is UTF-8, and a terminal is not to be steered."""
    report = check(user=os.fsdecode(name))
    assert report.step("user")["subject"] == unicodedata.normalize("NFD", shown)


@pytest.mark.parametrize("args", [
    [], ["-k", "x"], ["-k", "x", "-u", "alice"], ["-u", "alice", "-s", CAS1],
    ["-k", "x", "-u", "alice", "-s", "cas1"], ["-k", "x", "-u", "alice", "-s", "HTTP/%h"],
    ["-k", "x", "-u", "alice", "-s", CAS1, "--no-such"],
    ["-k", "x", "-u", "alice", "-s", CAS1, "more"],
    ["-k", "x", "-u", "alice", "-s", CAS1, "--timeout", "0"],
    ["-k", "x", "-u", "alice", "-s", CAS1, "-d", "CORP"],
    ["-k", "x", "-c", "y", "-u", "alice"],
    ["-c", "y", "-u", "alice", "-s", CAS1],
    ["-c", "y", "-u", "alice", "-p", "gateway"],
    ["-k", "x", "-u", "alice", "-s", CAS1, "--ca-file", "/nonexistent.pem"],
    ["-k", "x", "-u", "alice", "-s", CAS1, "--connect", "cas1"],
])
def test_wrong_usage(domain, args):
    done = doctor.run(args, domain.krb5_conf)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr


def test_help_and_version(domain):
    done = doctor.run(["--help"], domain.krb5_conf)
    assert done.returncode == 0 and done.stdout.startswith("Usage: eas-kcd-check -k KEYTAB")
    done = doctor.run(["--version"], domain.krb5_conf)
    assert done.returncode == 0 and re.fullmatch(r"eas-kcd-check \d+\.\d+\.\d+\n", done.stdout)


# --- the machine -----------------------------------------------------------------------------

def test_keytab_unreadable(check, lab_dir):
    report = check(keytab=lab_dir / "no-such.keytab")
    assert report.findings == ["keytab-unreadable"] and report.status == 1


def test_keytab_is_none(check, domain):
    assert check(keytab=domain.krb5_conf).findings == ["keytab-unreadable"]


def test_keytab_exposed(check, keytab):
    keytab.chmod(0o644)
    assert check().findings == ["keytab-exposed"]


def test_keytab_without_the_principal(check):
    assert check("-p", f"other@{REALM}").findings == ["keytab-no-entry"]


def test_krb5_conf_missing(check, lab_dir):
    """libkrb5 takes it for an empty one."""
    report = check(krb5_conf=lab_dir / "no-such-krb5.conf")
    assert report.findings == ["krb5-conf"] and report.status == 1


def test_krb5_conf_broken(check, lab_dir):
    broken = lab_dir / f"broken-{unique_number()}.conf"
    broken.write_text("[libdefaults]\n    default_realm = {\n[realms\n")
    assert "krb5-conf" in check(krb5_conf=broken).findings


def test_krb5_conf_is_for_root_alone(check, domain, lab_dir):
    conf = lab_dir / f"root-{unique_number()}.conf"
    conf.write_text(domain.krb5_conf.read_text())
    conf.chmod(0o600)
    report = check(krb5_conf=conf)
    assert report.findings == ["krb5-conf"] and report.status == 1
    assert report.step("httpd's user", "www-data")["verdict"] == "failed"
    assert check("--httpd-user", "root", krb5_conf=conf).status == 0


def test_no_default_realm(check, domain, lab_dir):
    conf = lab_dir / f"no-realm-{unique_number()}.conf"
    conf.write_text(re.sub("default_realm.*", "", domain.krb5_conf.read_text()))
    assert check(krb5_conf=conf).findings == ["no-realm"]
    assert check("-r", REALM, krb5_conf=conf).status == 0


def test_no_aes(check, domain, lab_dir):
    conf = domain.write_krb5_conf(lab_dir / f"no-aes-{unique_number()}.conf", domain.port,
                                  "permitted_enctypes = arcfour-hmac")
    assert check(krb5_conf=conf).findings == ["no-aes"]


def two_kdcs(lab_dir, *ports):
    """A krb5.conf with several KDCs."""
    path = Domain.write_krb5_conf(lab_dir / f"kdcs-{unique_number()}.conf", ports[0])
    path.write_text(path.read_text().replace(
        f"kdc = 127.0.0.1:{ports[0]}", "\n".join(f"kdc = 127.0.0.1:{port}" for port in ports)))
    return path


@pytest.mark.parametrize("how", [Relay.refuse, Relay.drop, Relay.blackhole, Relay.garbage,
                                 Relay.close], ids=lambda how: how.__name__)
def test_one_kdc_of_two_is_down(check, domain, relay, lab_dir, how):
    how(relay)
    report = check("--timeout", "1500ms", krb5_conf=two_kdcs(lab_dir, relay.port, domain.port))
    assert report.findings == ["kdc-down"] and report.status == 1
    assert report.step("KDC", f"[127.0.0.1]:{relay.port}")["verdict"] == "failed"
    assert report.step("S4U2Proxy")["verdict"] == "passed"


def test_all_kdcs_are_down(check, relay):
    relay.refuse()
    assert check(krb5_conf=relay.krb5_conf).findings == ["kdc-down", "kdc-all-down",
                                                         "kdc-all-down"]


def test_slow_kdc(check, relay):
    relay.delay(1.1)
    report = check(krb5_conf=relay.krb5_conf)
    assert report.findings == ["kdc-slow"] and report.status == 0


def test_no_kdc_named(check, domain, lab_dir):
    conf = lab_dir / f"no-kdc-{unique_number()}.conf"
    conf.write_text(re.sub(r"\[realms\].*?}", "", domain.krb5_conf.read_text(), flags=re.DOTALL))
    assert check(krb5_conf=conf).findings == ["kdc-none", "kdc-none", "kdc-all-down"]


def test_name_server_is_silent(check, domain, lab_dir):
    server = NameServer("127.5.3.1")
    server.silent = True
    conf = lab_dir / f"dns-{unique_number()}.conf"
    conf.write_text(re.sub(r"kdc = .*", "kdc = dc1.corp.example.test", domain.krb5_conf.read_text()))
    resolver = resolv_conf(lab_dir / f"resolv-{unique_number()}.conf", [server])
    report = check("--timeout", "1s", krb5_conf=conf, within=using(resolver, []))
    server.stop()
    assert report.findings == ["dns", "dns", "dns"]


@pytest.mark.parametrize("offset, findings", [("+2m", ["clock-drift"]), ("+10m", ["clock", "clock"]),
                                              ("-10m", ["clock", "clock"])])
def test_clock(check, lab_dir, offset, findings):
    clock = lab_dir / f"clock-{unique_number()}"
    clock.write_text(offset + "\n")
    report = check(env=_faketime(clock))
    assert report.findings == findings
    assert report.status == (0 if findings == ["clock-drift"] else 1)


# --- the gateway's account -------------------------------------------------------------------

def test_gateway_unknown(check, domain, account, keytab):
    domain.modify(account, {"sAMAccountName": [f"{account}x"],
                            "userPrincipalName": [f"{account}x@{REALM.lower()}"]})
    assert check().findings == ["gateway-unknown"]


def test_service_name_as_principal(check, domain, account, lab_dir):
    """AD has no client of that name."""
    spn = f"HTTP/{account}.corp.example.test"
    keytab = domain.export_keytab(lab_dir / f"{account}-spn.keytab", [spn])
    assert check(keytab=keytab).findings == ["gateway-unknown"]


def test_gateway_disabled(check, domain, account, keytab):
    domain.set_flag(account, DISABLED)
    assert check().findings == ["gateway-disabled"]


def test_gateway_expired(check, domain, account, keytab):
    domain.modify(account, {"accountExpires": [str(LONG_AGO)]})
    assert check().findings == ["gateway-expired"]


def test_gateway_must_change(check, domain, account, keytab):
    domain.modify(account, {"userAccountControl": ["512"], "pwdLastSet": ["0"]})
    assert check().findings == ["gateway-must-change"]


@pytest.fixture
def lock(domain, keytab):
    """lock(account), by one wrong password."""
    def wrong_password(name):
        kinit(domain.krb5_conf, keytab.with_suffix(".ccache"), name, "wrong")
        assert domain.is_locked(name)
    domain.lockout_policy(1)
    yield wrong_password
    domain.lockout_policy(0)


def test_gateway_locked(check, domain, account, lock):
    """Samba 4.17 gives no reason; a newer one gives that of Windows."""
    lock(account)
    report = check()
    assert report.findings == [
        "gateway-locked" if domain.checks_account_first else "gateway-revoked"]
    assert report.status == 1


def test_key_has_changed(check, domain, account, keytab):
    domain.rotate_key(account)
    report = check()
    assert report.findings == ["keytab-key"]
    assert "ktpass /princ" in report.step("log-on")["powershell"]


def ktutil(*lines):
    done = subprocess.run(["ktutil"], input="\n".join([*lines, "quit"]) + "\n", text=True,
                          capture_output=True, check=True)
    return done.stdout


def test_key_of_another_account(check, domain, account, lab_dir):
    """An entry with the right name and the key of another account."""
    keytab = lab_dir / f"{account}-foreign.keytab"
    ktutil(f"addent -password -p {account}@{REALM} -k 1 -e aes256-cts-hmac-sha1-96",
           "Not-the-password", f"wkt {keytab}")
    assert check(keytab=keytab).findings == ["keytab-key"]


def test_salt_after_a_rename(check, domain, account, lab_dir):
    """A key of the right password, made with the salt of the present name."""
    name = f"{account}new"
    domain.modify(account, {"sAMAccountName": [name],
                            "userPrincipalName": [f"{name}@{REALM.lower()}"]})
    keytab = lab_dir / f"{name}.keytab"
    ktutil(f"addent -password -p {name}@{REALM} -k 1 -e aes256-cts-hmac-sha1-96", PASSWORD,
           f"wkt {keytab}")
    report = check(keytab=keytab)
    assert report.findings == ["keytab-salt"]
    assert report.step("log-on")["detail"] == f"the salt is {REALM}{account}"


def only(keytab, enctype):
    """A keytab with the entries of that type alone."""
    listed = [line.split() for line in ktutil(f"rkt {keytab}", "list -e").splitlines()]
    unwanted = [row[0] for row in listed if row and row[0].isdigit() and enctype not in row[-1]]
    made = keytab.with_suffix(f".{enctype}")
    ktutil(f"rkt {keytab}", *(f"delent {slot}" for slot in reversed(unwanted)), f"wkt {made}")
    made.chmod(0o600)
    return made


def test_keytab_with_rc4_alone(check, domain, account, keytab):
    """AD has AES keys only, since the account's encryption types say so."""
    assert domain.read(account, "msDS-SupportedEncryptionTypes") == [str(AES_ONLY)]
    report = check(keytab=only(keytab, "arcfour"))
    assert report.findings == ["keytab-rc4", "gateway-etype"] and report.status == 1


RC4_ONLY = 4                    # msDS-SupportedEncryptionTypes


def test_tickets_for_the_gateway_have_rc4(check, domain, account, keytab):
    domain.modify(account, {"msDS-SupportedEncryptionTypes": [str(RC4_ONLY)]})
    report = check()
    assert report.findings == ["own-rc4"] and report.status == 0
    assert report.step("ticket for itself")["detail"] == "kvno 1 (arcfour-hmac)"


def test_tickets_for_the_backend_have_rc4(check, domain, account):
    name = f"old{unique_number()}"
    spn = f"HTTP/{name}.corp.example.test"
    domain.add_service(name, spn)
    domain.modify(name, {"msDS-SupportedEncryptionTypes": [str(RC4_ONLY)]})
    domain.allow_delegation(account, [spn])
    report = check(spns=(spn,))
    assert report.findings == ["backend-rc4"] and report.status == 0


def test_tickets_for_the_backend_have_no_common_type(check, domain, account, lab_dir):
    """Its account has RC4 alone, and krb5.conf permits AES alone."""
    name = f"old{unique_number()}"
    spn = f"HTTP/{name}.corp.example.test"
    domain.add_service(name, spn)
    domain.modify(name, {"msDS-SupportedEncryptionTypes": [str(RC4_ONLY)]})
    domain.allow_delegation(account, [spn])
    conf = domain.write_krb5_conf(lab_dir / f"aes-{unique_number()}.conf", domain.port,
                                  "permitted_enctypes = aes256-cts aes128-cts")
    report = check(spns=(CAS1, spn), krb5_conf=conf)
    assert report.findings == ["backend-etype"] and report.status == 1
    assert "the KDC answers 14" in report.step("S4U2Proxy", spn)["detail"]


def test_gateway_without_spn(check, domain, account, keytab):
    domain.modify(account, {"servicePrincipalName": []})
    assert check().findings == ["gateway-no-spn"]


# --- the user --------------------------------------------------------------------------------

def test_user_unknown(check):
    assert check(user="no-such-user").findings == ["user-unknown"]


def test_user_of_no_realm(check):
    assert check(user="OTHER\\alice").findings == ["user-name"]


def test_two_users_of_one_name(check, domain):
    """A UPN that two users have: neither gets a ticket by it."""
    name = f"twin{unique_number()}"
    for twin in "ab":
        domain.add_user(name + twin, PASSWORDS["alice"])
        domain.set_raw(name + twin, "userPrincipalName", f"{name}@{UPN_SUFFIX}")
    report = check(user=f"{name}@{UPN_SUFFIX}")
    assert report.findings == ["user-unknown"]
    assert "or two of that name" in report.step("user")["meaning"]


def test_two_users_of_one_name_at_a_kdc_that_says_so(check, relay):
    """KDC_ERR_PRINCIPAL_NOT_UNIQUE (RFC 4120, section 7.5.9)."""
    relay.answer(lambda message: message.client == "alice", krbmsg.error(8, REALM))
    report = check(krb5_conf=relay.krb5_conf)
    assert report.findings == ["user-refused"] and report.status == 1
    assert "the KDC answers 8" in report.step("user")["detail"]


def test_service_as_user(check):
    assert check(user="HTTP/cas1").findings == ["user-name"]


def test_user_disabled(check, domain, user):
    domain.set_flag(user, DISABLED)
    assert check(user=user).findings == ["user-disabled"]


def test_user_expired(check, domain, user):
    domain.modify(user, {"accountExpires": [str(LONG_AGO)]})
    assert check(user=user).findings == ["user-expired"]


def test_user_locked(check, domain, user, lock):
    """As for the gateway's account."""
    lock(user)
    report = check(user=user)
    assert report.findings == ["user-locked" if domain.checks_account_first else "user-revoked"]
    assert report.status == 1


def test_user_must_change(check):
    assert check(user="mike").findings == ["user-must-change"]


def test_user_sensitive(check):
    report = check(user="sandra")
    assert report.findings == ["user-sensitive"]
    assert report.step("S4U2Proxy")["verdict"] == "skipped"


def test_user_protected(check, domain, user):
    domain.modify("Protected Users", {"member": [dn(user)]})
    report = check(user=user)
    domain.modify("Protected Users", {"member": []})
    assert report.findings == ["user-protected"]


# --- delegation ------------------------------------------------------------------------------

def test_spn_not_allowed(check):
    report = check(spns=(CAS1, CAS3))
    assert report.findings == ["spn-not-allowed"] and report.status == 1
    assert report.step("S4U2Proxy", CAS1)["verdict"] == "passed"


def test_spn_unknown(check):
    assert check(spns=("HTTP/nowhere.corp.example.test",)).findings == ["spn-unknown"]


@pytest.fixture
def spn_of_two(domain, account):
    """An SPN that two accounts have."""
    spn = f"HTTP/twins{unique_number()}.corp.example.test"
    for _ in range(2):
        name = f"twin{unique_number()}"
        domain.add_service(name, f"HTTP/{name}.corp.example.test")
        domain.set_raw(name, "servicePrincipalName", spn)
    domain.allow_delegation(account, [spn])
    return spn


def test_spn_of_two_accounts(check, spn_of_two):
    """Samba takes it for unknown, and the finding names both causes."""
    report = check(spns=(CAS1, spn_of_two))
    assert report.findings == ["spn-unknown"] and report.status == 1
    step = report.step("S4U2Proxy", spn_of_two)
    assert "or two accounts have it" in step["meaning"] and "setspn -Q" in step["powershell"]


def test_spn_of_two_accounts_at_a_kdc_that_says_so(check, relay, spn_of_two):
    """KDC_ERR_PRINCIPAL_NOT_UNIQUE, as a KDC of Windows may answer."""
    relay.answer(lambda message: "TGS-REQ/s4u2proxy" in message.labels()
                 and message.service == spn_of_two, krbmsg.error(8, REALM))
    report = check(spns=(CAS1, spn_of_two), krb5_conf=relay.krb5_conf)
    assert report.findings == ["spn-duplicate"] and report.status == 1
    assert report.step("S4U2Proxy", CAS1)["verdict"] == "passed"


def test_host_is_an_alias(check, lab_dir):
    """A name that DNS, or here /etc/hosts, has as another name of cas1."""
    hosts = lab_dir / f"hosts-{unique_number()}"
    hosts.write_text("127.0.0.1 cas1.corp.example.test webmail.corp.example.test\n")
    within = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
              'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    report = check(spns=("HTTP/webmail.corp.example.test",), within=within)
    assert report.findings == ["spn-alias"]
    assert "an alias of cas1.corp.example.test" in report.step("S4U2Proxy")["meaning"]


def test_names_are_looked_up_within_the_timeout(check, lab_dir):
    """That of an SPN that the KDC does not know, and that of a backend."""
    server = NameServer("127.5.3.2")
    server.silent = True
    resolver = resolv_conf(lab_dir / f"resolv-{unique_number()}.conf", [server])
    began = time.monotonic()
    report = check("--timeout", "1s", "--connect", "https://nowhere.corp.example.test/",
                   spns=("HTTP/nowhere.corp.example.test",), within=using(resolver, []))
    asked, took = server.asked, time.monotonic() - began
    server.stop()
    assert report.findings == ["spn-unknown", "backend-down"]
    assert asked and took < 5


def test_transition_missing(check, domain, account):
    domain.allow_protocol_transition(account, False)
    assert check().findings == ["transition-missing"]


def test_transition_unneeded(check):
    report = check(transition=False)
    assert report.findings == ["transition-unneeded"] and report.status == 0
    assert report.step("S4U2Self")["verdict"] == "warning"


def test_password_needed(check, domain, account):
    """An account with "Use Kerberos only" can be tested with the user's password alone."""
    domain.allow_protocol_transition(account, False)
    report = check(transition=False)
    assert report.findings == ["password-needed"] and report.status == 1


# --- another forest ---------------------------------------------------------------------------

ABROAD = "ABROAD.EXAMPLE.TEST"


class Abroad(Domain):
    realm = ABROAD
    netbios = "ABROAD"


@pytest.fixture(scope="module")
def abroad(lab_dir, domain):
    """A krb5.conf of two forests that trust each other."""
    accounts = (Account("erna", PASSWORDS["alice"]),
                Account("mailer", PASSWORDS["bob"], spns=("HTTP/mail.abroad.example.test",)))
    with closing(Abroad(lab_dir / "abroad", accounts)) as other:
        other.create()
        domain.trust(other)
        yield write_krb5_conf(lab_dir / "abroad.conf",
                              {domain.realm: domain.port, ABROAD: other.port})


@pytest.mark.parametrize("user", ["erna@abroad.example.test", f"erna@{ABROAD}"])
@pytest.mark.parametrize("password", [None, PASSWORDS["alice"]], ids=["name", "password"])
def test_user_of_another_forest(check, abroad, user, password):
    report = check(*["--password"][:password is not None], user=user, password=password,
                   krb5_conf=abroad)
    assert report.findings == ["user-other-realm"] and report.status == 1
    assert "the KDC answers 68" in report.step("user")["detail"]


def test_service_of_another_forest(check, abroad):
    spn = "HTTP/mail.abroad.example.test"
    report = check(spns=(CAS1, spn), krb5_conf=abroad)
    assert report.findings == ["spn-other-realm"] and report.status == 1
    assert report.step("S4U2Proxy", CAS1)["verdict"] == "passed"


# --- armour -----------------------------------------------------------------------------------

@pytest.fixture
def computer(domain, lab_dir):
    """A keytab of a gateway's account with the name of a computer's, which uses Kerberos only."""
    name = f"gw{unique_number()}$"
    domain.add(Account(name, PASSWORD, spns=(f"HTTP/{name[:-1]}.corp.example.test",),
                       delegate_to=(CAS1,)))
    return domain.export_keytab(lab_dir / f"{name}.keytab", [name])


def guesses(relay, client):
    return len([message for message in relay.messages
                if message.client == client and "AS-REQ/timestamp" in message.labels()])


def test_domain_demands_armour_of_the_gateway(check, relay, account):
    """[MS-KILE] 3.3.5.1; one message with the key's proof, and no more."""
    relay.demand_armor()
    report = check(krb5_conf=relay.krb5_conf)
    assert report.findings == ["gateway-armor"] and report.status == 1
    assert guesses(relay, account) == 1


def test_domain_demands_armour_of_users(check, relay, computer):
    """A computer's log-on needs none, and is the armour."""
    relay.demand_armor()
    report = check("--password", transition=False, password=PASSWORDS["alice"], keytab=computer,
                   krb5_conf=relay.krb5_conf)
    assert report.findings == [] and report.status == 0
    assert guesses(relay, "alice") == 0 and relay.counts["AS-REQ/armored"] == 2


def test_user_of_some_devices(check, relay, computer):
    """A policy forbids the user all messages without armour."""
    relay.answer(lambda message: message.kind == "AS-REQ" and message.client == "alice"
                 and "AS-REQ/armored" not in message.labels(), krbmsg.error(12, REALM))
    report = check("--password", transition=False, password=PASSWORDS["alice"], keytab=computer,
                   krb5_conf=relay.krb5_conf)
    assert report.findings == [] and report.status == 0
    assert report.step("user")["detail"].startswith("with armour, salt ")


def test_user_whom_a_policy_forbids(check, relay, computer):
    """The armour of this gateway is not that which the policy wants."""
    relay.answer(lambda message: message.kind == "AS-REQ" and message.client == "alice",
                 krbmsg.error(12, REALM))
    report = check("--password", transition=False, password=PASSWORDS["alice"], keytab=computer,
                   krb5_conf=relay.krb5_conf)
    assert report.findings == ["user-policy"] and report.status == 1
    assert relay.counts["AS-REQ/armored"] > 0


# --- reasons of a newer Samba -----------------------------------------------------------------

newer_ad = pytest.mark.newer_ad("the KDC of Samba 4.17 gives no reasons")


@newer_ad
def test_user_of_another_device(check, domain, user):
    """An authentication policy: neither a message without armour, nor one with that of this
    gateway."""
    domain.authenticate_from(user, "gateway2")
    report = check("--password", password=PASSWORDS["alice"], user=user)
    assert report.findings == ["user-policy"] and report.status == 1
    assert "NTSTATUS 0xc0000070" in report.step("user")["detail"]


@newer_ad
def test_user_of_the_gateway(check, domain, user, account):
    """The same policy lets the user log on with armour of this gateway's account."""
    domain.authenticate_from(user, account)
    report = check("--password", password=PASSWORDS["alice"], user=user)
    assert report.findings == [] and report.status == 0
    assert report.step("user")["detail"].startswith("with armour, salt ")


@newer_ad
def test_gateway_of_another_device(check, domain, account):
    domain.authenticate_from(account, "gateway2")
    report = check()
    assert report.findings == ["gateway-policy"] and report.status == 1


@newer_ad
def test_user_with_a_smart_card(check, domain, user):
    domain.set_flag(user, SMARTCARD_REQUIRED)
    report = check("--password", password=PASSWORDS["alice"], user=user)
    assert report.findings == ["user-policy"] and report.status == 1
    assert "a smart card" in report.step("password")["meaning"]


# --- the password ----------------------------------------------------------------------------

@pytest.fixture
def kerberos_only(domain, account):
    domain.allow_protocol_transition(account, False)


def test_password(kerberos_only, check):
    report = check("--password", transition=False, password=PASSWORDS["alice"])
    assert report.findings == [] and report.status == 0
    assert report.step("password")["detail"] == f"alice@{REALM}, evidence forwardable"
    assert PASSWORDS["alice"] not in report.text


def test_wrong_password(kerberos_only, check):
    report = check("--password", transition=False, password="wrong")
    assert report.findings == ["user-password"] and report.status == 1
    assert report.step("S4U2Proxy")["verdict"] == "skipped"


def test_password_must_be_changed(kerberos_only, check):
    report = check("--password", transition=False, user="mike", password=PASSWORDS["mike"])
    assert report.findings == ["user-must-change"]


def test_spn_not_allowed_with_a_password(kerberos_only, check):
    report = check("--password", transition=False, password=PASSWORDS["alice"], spns=(CAS2,))
    assert report.findings == ["spn-not-allowed"]


def test_no_password_given(domain, keytab):
    done = doctor.run(["-k", keytab, "-u", "alice", "-s", CAS1, "--password"], domain.krb5_conf)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.fixture
def prompt(domain, keytab):
    """The program at its question for a password: the process, and both ends of its terminal."""
    ours, theirs = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)       # nohup and background jobs ignore them
    process = subprocess.Popen(
        [doctor.PROGRAM, "-k", keytab, "-u", "alice", "-s", CAS1, "--transition", "--password"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True, preexec_fn=take_terminal,
        env=os.environ | {"KRB5_CONFIG": str(domain.krb5_conf)})
    until(lambda: not has_echo(theirs), 20, "the question")
    yield process, ours, theirs
    process.kill()
    process.wait()
    process.stdout.close()
    for end in (ours, theirs):
        os.close(end)


def has_echo(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def test_password_from_a_terminal(prompt):
    process, ours, theirs = prompt
    os.write(ours, PASSWORDS["alice"].encode() + b"\n")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "password alice" in out and has_echo(theirs)
    assert PASSWORDS["alice"].encode() not in os.read(ours, 10000)


@pytest.mark.parametrize("key, number", [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT),
                                         (None, signal.SIGTERM), (None, signal.SIGHUP)])
def test_signal_at_the_question_for_a_password(prompt, key, number):
    """Ctrl-C, Ctrl-\\, kill: the terminal has its echo again, and the signal its effect."""
    process, ours, theirs = prompt
    os.write(ours, b"half-a-pass")
    if key:
        os.write(ours, key)
    else:
        process.send_signal(number)
    assert process.wait(20) == -number
    assert has_echo(theirs)


def test_stop_at_the_question_for_a_password(prompt):
    """Ctrl-Z: the program asks again when it goes on, here at once, since no shell waits for it."""
    process, ours, theirs = prompt
    shown = bytearray()

    def asked_again():
        if select.select([ours], [], [], 0.1)[0]:
            shown.extend(os.read(ours, 1000))
        return shown.count(b"Password of alice: ") == 2 and not has_echo(theirs)
    os.write(ours, b"half-a-pass\x1a")
    until(asked_again, 20, "the question again")
    os.write(ours, PASSWORDS["alice"].encode() + b"\n")
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_too_long_password(domain, keytab):
    """A part of it would be a wrong guess."""
    done = doctor.run(["-k", keytab, "-u", "alice", "-s", CAS1, "--password"], domain.krb5_conf,
                      password="x" * 1500)
    assert (done.returncode, done.stdout) == (2, "")


def test_two_hosts_with_one_backend_each(configured, authority, backends):
    """--connect is for the backend whose SPN it names, and for no other."""
    cas1 = backends("cas1", tls=True)
    report = configured(f"""
Listen 127.0.0.1:{free_port()}
<VirtualHost *:1>
    ServerName a.example.test
    {location(cas1.url, "EasKcdProtocolTransition On")}
</VirtualHost>
<VirtualHost *:2>
    ServerName b.example.test
    EasKcdDomain OTHER {REALM}
    {location("http://cas3.corp.example.test", "EasKcdProtocolTransition On")}
</VirtualHost>
""", "--connect", cas1.url, "--ca-file", authority.ca_file)
    assert report.findings == ["spn-not-allowed"]
    assert [step["step"] for step in report.steps].count("connection") == 1


def test_old_key_version(check, domain, account, keytab):
    """The user's ticket for the gateway tells the version."""
    domain.rotate_key(account)
    report = check("--password", password=PASSWORDS["alice"])
    assert report.findings == ["keytab-key", "keytab-old"]
    assert "the ticket has kvno 2" in report.step("key of the gateway")["detail"]


def test_foreign_key_of_the_same_version(check, domain, account, lab_dir):
    keytab = lab_dir / f"{account}-same.keytab"
    ktutil(f"addent -password -p {account}@{REALM} -k 1 -e aes256-cts-hmac-sha1-96",
           "Not-the-password", f"wkt {keytab}")
    report = check("--password", keytab=keytab, password=PASSWORDS["alice"])
    assert report.findings == ["keytab-key", "keytab-foreign"]


# --- the backend -----------------------------------------------------------------------------

@pytest.fixture
def connect(check, authority):
    def run(url, *args, **more):
        return check("--connect", url, "--ca-file", authority.ca_file, *args, **more)
    return run


@pytest.mark.parametrize("tls", [True, False])
def test_backend(connect, backends, tls):
    cas1 = backends("cas1", tls=tls)
    report = connect(f"{cas1.url}/owa/")
    assert report.findings == [] and report.status == 0
    assert "AP-REP verified by GSSAPI" in report.step("token")["detail"]
    assert cas1.users_by_connection()[-1] == {f"alice@{REALM}"}
    assert "Negotiate " not in report.text


def test_token_is_bound(connect, fake_backends, acceptor):
    """To the certificate of the connection."""
    seen = []

    def answer(request):
        if request.authorization is None:
            return always_401(request)
        accepted = acceptor.accept(request.authorization, request.binding)
        seen.append(accepted.bound)
        return response("200 OK", [("WWW-Authenticate", accepted.www_authenticate)])
    report = connect(fake_backends(answer, tls=True, proves=False).url)
    assert report.findings == [] and seen == [True]


def test_url_of_no_spn(connect, backends):
    """--connect must not end in silence where it is for none of several SPNs."""
    report = connect(backends("cas1", tls=True).url.replace("cas1.corp.example.test", "localhost"),
                     spns=(CAS1, CAS1.replace("cas1", "CAS1")))
    assert report.findings == ["connect-unused"] and report.status == 1


def test_gssapi_that_makes_no_token(connect, backends, lab_dir):
    """Its mechanisms are this machine's trouble, not the domain's."""
    library = lab_dir / "no-gssapi.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], check=True, text=True,
                   input="unsigned gss_init_sec_context(unsigned *minor) { *minor = 0; "
                         "return 13u << 16; }")
    report = connect(backends("cas1", tls=True).url, env={"LD_PRELOAD": str(library)})
    assert report.findings == ["token-local"] and report.status == 1


def test_slow_backend(connect, fake_backends):
    """--timeout is for the whole exchange, however often something comes."""
    def answer(_):
        for octet in b"HTTP/1.1 401 Unauthorized" * 8:
            yield bytes([octet])
            time.sleep(0.3)
    began = time.monotonic()
    report = connect(fake_backends(answer, proves=False).url, "--timeout", "1s")
    assert report.findings == ["backend-answer"] and time.monotonic() - began < 10


def test_httpd_user_that_does_not_exist(check):
    report = check("--httpd-user", "nosuch")
    assert report.step("httpd's user")["verdict"] == "skipped" and report.status == 1


def test_commands_name_the_account(check, domain, user):
    """Commands take no DOMAIN\\user."""
    domain.set_flag(user, DISABLED)
    report = check("-d", f"CORP={REALM}", user=f"CORP\\{user}")
    assert report.findings == ["user-disabled"]
    cure, = [step["powershell"] for step in report.steps if "finding" in step]
    assert cure == f"Enable-ADAccount {user}"


def test_backend_is_down(connect):
    report = connect(f"https://cas1.corp.example.test:{free_port()}/")
    assert report.findings == ["backend-down"] and report.status == 1


def test_backend_without_tls(connect, fake_backends):
    url = fake_backends(always_401, proves=False).url
    assert connect(url.replace("http:", "https:")).findings == ["backend-tls"]


def test_certificate_of_another_authority(check, backends):
    assert check("--connect", backends("cas1", tls=True).url).findings == ["tls-chain"]


def test_certificate_of_another_name(connect, backends):
    url = backends("cas1", tls=True).url.replace("cas1.", "cas2.")
    assert connect(url).findings == ["tls-name"]


@pytest.mark.parametrize("answer, finding", [
    (response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="cas"')]), "offers-basic"),
    (response("401 Unauthorized", [("WWW-Authenticate", "NTLM")]), "offers-ntlm"),
    (response("302 Found", [("Location", "/owa/auth/logon.aspx")]), "offers-form"),
    (response("200 OK"), "offers-nothing"),
    (response("401 Unauthorized"), "offers-nothing"),
    (b"220 mail.example.com ESMTP\r\n\r\n", "backend-answer"),
    (None, "backend-answer"),
], ids=["basic", "ntlm", "form", "ok", "empty", "smtp", "closed"])
def test_challenge(connect, fake_backends, answer, finding):
    assert connect(fake_backends(lambda _: answer, proves=False).url).findings == [finding]


@pytest.fixture
def answers(fake_backends, acceptor):
    """answers(decide): a backend that asks for a token, and then does as decide(accepted) says."""
    def start(decide, tls=False):
        def answer(request):
            if request.authorization is None:
                return always_401(request)
            return decide(request)
        return fake_backends(answer, tls=tls, proves=False)
    return start


def test_token_is_refused(connect, answers):
    assert connect(answers(always_401).url).findings == ["token-refused"]


def test_no_ap_rep(connect, answers):
    assert connect(answers(lambda _: response("200 OK")).url).findings == ["no-ap-rep"]


def test_wrong_ap_rep(connect, answers, acceptor):
    def decide(request):
        proof = damaged(acceptor.accept(request.authorization).www_authenticate)
        return response("200 OK", [("WWW-Authenticate", proof)])
    assert connect(answers(decide).url).findings == ["ap-rep-wrong"]


def test_user_is_refused_by_the_backend(connect, answers, acceptor):
    def decide(request):
        proof = acceptor.accept(request.authorization).www_authenticate
        return response("403 Forbidden", [("WWW-Authenticate", proof)])
    assert connect(answers(decide).url).findings == ["user-refused-by-backend"]


def test_binding_is_refused(connect, answers, acceptor):
    """A device with a certificate of its own stands before the backend, which allows no binding
    to that."""
    def decide(request):
        try:
            accepted = acceptor.accept(request.authorization, b"tls-server-end-point:another")
        except gssapi.exceptions.GSSError:
            return always_401(request)
        return response("200 OK", [("WWW-Authenticate", accepted.www_authenticate)])
    assert connect(answers(decide, tls=True).url).findings == ["binding-refused"]


def test_header_is_too_long(connect, answers):
    report = connect(answers(lambda _: response("431 Request Header Fields Too Large")).url)
    assert report.findings == ["header-too-long"]


# --- httpd's configuration -------------------------------------------------------------------

@pytest.fixture
def configured(domain, gateway, keytab):
    """configured(conf, …): the report about a gateway with that configuration, not started."""
    def run(conf, *args, user="alice", keytab=keytab, krb5_conf=domain.krb5_conf, **more):
        gw = gateway(f'EasKcdKeytab "{keytab}"\n{conf}', account=None, start=False, tls=False)
        env = gw.daemon.env | {"KRB5_CONFIG": str(krb5_conf)}
        return doctor.report(["-c", gw.conf_file, "--httpd", BINARY, "-u", user, *args],
                             krb5_conf, env=env, **more)
    return run


@pytest.mark.parametrize("mode, findings, armored", [
    ("Off", [], False), ("Try", [], True), ("Require", ["no-armor"], True)])
def test_armour_of_a_configuration(configured, relay, mode, findings, armored):
    """At a KDC that refuses armour."""
    relay.answer(lambda message: "AS-REQ/armored" in message.labels(), krbmsg.error(25, REALM))
    report = configured(f"EasKcdArmor {mode}\n" + location(
        "http://cas1.corp.example.test/eas", "EasKcdProtocolTransition On"), "--password",
        password=PASSWORDS["alice"], krb5_conf=relay.krb5_conf)
    assert report.findings == findings and report.status == len(findings)
    assert armored == any("AS-REQ/armored" in message.labels() for message in relay.messages)
    assert ("AS-REQ/timestamp" in [label for message in relay.messages if message.client == "alice"
                                   for label in message.labels()]) == (mode != "Require")


def test_domain_demands_armour_that_is_off(configured, relay, computer):
    relay.demand_armor()
    report = configured("EasKcdArmor Off\n" + location("http://cas1.corp.example.test/eas"),
                        "--password", password=PASSWORDS["alice"], keytab=computer,
                        krb5_conf=relay.krb5_conf)
    assert report.findings == ["no-armor"] and report.status == 1
    assert guesses(relay, "alice") == 1


def spns_of(report):
    return [step["subject"] for step in report.steps if step["step"] == "S4U2Proxy"]


def test_configuration(configured, account):
    report = configured(location("http://cas1.corp.example.test/eas",
                                 "EasKcdProtocolTransition On"))
    assert report.findings == [] and report.status == 0
    assert spns_of(report) == [CAS1]
    assert report.step("log-on")["subject"] == f"{account}@{REALM}"
    assert report.step("httpd's user")["subject"] == "www-data"


def test_configuration_without_transition(configured):
    report = configured(location("http://cas1.corp.example.test/eas"))
    assert report.findings == ["transition-unneeded"] and report.status == 0


def test_configuration_without_a_password(configured, kerberos_only):
    """Nobody has asked for the steps that need one, and the account is as it should be."""
    conf = location("http://cas1.corp.example.test/eas")
    report = configured(conf)
    assert report.findings == ["password-not-asked"] and report.status == 0
    assert report.step("S4U2Proxy")["verdict"] == "warning"
    report = configured(conf, "--password", password=PASSWORDS["alice"])
    assert report.findings == [] and report.status == 0
    report = configured(location("http://cas3.corp.example.test/eas"), "--password",
                        password=PASSWORDS["alice"])
    assert report.findings == ["spn-not-allowed"] and report.status == 1


def test_spns_of_a_configuration(configured):
    """Of members of a balancer, of ProxyPassMatch, of EasKcdSPN; each once."""
    report = configured(f"""
<Proxy "balancer://cas">
    BalancerMember "http://cas1.corp.example.test"
    BalancerMember "http://cas2.corp.example.test"
</Proxy>
{location("balancer://cas/eas", path="/eas")}
{location("http://cas1.corp.example.test/ews", path="/ews")}
{location("http://10.1.2.3/owa", "EasKcdSPN HTTP/mail.corp.example.test", path="/owa")}
""")
    assert spns_of(report) == [CAS1, CAS2, "HTTP/mail.corp.example.test"]
    assert report.findings == ["transition-unneeded", "spn-not-allowed", "spn-unknown"]


def test_proxy_pass_match(configured):
    report = configured("""
ProxyPassMatch "(?i)^/((owa|ews)(/.*)?)$" "http://cas1.corp.example.test/$1"
<LocationMatch "(?i)^/(owa|ews)(/|$)">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    EasKcdDelegate On
</LocationMatch>
""")
    assert spns_of(report) == [CAS1]


def test_virtual_hosts(configured, account, domain, lab_dir):
    """One with settings of its own, and two with those of the main server, which are one."""
    more = domain.export_keytab(lab_dir / f"{account}-more.keytab", ["gateway2"])
    host = location("http://cas1.corp.example.test/eas")
    report = configured(f"""
<VirtualHost *:8443>
    ServerName a.example.test
    {host}
</VirtualHost>
<VirtualHost *:8443>
    ServerName b.example.test
    {host}
</VirtualHost>
<VirtualHost *:8443>
    ServerName c.example.test
    EasKcdKeytab "{more}"
    EasKcdDomain CORP {REALM}
    {location("http://cas2.corp.example.test/eas")}
</VirtualHost>
""", user="CORP\\alice")
    hosts = [step["subject"] for step in report.steps if step["step"] == "virtual host"]
    assert len(hosts) == 2 and "c.example.test" in hosts
    assert spns_of(report) == [CAS2]        # CORP is no domain of the others
    assert sorted(report.findings) == ["transition-unneeded", "user-name"]


def test_configuration_that_does_not_delegate(configured):
    report = configured("")
    assert report.findings == ["config-empty"] and report.status == 1


def test_configuration_that_httpd_refuses(configured):
    report = configured("NoSuchDirective On")
    assert report.findings == ["config-refused"] and report.status == 1
    assert "NoSuchDirective" in report.step("configuration")["detail"]


def test_httpd_that_does_not_end(configured):
    began = time.monotonic()
    report = configured("", "--httpd", idle.PROGRAM, "--timeout", "100ms")
    assert report.findings == ["config-refused"] and time.monotonic() - began < 10
    assert "does not end" in report.step("configuration")["detail"]


def test_httpd_that_prints_without_end(configured, lab_dir):
    """The walk reads 1 MB of it, and ends it with all that it has started."""
    program, ended = lab_dir / "httpd-that-prints", lab_dir / "ended"
    program.write_text(f"#!/bin/sh\n(yes nonsense; touch '{ended}') &\nwait\n")
    program.chmod(0o755)
    report = configured("", "--httpd", program)
    assert report.findings == ["config-refused"]
    assert "nonsense" in report.step("configuration")["detail"]
    until(ended.exists, 5, "the end of the background process")


def test_keytab_of_a_configuration_is_missing(configured, lab_dir):
    """httpd refuses it, too; the walk says more."""
    report = configured(location("http://cas1.corp.example.test/eas"),
                        keytab=lab_dir / "no-such.keytab")
    assert report.findings == ["keytab-unreadable"]


def test_connect_to_a_backend_of_a_configuration(configured, backends, authority):
    cas1 = backends("cas1", tls=True)
    report = configured(location(f"{cas1.url}/eas", "EasKcdProtocolTransition On"), "--connect",
                        f"{cas1.url}/eas", "--ca-file", authority.ca_file)
    assert report.findings == [] and report.status == 0
    assert report.step("token")["verdict"] == "passed"


def test_settings_are_printed_for_the_doctor_alone(gateway, keytab):
    gw = gateway(f'EasKcdKeytab "{keytab}"', account=None, start=False, tls=False)

    def run(*args):
        return subprocess.run([BINARY, *args, "-f", gw.conf_file], capture_output=True, text=True,
                              env=os.environ | gw.daemon.env).stdout
    assert run("-t") == run("-t", "-D", "OTHER") == ""
    assert run("-t", "-D", "EAS_KCD_DUMP").startswith("eas-kcd\t")
