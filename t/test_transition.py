# SPDX-License-Identifier: Apache-2.0
"""Delegation for users without a ticket of their own: S4U2Self stands in, within bounds."""

import pytest

from lab.ad import PASSWORDS, REALM, UPN_SUFFIX, Account
from lab.exchange import DOMAINS, anybody_location, location
from lab.gateway import MODULES, module_by_gssapi
from lab.tls import Authority
from lab.unique import unique_number, unique_path

# By libkrb5's function, and as where configure does not find that.
each_way = pytest.mark.parametrize("by_gssapi", [False, True], ids=["libkrb5", "gssapi"])


@pytest.fixture
def by_gssapi():
    return False


@pytest.fixture
def foreign(gateway, backends, by_gssapi):
    """foreign(*lines): a gateway on which mod_auth_basic lets everybody be whom they say."""
    backend = backends("cas1")

    def start(*lines, account="gateway2", **options):
        if by_gssapi:
            options["module"] = module_by_gssapi()
        return gateway(DOMAINS + anybody_location(backend.url, *lines), account=account,
                       modules=(*MODULES, "authn_anon"), **options)

    yield start


def refused(gw, user, tag, status=403):
    gw.expect(tag)
    path = unique_path("/eas")
    answer = gw.get(path, user, "x")
    assert answer.status == status
    assert gw.logged(path)["EAS_KCD_ERROR"] == tag
    return answer


@each_way
@pytest.mark.parametrize("user", [f"bob@{REALM}", f"bob@{REALM.lower()}", r"CORP\bob"])
def test_user_of_another_module(foreign, user):
    answer = foreign("EasKcdProtocolTransition On").get("/eas", user, "x")
    assert answer.json()["remote_user"] == f"bob@{REALM}"


@each_way
@pytest.mark.smoke
def test_upn_of_another_module(foreign, gateway, backends):
    """A suffix must be named before it is believed. Backends get the account's name, which S4U2Self
    alone leaves out, also where they do not know AD's SIDs."""
    gw = foreign("EasKcdProtocolTransition On")
    refused(gw, f"bob.builder@{UPN_SUFFIX}", "EAS1008")
    gw = foreign("EasKcdProtocolTransition On", f"</Location>\nEasKcdDomain {UPN_SUFFIX} {REALM}\n"
                 "<Location /eas>")
    answer = gw.get("/eas", f"bob.builder@{UPN_SUFFIX}", "x")
    assert answer.json()["remote_user"] == f"bob@{REALM}"


def test_upn_of_a_service(foreign, backends, domain):
    """The account's name shows what it is."""
    domain.add(Account("robot$", "Machine-0", upn=f"robot@{UPN_SUFFIX}"))
    gw = foreign("EasKcdProtocolTransition On", f"</Location>\nEasKcdDomain {UPN_SUFFIX} {REALM}\n"
                 "<Location /eas>")
    refused(gw, f"robot@{UPN_SUFFIX}", "EAS1002")
    assert backends("cas1", mark=False).requests() == []


@pytest.mark.parametrize("user,tag", [("bob", "EAS1008"), ("bob@elsewhere.test", "EAS1008"),
                                      (f"backend1$@{REALM}", "EAS1002"),
                                      (f"HTTP/cas1@{REALM}", "EAS1002")])
def test_names_that_are_not_ads(foreign, backends, user, tag):
    refused(foreign("EasKcdProtocolTransition On"), user, tag)
    assert backends("cas1", mark=False).requests() == []


def test_off_unless_told(foreign, backends):
    refused(foreign(), f"bob@{REALM}", "EAS2040")
    assert backends("cas1", mark=False).requests() == []


def test_a_password_users_ticket_serves_no_other_right(foreign, gateway, backends):
    """The same principal, proved by a password on one path and by a file on another."""
    cas1 = backends("cas1")
    gw = foreign(f"</Location>\n{location(cas1.url, path='/password')}<Location /eas>")
    assert gw.get("/password", "bob", PASSWORDS["bob"]).status == 200
    refused(gw, f"bob@{REALM}", "EAS2040")


@each_way
def test_account_that_may_not_transition(foreign):
    gw = foreign("EasKcdProtocolTransition On", account="gateway")
    answer = refused(gw, f"bob@{REALM}", "EAS2031", 503)
    assert answer.header("Retry-After") == "30"
    # With resource-based delegation, the lack of that right refuses nobody.
    assert "PrincipalsAllowedToDelegateToAccount of HTTP/cas1" in gw.error_log.text()


@each_way
def test_sensitive_user(foreign):
    # One child, which knows by then that the account may transition.
    gw = foreign("EasKcdProtocolTransition On", processes=1)
    assert gw.get("/eas", f"bob@{REALM}", "x").status == 200
    refused(gw, f"sandra@{REALM}", "EAS2030")


@each_way
@pytest.mark.parametrize("user", [f"dirk@{REALM}", f"nobody@{REALM}", f"mike@{REALM}"])
def test_users_that_the_kdc_refuses(foreign, user):
    """mike's password must be changed."""
    refused(foreign("EasKcdProtocolTransition On"), user, "EAS2023")


@each_way
def test_gateways_own_account(foreign, backends):
    refused(foreign("EasKcdProtocolTransition On"), f"gateway2@{REALM}", "EAS2026")
    assert backends("cas1", mark=False).requests() == []


def test_delegate_user(gateway, backends):
    gw = gateway(location(backends("cas1").url, "EasKcdProtocolTransition On",
                          f'EasKcdDelegateUser "%{{HTTP:X-User}}@{REALM}"',
                          require="Require all granted"), account="gateway2")
    gw.expect("EAS1001")
    answer = gw.get("/eas", headers=[("X-User", "bob")])
    assert answer.json()["remote_user"] == f"bob@{REALM}"
    assert gw.get("/eas").status == 403


def test_empty_delegate_user(gateway, backends):
    gw = gateway(location(backends("cas1").url, "EasKcdProtocolTransition On",
                          'EasKcdDelegateUser "%{HTTP:X-User}"', require="Require all granted"),
                 account="gateway2")
    gw.expect("EAS2060")
    assert gw.get("/eas").status == 403
    assert backends("cas1", mark=False).requests() == []


# --- certificates of clients -----------------------------------------------------------------

CN = "SSL_CLIENT_S_DN_CN"
WAYS = {"EasKcdDelegateUser": f'EasKcdDelegateUser "%{{SSL:{CN}}}"',
        "another user than the certificate's": f'EasKcdDelegateUser "bob@%{{SSL:{CN}}}"',
        "SSLUserName": f"SSLUserName {CN}"}


@pytest.fixture
def certified(gateway, backends, authority):
    """certified(verify, line): a gateway that delegates for the name in a certificate."""
    def start(verify, line):
        return gateway(f"SSLVerifyClient {verify}\n"
                       f'SSLCACertificateFile "{authority.ca_file}"\n'
                       '<Location "/eas">\nRequire all granted\nEasKcdDelegate On\n'
                       f"EasKcdProtocolTransition On\n{line}\n"
                       f'ProxyPass "{backends("cas1").url}"\n</Location>\n', account="gateway2")
    return start


@pytest.mark.parametrize("verify", ["optional", "optional_no_ca"])
@pytest.mark.parametrize("way", WAYS)
def test_certificate_that_is_verified(certified, backends, authority, lab_dir, way, verify):
    """With optional_no_ca anybody makes a certificate with anybody's name."""
    gw = certified(verify, WAYS[way])
    name = REALM if way.startswith("another") else f"bob@{REALM}"
    good = authority.certificate(name)
    with gw.client(certificate=good) as client:
        assert client.get("/eas").json()["remote_user"] == f"bob@{REALM}"
    if verify == "optional_no_ca":
        cas1, path = backends("cas1"), unique_path("/eas")
        gw.expect("EAS2072")
        forger = Authority(lab_dir / f"forger-{unique_number()}")
        with gw.client(certificate=forger.certificate(name)) as client:
            assert client.get(path).status == 403
        assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS2072"
        assert not any(path.partition("?")[2] in entry["uri"] for entry in cas1.requests())


def test_no_certificate(certified):
    gw = certified("optional", WAYS["another user than the certificate's"])
    gw.expect("EAS2072")
    assert gw.get("/eas").status == 403
