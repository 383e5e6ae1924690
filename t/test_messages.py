# SPDX-License-Identifier: Apache-2.0
"""The usual faults of delegation, each made on purpose: the line of the log tells them apart and has
the cure."""

import re

import pytest

from lab import keytab
from lab.ad import CAS1, DISABLED, PASSWORDS, REALM
from lab.client import assert_unavailable
from lab.exchange import DOMAINS, location
from lab.fake_backend import response
from lab.gateway import TOP
from lab.kerberos import Acceptor
from lab.simulated import PerRequest
from lab.unique import unique_number

AES128 = 17
DONT_EXPIRE = 0x10000    # of userAccountControl


def line_of(gw, tag):
    line, = {entry.text[entry.text.index(tag):] for entry in gw.error_log.entries()
             if entry.tag == tag}
    return line


# The table of eas-kcd-messages(7): cause -> the text of the log, with … for what differs.
TABLE = dict(re.findall(r"^\| ([^|`]+) \| `(EAS\d{4}: [^`]+)` \| [^|]+ \|$",
                        (TOP / "build/doc/messages.md").read_text(), re.MULTILINE))
MADE = set()


def fault(cause):
    """A fault of the table that a test makes."""
    MADE.add(cause)
    return cause


def line_of_fault(gw, cause):
    tag = TABLE[cause][:7]
    line = line_of(gw, tag)
    words = ".*".join(map(re.escape, TABLE[cause][9:].split("…")))
    assert re.search(words, line), f"{cause}: {line}"
    return line


def test_each_fault_of_the_table_is_made():
    assert MADE == set(TABLE) and len(TABLE) >= 15


# --- the user ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("tag,user,password", [
    ("EAS1030", "alice", "wrong"), ("EAS1032", "dirk", PASSWORDS["dirk"]),
    ("EAS1033", "mike", PASSWORDS["mike"])])
def test_refused_account_is_named(gateway, backends, tag, user, password):
    gw = gateway(DOMAINS + location(backends("cas1").url))
    assert gw.get("/eas", f"CORP\\{user.upper()}", password).status == 401
    assert line_of(gw, tag).endswith(f" (account {user}@{REALM})")


def test_locked_account_is_named(gateway, backends):
    gw = gateway("EasKcdLockout 1 1h\n" + location(backends("cas1").url))
    gw.expect("EAS1310")
    for password in ("x", "y"):
        gw.get("/eas", "carol", password)
    assert f"(account carol@{REALM})" in line_of(gw, "EAS1301")


@pytest.mark.parametrize("log_names", ["", "EasKcdLogNames Off\n", "EasKcdLogNames On\n"])
def test_name_that_nobody_has(gateway, backends, log_names):
    """A password may be typed as the name."""
    gw = gateway(log_names + location(backends("cas1").url))
    for name in ("Nobody-7", "nobody-7", "nobody-8", "X\\nobody-9"):
        assert gw.get("/eas", name, "x").status == 401
    unknown = [entry.text for entry in gw.error_log.entries() if entry.tag.startswith("EAS1")]
    assert len(unknown) == 4
    if "On" in log_names:
        typed = [re.search(r' \(name "([^"]*)"\)$', text)[1] for text in unknown]
        assert typed == ["Nobody-7", "nobody-7", "nobody-8", "X\\\\nobody-9"]
    else:
        hashes = [re.search(r" \(name #([0-9a-f]{8})\)$", text)[1] for text in unknown]
        assert hashes[0] == hashes[1] and len(set(hashes)) == 3
        assert "obody" not in gw.error_log.text()


# --- the user's ticket for the gateway ---------------------------------------------------------

def newer(domain, account, file):
    domain.rotate_key(account)


def ahead(domain, account, file):
    keytab.with_newer_keys(file)


def fewer_enctypes(domain, account, file):
    keytab.only(file, AES128)


def other_key(domain, account, file):
    keytab.with_other_keys(file)


EVIDENCE = [(newer, fault("new password, old keytab")),
            (ahead, fault("new keytab, domain controller with the old password")),
            (fewer_enctypes, fault("keytab without the encryption type")),
            (other_key, fault("keytab with another key of the same version"))]


@pytest.mark.parametrize("spoil,cause", EVIDENCE, ids=lambda value: getattr(value, "__name__", ""))
def test_keytab_does_not_fit(gateway, backends, domain, other, spoil, cause):
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), account=other, start=False)
    spoil(domain, other, gw.keytab)
    gw.start()
    gw.expect("EAS1043")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert f"{other}@{REALM}" in line_of_fault(gw, cause)
    assert cas1.requests() == []


# --- the gateway's own log-on --------------------------------------------------------------------

def disabled(domain, account):
    domain.set_flag(account, DISABLED)


def must_change(domain, account):
    domain.set_flag(account, DONT_EXPIRE, on=False)
    domain.modify(account, {"pwdLastSet": ["0"]})


LOG_ON = [(disabled, fault("gateway's account disabled")),
          (must_change, fault("gateway's password expired")),
          (lambda domain, account: domain.rotate_key(account), fault("gateway's key wrong")),
          (None, fault("EasKcdPrincipal is a service"))]


@pytest.mark.parametrize("spoil,cause", LOG_ON, ids=["disabled", "must change", "wrong key", "service"])
def test_gateway_cannot_log_on(gateway, backends, domain, other, spoil, cause):
    cas1 = backends("cas1")
    principal = "" if spoil else f"EasKcdPrincipal HTTP/{other}.corp.example.test\n"
    gw = gateway(principal + location(
        cas1.url, "EasKcdProtocolTransition On", f'EasKcdDelegateUser "alice@{REALM}"',
        require="Require all granted"), account=other)
    if spoil:
        spoil(domain, other)
    gw.expect("EAS2012")
    assert_unavailable(gw.get("/eas"))
    line = line_of_fault(gw, cause)
    assert (f"HTTP/{other}." if not spoil else f"{other}@{REALM}") in line
    assert cas1.requests() == []


# --- the backend's ticket --------------------------------------------------------------------------

FOREIGN, UNKNOWN = fault("no right to delegate to the service"), fault("SPN unknown, or twice")
SENSITIVE_USER, NO_TRANSITION = fault("user sensitive"), fault("no right to protocol transition")


def test_keytab_of_another_account(gateway, backends, domain, other):
    """It may delegate to nothing: the log names the account, since nobody has written it down."""
    domain.revoke_delegation(other)
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), account=other)
    gw.expect("EAS2032")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert f"does not let {other}@{REALM}, the account of the keytab, delegate to {CAS1}" \
        in line_of(gw, "EAS2032")
    assert f"(user alice@{REALM}, service {CAS1})" in line_of_fault(gw, FOREIGN)
    assert cas1.requests() == []


def test_user_who_may_not_be_delegated(gateway, backends):
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url))
    gw.expect("EAS2030")
    assert gw.get("/eas", "sandra", PASSWORDS["sandra"]).status == 403
    assert f"(user sandra@{REALM}, service {CAS1})" in line_of_fault(gw, SENSITIVE_USER)
    assert cas1.requests() == []


def test_gateway_without_protocol_transition(gateway, backends, domain, other):
    domain.allow_protocol_transition(other, on=False)
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url, "EasKcdProtocolTransition On",
                          f'EasKcdDelegateUser "alice@{REALM}"', require="Require all granted"),
                 account=other)
    gw.expect("EAS2031")
    assert_unavailable(gw.get("/eas"))
    assert f"{other}@{REALM} may not" in line_of_fault(gw, NO_TRANSITION)
    assert cas1.requests() == []


@pytest.mark.parametrize("accounts", [0, 2])
def test_two_accounts_with_an_spn_read_as_none(gateway, fake_backends, domain, other, lab_dir,
                                               accounts):
    """A KDC answers alike: there is no such service."""
    number = unique_number()
    spn = f"HTTP/twice{number}.corp.example.test"
    domain.allow_delegation(other, [spn])
    backend = fake_backends(lambda _: response("200 OK"), proves=False)
    gw = gateway(location(backend.url, f"EasKcdSPN {spn}"), account=other)
    if accounts:
        domain.add_service(f"first{number}", spn)
        domain.add_service(f"second{number}", f"HTTP/second{number}.corp.example.test")
        keytab_of_it = domain.export_keytab(lab_dir / f"first{number}.keytab", [spn])
        backend.script = PerRequest(Acceptor(keytab_of_it))
        assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
        domain.add_duplicate_spn(f"second{number}", spn)
        gw.stop()
        gw.start()
        backend.requests.clear()
    gw.expect("EAS2033")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    line = line_of_fault(gw, UNKNOWN)
    assert line.index("knows no service") < line.index("or two accounts have it") \
        < line.index(f"setspn -Q {spn}") < line.index("setspn -S") < line.index("remove it from one")
    assert backend.requests == []


# --- the backend's answer ---------------------------------------------------------------------------

def refusing(*challenges):
    return response("401 Unauthorized", [("WWW-Authenticate", value) for value in challenges])


BASIC = 'Basic realm="cas1"'
REFUSALS = {
    fault("backend with Basic alone"): ([BASIC], "offers Basic alone", "-WindowsAuthEnabled $true"),
    fault("backend with NTLM alone"): (["NTLM"], "offers NTLM without Negotiate", "add Negotiate to the providers"),
    "NTLM and Basic": (["NTLM", BASIC], "offers NTLM without Negotiate", "add Negotiate"),
    fault("backend's 401 without a scheme"): ([], "answers 401 to a Kerberos token and offers no authentication",
                  "enable Windows authentication"),
    fault("backend without the key of its SPN"): (["Negotiate", "NTLM"], "does not accept the Kerberos token, although its ticket",
                  "setspn -X"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_backend_refuses_the_token(gateway, fake_backends, what):
    challenges, cause, cure = REFUSALS[what]
    backend = fake_backends(lambda _: refusing(*challenges), proves=False)
    gw = gateway(location(backend.url))
    gw.expect("EAS2063")
    assert_unavailable(gw.get("/eas?token=secret", "alice", PASSWORDS["alice"]))
    line = line_of(gw, "EAS2063")
    assert what not in TABLE or line_of_fault(gw, what)
    assert f"the backend {cause}" in line and line.index(cause) < line.index(cure)
    assert f"({backend.url}/) (user alice@{REALM}, service {CAS1})" in line
    assert "secret" not in line
    assert line_of(gw, "EAS2056").endswith(f" (user alice@{REALM}, service {CAS1})")
    assert all(request.authorization.startswith("Negotiate ") for request in backend.requests)


OPEN = {
    fault("backend with its own form"): ("302 Found", [("Location", "https://cas1/owa/auth/logon.aspx?url=secret")],
             "a log-on form of the backend's own is on (https://cas1/owa/auth/logon.aspx)",
             "-FormsAuthentication $false"),
    fault("backend that redirects first"): ("302 Found", [("Location", "https://cas1/other/?secret")],
                 "it leads to https://cas1/other/ before it asks for a user", "let ProxyPass lead"),
    fault("backend open to anybody"): ("200 OK", [], "the backend serves this to anybody",
                     "switch anonymous authentication off"),
    fault("acceptor without AP-REP (gokrb5)"): ("200 OK", [("WWW-Authenticate", "Negotiate oQcwBaADCgEA")],
                    "has the state of the negotiation alone", "EasKcdMutualAuth optional"),
}


@pytest.mark.parametrize("what", OPEN)
def test_backend_does_not_authenticate(gateway, fake_backends, what):
    status, headers, cause, cure = OPEN[what]
    backend = fake_backends(lambda _: response(status, headers), proves=False)
    gw = gateway(location(backend.url))
    gw.expect("EAS2052")
    assert gw.get("/eas?token=secret", "alice", PASSWORDS["alice"]).status == 502
    line = line_of_fault(gw, what)
    assert line.index(f"the backend answers {status[:3]} to {backend.url}/ ") < line.index(cause) \
        < line.index(cure) < line.index(f"(user alice@{REALM}, service {CAS1})")
    assert "secret" not in line and ("optional" in line) == ("gokrb5" in what)


# --- no domain controller --------------------------------------------------------------------------

NO_KDC, SILENT_KDC = fault("no domain controller named"), fault("domain controllers silent")


def test_realm_without_kdcs(gateway, backends, domain, lab_dir):
    """Neither krb5.conf nor DNS has one: no controller has been asked."""
    conf = lab_dir / f"no-kdc-{unique_number()}.conf"
    conf.write_text("\n".join(line for line in domain.krb5_conf.read_text().splitlines()
                              if not line.strip().startswith("kdc =")) + "\n")
    conf.chmod(0o644)
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), krb5_conf=conf)
    gw.expect("EAS1036")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    line_of_fault(gw, NO_KDC)


def test_kdc_that_does_not_answer(gateway, backends, relay):
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), krb5_conf=relay.krb5_conf)
    relay.refuse()
    gw.expect("EAS1036")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    line_of_fault(gw, SILENT_KDC)
