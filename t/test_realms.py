# SPDX-License-Identifier: Apache-2.0
"""Two realms of MIT Kerberos with a trust: users of both at a gateway of one."""

import pytest

from lab import krbmsg
from lab.ad import CAS1, CAS2, CAS3
from lab.backend import GssBackend
from lab.client import assert_unavailable
from lab.exchange import both_tokens, location
from lab.frontdoor import CHANGE, FORM, Visitor
from lab.kerberos import Acceptor
from lab.mit import Mit, write_krb5_conf
from lab.relay import Relay
from lab.simulated import PerRequest
from lab.unique import unique_number, unique_path

HERE, THERE = "HERE.EXAMPLE.TEST", "THERE.EXAMPLE.TEST"
OURS = f"EasKcdDomain THERE {THERE}\n"
HOSTS = {"cas1.corp.example.test": HERE, "cas2.corp.example.test": HERE,
         "cas3.corp.example.test": THERE}
PASSWORD = {"hanna": "At-home-in-here-1", "theo": "At-home-in-there-2",
            "thea": "Also-known-in-here-3", "erik": "Out-of-date-6"}

ENCTYPES = {"aes256-sha1": "aes256-cts-hmac-sha1-96", "aes128-sha1": "aes128-cts-hmac-sha1-96",
            "aes256-sha2": "aes256-cts-hmac-sha384-192",
            "aes128-sha2": "aes128-cts-hmac-sha256-128"}


class Realms:
    """Users of `here`, whose database is a directory, and of `there`, whose is db2. `here` refers
    thea to `there`. The backends cas1 and cas2 are services of `here`, cas3 is one of `there`."""

    def __init__(self, path):
        self.path = path
        self.here = Mit(path / "here", HERE, ldap=True).create()
        self.there = Mit(path / "there", THERE).create()
        for realm, users in ((self.here, ("hanna",)), (self.there, ("theo", "thea"))):
            for user in users:
                realm.add(user, PASSWORD[user])
        self.here.add("erik", PASSWORD["erik"], "+needchange")
        self.here.alias("erik", "eric")
        for realm, spns in ((self.here, (CAS1, CAS2)), (self.there, (CAS3,))):
            realm.add("gateway", "Gateway-of-a-realm-4", "+ok_to_auth_as_delegate")
            for spn in spns:
                realm.add(spn, "Backend-of-a-realm-5")
        for short, enctype in ENCTYPES.items():
            self.here.add_service(f"HTTP/{short}", enctype)
        self.here.allow_delegation("gateway", [CAS1, *(f"HTTP/{short}" for short in ENCTYPES)])
        self.here.refer("thea", self.there)
        self.here.trust(self.there)
        ports = {HERE: self.here.port, THERE: self.there.port}
        self.krb5_conf = write_krb5_conf(path / "krb5.conf", ports, HOSTS)
        for realm in (self.here, self.there):
            write_krb5_conf(realm.krb5_conf, ports, HOSTS)
            realm.start()
        self.keytabs = {realm.realm: realm.export_keytab(path / f"{realm.realm}.keytab", ["gateway"])
                        for realm in (self.here, self.there)}

    def conf(self, **ports):
        """A krb5.conf with other ports: HERE=, THERE=."""
        return write_krb5_conf(self.path / "relays.conf",
                               {HERE: ports.get("HERE", self.here.port),
                                THERE: ports.get("THERE", self.there.port)}, HOSTS)

    def close(self):
        self.here.close()
        self.there.close()


@pytest.fixture(scope="module")
def realms(lab_dir):
    made = Realms(lab_dir / "realms")
    yield made
    made.close()


@pytest.fixture(scope="module")
def services(realms):
    """cas1 and cas3, with the keys of their realms."""
    made = {}
    for short, realm, spn in (("cas1", realms.here, CAS1), ("cas3", realms.there, CAS3)):
        root = realms.path / short
        keytab = realm.export_keytab(realms.path / f"{short}.keytab", [spn])
        made[short] = GssBackend(root, keytab, realms.krb5_conf, name=f"{short}.corp.example.test")
        made[short].start()
    yield made
    for backend in made.values():
        backend.stop()


@pytest.fixture
def member(gateway, realms, services):
    """member(conf, "cas1"): a gateway of `here`, or of *realm*."""
    def start(conf="", short="cas1", *lines, realm=HERE, krb5_conf=None, require="Require valid-user"):
        services[short].mark()
        keytab = realms.keytabs[realm]
        return gateway(f'EasKcdKeytab "{keytab}"\nEasKcdRealm {realm}\n{conf}'
                       + location(services[short].url, *lines, require=require),
                       account=None, krb5_conf=krb5_conf or realms.krb5_conf)
    return start


@pytest.fixture
def relays(realms):
    """Relays in front of the KDCs of `here` and `there`, and a krb5.conf with them."""
    made = [Relay(realms.path / "relay.conf", realm.port).start()
            for realm in (realms.here, realms.there)]
    yield *made, realms.conf(HERE=made[0].port, THERE=made[1].port)
    for relay in made:
        relay.stop()


def served(gw, typed, user):
    path = unique_path("/eas")
    answer = gw.get(path, typed, PASSWORD[user])
    assert answer.status == 200
    assert gw.logged(path)["EAS_KCD_USER"] == answer.json()["remote_user"]
    return answer.json()["remote_user"]


def refused(gw, backend, user, tag):
    gw.expect(tag)
    path = unique_path("/eas")
    assert_unavailable(gw.get(path, user, PASSWORD[user]))
    assert gw.logged(path)["EAS_KCD_ERROR"] == tag
    assert backend.requests() == []
    return gw.error_log.text()


@both_tokens
def test_users_of_both_realms(member):
    gw = member(OURS)
    assert served(gw, "hanna", "hanna") == f"hanna@{HERE}"
    assert served(gw, f"theo@{THERE}", "theo") == f"theo@{THERE}"
    assert served(gw, r"THERE\theo", "theo") == f"theo@{THERE}"


@both_tokens
@pytest.mark.parametrize("enctype", ENCTYPES)
def test_each_enctype(gateway, fake_backends, realms, enctype):
    """The ticket has it, and the session key of tokens and replies."""
    spn = f"HTTP/{enctype}"
    keytab = realms.here.export_keytab(realms.path / f"{enctype}-{unique_number()}.keytab", [spn])
    backend = fake_backends(PerRequest(Acceptor(keytab)), proves=False)
    gw = gateway(f'EasKcdKeytab "{realms.keytabs[HERE]}"\nEasKcdRealm {HERE}\n'
                 + location(backend.url, f"EasKcdSPN {spn}"), account=None,
                 krb5_conf=realms.krb5_conf, processes=1)
    for _ in range(2):
        assert served(gw, "hanna", "hanna") == f"hanna@{HERE}"
    assert backend.script.seen == {"accepted": 2}
    issued = [line for line in realms.here.log() if f"for {spn}@{HERE}" in line]
    assert f"ses={ENCTYPES[enctype]}(" in issued[-1]


@pytest.mark.parametrize("typed", ["thea", f"thea@{HERE}", f"thea@{THERE}"])
def test_referral(member, typed):
    assert served(member(OURS), typed, "thea") == f"thea@{THERE}"


def test_wrong_password_after_a_referral(member, realms, services):
    gw = member(OURS)
    before = realms.there.failures("thea")
    assert gw.get("/eas", "thea", "nonsense").status == 401
    assert gw.logged()["EAS_KCD_ERROR"] == "EAS1030"
    assert realms.there.failures("thea") == before + 1
    assert services["cas1"].requests() == []


def test_referral_to_a_realm_that_is_not_ours(member, services, relays):
    """Neither a password nor a name is put to its KDC."""
    here, there, krb5_conf = relays
    gw = member(krb5_conf=krb5_conf)
    assert gw.get("/eas", "thea", PASSWORD["thea"]).status == 401
    assert gw.logged()["EAS_KCD_ERROR"] == "EAS1007"
    assert f"the realm {THERE} of the user is not configured" in gw.error_log.text()
    assert here.counts["KRB-ERROR/68"] == 1
    assert there.messages == []
    assert services["cas1"].requests() == []


def test_realms_that_refer_to_each_other(member, services, relays):
    """The referrals end, and no password is put to either."""
    here, there, krb5_conf = relays
    for relay, realm, other in ((here, HERE, THERE), (there, THERE, HERE)):
        relay.answer(lambda message: message.client == "hanna", krbmsg.error(68, realm, other))
    gw = member(OURS, krb5_conf=krb5_conf)
    assert "EAS1037" in refused(gw, services["cas1"], "hanna", "EAS1037")
    assert here.counts["AS-REQ"] + there.counts["AS-REQ"] == 5
    assert here.counts["AS-REQ/timestamp"] + there.counts["AS-REQ/timestamp"] == 0


def test_expired_password(member, realms, services):
    """The KDC says so before it verifies the password; the form says so only to the owner."""
    gw = member(OURS)
    owner, other = Visitor(gw), Visitor(gw)
    before = realms.here.failures("erik")
    assert other.log_on("erik", "nonsense").header("Location") == f"{FORM}?reason=wrong&destination=%2f"
    assert "EAS1030" in gw.error_log.text()
    assert realms.here.failures("erik") == before + 1
    assert owner.log_on("erik", PASSWORD["erik"]).header("Location") \
        == f"{CHANGE}?reason=expired&destination=%2f"
    assert "EAS1033" in gw.error_log.text()
    assert gw.get("/eas", "erik", PASSWORD["erik"]).status == 401
    assert services["cas1"].requests() == []


def test_guesses_at_an_expired_password_are_counted(member, realms, services):
    """Both names are those of one account, and have one lockout."""
    gw = member("EasKcdLockout 2 30m\n")
    gw.expect("EAS1310")
    before = realms.here.failures("erik")
    for n in range(4):
        for name in ("erik", "eric"):
            gw.get("/eas", name, f"guess {n} of {name}")
    assert before < realms.here.failures("erik") <= before + 3


def test_armour_for_users_of_the_other_realm(member, relays):
    """The gateway's TGT of that realm costs two messages, once."""
    here, there, krb5_conf = relays
    gw = member(OURS, krb5_conf=krb5_conf)
    served(gw, f"theo@{THERE}", "theo")
    assert there.counts["AS-REQ/armored"] == 2
    assert there.counts["AS-REQ/timestamp"] == 0


def test_service_that_is_not_in_the_list(member, services):
    text = refused(member("", "cas1", f"EasKcdSPN {CAS2}"), services["cas1"], "hanna", "EAS2032")
    assert f"does not let gateway@{HERE}, the account of the keytab, delegate to {CAS2}" in text


def test_service_of_another_realm(member, services):
    text = refused(member(OURS, "cas3"), services["cas3"], "hanna", "EAS2035")
    assert f"{CAS3} is a service of the realm {THERE}" in text


def test_db2_knows_no_constrained_delegation(member, services):
    """The KDC's default database: users log on, and are delegated nowhere."""
    refused(member("", "cas3", realm=THERE), services["cas3"], "theo", "EAS2032")
