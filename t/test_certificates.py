# SPDX-License-Identifier: Apache-2.0
"""EasKcdDelegateCertificate: a KDC maps the client's certificate to its user.

Samba maps none, so the KDC is MIT's, with a database module that does (lab/certificate_kdb.c).
"""

import pytest

from lab.ad import CAS1
from lab.backend import GssBackend
from lab.exchange import anybody_location
from lab.gateway import MODULES, module_by_gssapi
from lab.mit import Mit
from lab.tls import Authority
from lab.unique import unique_number, unique_path

REALM = "CARDS.EXAMPLE.TEST"
ALICE, BOB = f"alice@{REALM}", f"bob@{REALM}"
VERIFIED = """SSLVerifyClient {verify}
SSLCACertificateFile "{ca}"
<Location "/eas">
Require all granted
EasKcdDelegate On
EasKcdProtocolTransition On
{lines}
ProxyPass "{backend}"
</Location>
"""


class Realm:
    def __init__(self, path, **options):
        self.mit = Mit(path, REALM, ldap=True, **options).create()
        for user in ("alice", "bob", "robot$", "gateway2"):
            self.mit.add(user, "Of-all-accounts-1")
        self.mit.add("gateway", "Gateway-of-a-realm-4", "+ok_to_auth_as_delegate")
        self.mit.add(CAS1, "Backend-of-a-realm-5")
        for account in ("gateway", "gateway2"):
            self.mit.allow_delegation(account, [CAS1])
        self.mit.start()
        self.keytabs = {account: self.mit.export_keytab(path / f"{account}.keytab", [account])
                        for account in ("gateway", "gateway2")}
        self.backend = GssBackend(path / "cas1", self.mit.export_keytab(path / "cas1.keytab", [CAS1]),
                                  self.mit.krb5_conf, name="cas1.corp.example.test")
        self.backend.start()

    def close(self):
        self.backend.stop()
        self.mit.close()


@pytest.fixture(scope="module")
def realm(lab_dir):
    made = Realm(lab_dir / "cards", certificates=True)
    yield made
    made.close()


@pytest.fixture
def cards(gateway, realm, authority):
    """cards(*lines): a gateway that lets the KDC say whose the client's certificate is."""
    def start(*lines, at=realm, verify="optional", account="gateway", **options):
        at.backend.mark()
        section = VERIFIED.format(verify=verify, ca=authority.ca_file, backend=at.backend.url,
                                  lines="\n".join(lines or ["EasKcdDelegateCertificate On"]))
        return gateway(f'EasKcdKeytab "{at.keytabs[account]}"\nEasKcdRealm {REALM}\n{section}',
                       account=None, krb5_conf=at.mit.krb5_conf, **options)
    return start


def card_of(user, authority, realm, subject=None):
    """A certificate of this user; None: of nobody. Its text names another user."""
    made = authority.certificate(subject or f"card{unique_number()}", number=unique_number())
    if user:
        realm.mit.map(made, user)
    return made


def get(gw, card, *pair):
    path = unique_path("/eas")
    with gw.client(certificate=card) as client:
        answer = client.get(path, *pair)
    return answer, gw.logged(path)


def refused(gw, backend, card, tag, status=403, user=None):
    gw.expect(tag)
    answer, entry = get(gw, card, *([user, "x"] if user else []))
    assert (answer.status, entry["EAS_KCD_ERROR"]) == (status, tag)
    assert backend.requests() == []
    return entry


@pytest.mark.parametrize("by_gssapi", [False, True], ids=["libkrb5", "gssapi"])
def test_the_kdc_names_the_user(cards, realm, authority, by_gssapi):
    """Whatever name stands in the certificate."""
    gw = cards(processes=1, **({"module": module_by_gssapi()} if by_gssapi else {}))
    card = card_of("alice", authority, realm, subject=BOB)
    for origin in ("fetched", "hit"):
        answer, entry = get(gw, card)
        assert answer.json()["remote_user"] == ALICE
        assert (entry["EAS_KCD_USER"], entry["EAS_KCD_TICKET"]) == (ALICE, origin)


def test_equal_names_are_not_equal_users(cards, realm, authority):
    """Neither a ticket nor a connection is shared by the name in certificates."""
    gw = cards(processes=1)
    mine, theirs = (card_of(user, authority, realm, subject="somebody") for user in ("alice", "bob"))
    for _ in range(3):
        assert get(gw, mine)[0].json()["remote_user"] == ALICE
        assert get(gw, theirs)[0].json()["remote_user"] == BOB


def test_certificate_of_nobody(cards, realm, authority):
    entry = refused(cards(), realm.backend, card_of(None, authority, realm), "EAS2096")
    assert entry["EAS_KCD_USER"].startswith("certificate ")
    assert "@" not in entry["EAS_KCD_USER"]


def test_certificate_of_a_machine(cards, realm, authority):
    refused(cards(), realm.backend, card_of("robot$", authority, realm), "EAS1002")


def test_certificate_that_is_not_verified(cards, realm, lab_dir):
    """Not even if the KDC would map it."""
    forger = Authority(lab_dir / f"forger-{unique_number()}")
    before = len(realm.mit.log())
    refused(cards(verify="optional_no_ca"), realm.backend, card_of("alice", forger, realm), "EAS2072")
    assert not any("alice" in line for line in realm.mit.log()[before:])


def test_no_certificate(cards, realm):
    refused(cards(), realm.backend, None, "EAS2072")


def test_account_that_may_not_transition(cards, realm, authority):
    refused(cards(account="gateway2"), realm.backend, card_of("alice", authority, realm), "EAS2031",
            503)


def test_sections_replace_each_other(cards, realm, authority):
    """The inner section decides, by whichever directive."""
    card = card_of("alice", authority, realm)
    user, by_card = f"EasKcdDelegateUser {BOB}", "EasKcdDelegateCertificate On"
    for outer, inner, expected in ((user, by_card, ALICE), (by_card, user, BOB)):
        gw = cards(outer, "<If true>", inner, "</If>")
        assert get(gw, card)[0].json()["remote_user"] == expected


def test_groups_of_its_user(gateway, realm, authority):
    """They are read from the ticket of the certificate's user. MIT's KDC puts none into it."""
    realm.backend.mark()
    section = anybody_location(realm.backend.url, "EasKcdProtocolTransition On",
                               "EasKcdDelegateCertificate On",
                               require="Require eas-group S-1-5-21-1-2-3-513")
    gw = gateway(f'SSLVerifyClient optional\nSSLCACertificateFile "{authority.ca_file}"\n'
                 f'EasKcdKeytab "{realm.keytabs["gateway"]}"\nEasKcdRealm {REALM}\n{section}',
                 account=None, krb5_conf=realm.mit.krb5_conf, modules=(*MODULES, "authn_anon"))
    gw.expect("AH01631")
    before = len(realm.mit.log())
    refused(gw, realm.backend, card_of("alice", authority, realm), "EAS1317", 503, BOB)
    assert any(f"s4u-client={ALICE}" in line for line in realm.mit.log()[before:])
    refused(gw, realm.backend, card_of(None, authority, realm), "EAS2096", 403, BOB)


def test_kdc_that_maps_none(cards, lab_dir, authority):
    """MIT's own database modules."""
    plain = Realm(lab_dir / "no-cards")
    try:
        gw = cards(at=plain)
        refused(gw, plain.backend, card_of(None, authority, plain), "EAS2097", 503)
        assert "use EasKcdDelegateUser" in gw.error_log.text()
    finally:
        plain.close()


def test_samba_maps_none(gateway, backends, authority):
    cas1 = backends("cas1")
    gw = gateway(VERIFIED.format(verify="optional", ca=authority.ca_file, backend=cas1.url,
                                 lines="EasKcdDelegateCertificate On"), account="gateway2")
    refused(gw, cas1, authority.certificate("nobody"), "EAS2096")
