# SPDX-License-Identifier: Apache-2.0
"""Refused requests: their answers are alike, and none reaches the backend."""

import pytest

from lab import krbmsg
from lab.ad import CAS1, PASSWORDS, REALM
from lab.client import assert_unavailable, basic
from lab.exchange import DOMAINS, VARYING, location
from lab.frontdoor import Visitor
from lab.login_form import TEXTS
from lab.sanitizer import moves_clock
from lab.wait import until

PROVIDER = """
<Location "/basic">
    AuthType Basic
    AuthName "Basic"
    AuthBasicProvider kdc
    Require valid-user
</Location>
"""
CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'


WRONG = {
    "no credentials": (None, None, "EAS1062"),
    "wrong password": ("alice", "nonsense", "EAS1030"),
    "empty password": ("alice", "", "EAS1012"),
    "password with NUL": ("alice", "a\0b", "EAS1012"),
    "unknown user": ("nobody", "nonsense", "EAS1031"),
    "empty name": ("", "nonsense", "EAS1001"),
    "disabled account": ("dirk", PASSWORDS["dirk"], "EAS1032"),
    "disabled, wrong password": ("dirk", "nonsense", "EAS1030"),
    "expired account": ("ernst", PASSWORDS["ernst"], "EAS1032"),
    "password must change": ("mike", PASSWORDS["mike"], "EAS1033"),
    "machine account": ("gateway$", "nonsense", "EAS1002"),
    "service name": ("HTTP/gateway.corp.example.test", "nonsense", "EAS1002"),
    "instance": ("alice/admin", PASSWORDS["alice"], "EAS1002"),
    "TGS": (f"krbtgt/{REALM}@{REALM}", "nonsense", "EAS1002"),
    "unmapped domain": (r"EVIL\alice", PASSWORDS["alice"], "EAS1003"),
    "two backslashes": (r"CORP\\alice", PASSWORDS["alice"], "EAS1003"),
    "no suffix": ("alice@", PASSWORDS["alice"], "EAS1004"),
    "no user part": (f"@{REALM}", PASSWORDS["alice"], "EAS1001"),
    "two suffixes": (f"alice@x@{REALM}", PASSWORDS["alice"], "EAS1004"),
    "foreign realm": ("alice@EVIL.EXAMPLE", PASSWORDS["alice"], "EAS1031"),
    "3000 characters": ("a" * 3000, "nonsense", "EAS1005"),
    "control character": ("ali\x07ce", PASSWORDS["alice"], "EAS1005"),
}


@pytest.fixture
def refusing(gateway, backends):
    """A gateway whose backend must never be reached."""
    cas1 = backends("cas1")
    yield gateway(DOMAINS + location(cas1.url))
    assert cas1.requests() == []


@pytest.mark.smoke
def test_wrong_credentials_are_all_the_same_from_outside(refusing, domain):
    answers = {}
    for what, (user, password, tag) in WRONG.items():
        tag = domain.tag_of(user, tag)
        refusing.mark()
        # With FAST, Samba looks at the account first. A child learns of FAST from an earlier answer.
        tags = {tag, "EAS1032"} if what == "disabled, wrong password" else {tag}
        response = refusing.get("/eas", user, password)
        assert response.status == 401, what
        assert response.all("WWW-Authenticate") == [CHALLENGE], what
        assert refusing.logged()["EAS_KCD_ERROR"] in tags, what
        headers = tuple((n, v) for n, v in response.headers if n not in VARYING)
        answers.setdefault((headers, response.body), []).append(what)
    assert len(answers) == 1, answers


@pytest.mark.parametrize("header", ["Basic", "Basic ", "basic", "Bearer", "Bearer x", "NTLM TlRMTVNTUAABAAAA",
                                    "Negotiate YII=", "Digest username=alice", "\t"])
def test_other_schemes_are_no_credentials(refusing, header):
    response = refusing.get("/eas", headers=[("Authorization", header)])
    assert response.status == 401
    assert response.all("WWW-Authenticate") == [CHALLENGE]


@pytest.mark.parametrize("header", ["Basic !!!!", "Basic YWxpY2U", "Basic " + "A" * 8000,
                                    "Basic YWxpY2U=, Basic Ym9iOng="])
def test_malformed_basic(refusing, header):
    assert refusing.get("/eas", headers=[("Authorization", header)]).status == 401


def test_two_authorization_headers(refusing):
    good = basic("alice", PASSWORDS["alice"])
    response = refusing.get("/eas", headers=[("Authorization", good), ("Authorization", good)])
    assert response.status == 401


@pytest.mark.parametrize("scheme", ["bAsIc ", "Basic   ", "Basic\t"])
def test_lenient_spelling_of_the_scheme(gateway, backends, scheme):
    gw = gateway(location(backends("cas1").url))
    value = basic("alice", PASSWORDS["alice"]).replace("Basic ", scheme)
    assert gw.get("/eas", headers=[("Authorization", value)]).status == 200


# The messages of a guess, after that about the account. What armoured ones hold cannot be seen.
GUESS = {"Off": [[], ["AS-REQ/timestamp"]], "Try": [["AS-REQ/armored"]] * 2}


def guesses(relay):
    messages = [message.labels()[1:] for message in relay.messages
                if message.kind == "AS-REQ" and message.client == "alice"]
    return messages[1:]


@pytest.mark.parametrize("armor", GUESS)
def test_one_guess_is_one_failure_at_the_kdc(gateway, backends, relay, armor):
    relay.reset()
    gw = gateway(f"EasKcdArmor {armor}\n" + location(backends("cas1").url),
                 krb5_conf=relay.krb5_conf)
    assert gw.get("/eas", "alice", "nonsense").status == 401
    assert guesses(relay) == GUESS[armor]
    assert relay.counts["KRB-ERROR/24"] == 1


@pytest.mark.parametrize("armor", GUESS)
def test_primary_kdc_is_not_asked_again(gateway, backends, relay, lab_dir, armor):
    """krb5.conf may name a primary KDC, which libkrb5 asks once more after a refusal."""
    conf = lab_dir / "primary.conf"
    text = relay.krb5_conf.read_text()
    kdc = next(line for line in text.splitlines() if line.strip().startswith("kdc ="))
    conf.write_text(text.replace(kdc, kdc + "\n" + kdc.replace("kdc", "primary_kdc")
                                 + "\n" + kdc.replace("kdc", "admin_server")))
    gw = gateway(f"EasKcdArmor {armor}\n" + location(backends("cas1").url), krb5_conf=conf)
    relay.reset()
    assert gw.get("/eas", "alice", "nonsense").status == 401
    assert guesses(relay) == GUESS[armor]


def test_names_that_cannot_be_users_reach_no_kdc(gateway, backends, relay):
    gw = gateway(location(backends("cas1").url), krb5_conf=relay.krb5_conf)
    relay.reset()
    for user in ("gateway$", "a/b", "a" * 3000, r"EVIL\alice", " "):
        assert gw.get("/eas", user, "nonsense").status == 401
    assert relay.counts.total() == 0


def test_sensitive_user(refusing):
    refusing.expect("EAS2030")
    response = refusing.get("/eas", "sandra", PASSWORDS["sandra"])
    assert response.status == 403
    assert response.header("WWW-Authenticate") is None


POLICY = 12     # KDC_ERR_POLICY


def test_policy_for_tickets_to_the_gateway(gateway, backends, relay):
    """The right password, and a user who may not authenticate to the gateway's account."""
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url) + PROVIDER, krb5_conf=relay.krb5_conf)
    gw.expect("EAS1044", "AH01617")
    relay.answer(lambda message: message.kind == "TGS-REQ" and message.service == "gateway",
                 krbmsg.error(POLICY, REALM))
    response = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert (response.status, response.header("WWW-Authenticate")) == (403, None)
    assert gw.logged()["EAS_KCD_ERROR"] == "EAS1044"
    assert "authentication policy or silo of the gateway's account" in gw.error_log.text()
    page = Visitor(gw).log_on("alice", PASSWORDS["alice"])
    assert page.status == 403
    assert TEXTS["forbidden"] in page.body.decode()
    assert gw.get("/basic", "alice", PASSWORDS["alice"]).status == 401
    assert cas1.requests() == []


def test_policy_for_tickets_to_the_backend(gateway, backends, relay):
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), krb5_conf=relay.krb5_conf)
    gw.expect("EAS2034")
    relay.answer(lambda message: "TGS-REQ/s4u2proxy" in message.labels(),
                 krbmsg.error(POLICY, REALM))
    response = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert (response.status, response.header("WWW-Authenticate")) == (403, None)
    assert gw.logged()["EAS_KCD_ERROR"] == "EAS2034"
    assert "a ticket for HTTP/cas1.corp.example.test" in gw.error_log.text()
    assert cas1.requests() == []


def test_user_outside_require(gateway, backends):
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url, require=f"Require user bob@{REALM}"))
    gw.expect("EAS1063", "AH01631")
    response = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert response.status == 403
    assert response.header("WWW-Authenticate") is None
    assert cas1.requests() == []
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200


def test_unauthenticated_body_is_not_executed_as_a_request(refusing):
    """The body of a refused POST holds a second request; nobody may answer it."""
    inner = (f"GET /eas HTTP/1.1\r\nHost: x\r\n"
             f"Authorization: {basic('alice', PASSWORDS['alice'])}\r\n\r\n").encode()
    with refusing.client() as client:
        assert client.post("/eas", inner).status == 401
        assert client.get("/eas").status == 401
    assert len(until(lambda: refusing.requests()[1:] and refusing.requests(), 5, "two log lines")) == 2


def test_backend_not_in_the_allowed_list(gateway, backends):
    cas3 = backends("cas3")
    gw = gateway(location(cas3.url))
    gw.expect("EAS2032")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert cas3.requests() == []
    assert "msDS-AllowedToDelegateTo" in gw.error_log.text()


def test_unknown_spn(gateway, backends):
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url, "EasKcdSPN HTTP/nowhere.corp.example.test"))
    gw.expect("EAS2033")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert cas1.requests() == []
    assert "setspn -S HTTP/nowhere.corp.example.test" in gw.error_log.text()


def test_kdc_down(gateway, backends, relay):
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), krb5_conf=relay.krb5_conf)
    gw.expect("EAS1036")
    relay.refuse()
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert cas1.requests() == []
    assert "check the domain controllers" in gw.error_log.text()
    relay.relay()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200


@moves_clock
@pytest.mark.parametrize("offset", ["+10m", "-10m"])
def test_clock_off(gateway, backends, offset):
    cas1 = backends("cas1")
    gw = gateway("EasKcdRequireTLS Off\n" + location(cas1.url), clock=True, tls=False)
    gw.expect("EAS1021")
    gw.set_clock(offset)
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert cas1.requests() == []
    assert "synchronise" in gw.error_log.text()
    gw.set_clock("+0")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200


@moves_clock
def test_clock_off_where_libkrb5_does_not_follow_the_kdc(gateway, backends, domain, lab_dir):
    """The KDC then refuses the time in the request."""
    own_time = domain.write_krb5_conf(lab_dir / "own-time.conf", domain.port, "kdc_timesync = 0")
    cas1 = backends("cas1")
    gw = gateway("EasKcdRequireTLS Off\n" + location(cas1.url), clock=True, tls=False,
                 krb5_conf=own_time)
    gw.expect("EAS1035")
    gw.set_clock("+10m")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert gw.logged("/eas")["EAS_KCD_ERROR"] == "EAS1035"
    assert cas1.requests() == []
    gw.set_clock("+0")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200


def test_no_encryption_type_in_common(gateway, backends, domain, lab_dir):
    camellia = domain.write_krb5_conf(lab_dir / "camellia.conf", domain.port,
                                      "permitted_enctypes = camellia256-cts-cmac")
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), krb5_conf=camellia)
    gw.expect("EAS1046")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert gw.logged("/eas")["EAS_KCD_ERROR"] == "EAS1046"
    assert "encryption type" in gw.error_log.text()
    assert cas1.requests() == []


def test_rogue_kdc_cannot_authenticate(gateway, backends, rogue_domain):
    """It knows alice by the attacker's password and issues tickets, but not with our key."""
    from lab.ad import ROGUE
    attackers = next(account.password for account in ROGUE if account.name == "alice")
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), krb5_conf=rogue_domain.krb5_conf)
    gw.expect("EAS1043")
    assert_unavailable(gw.get("/eas", "alice", attackers))
    assert cas1.requests() == []


def test_keytab_that_ad_has_outgrown(gateway, backends, domain, lab_dir):
    """Its account's password was changed afterwards: nobody gets in, and the log says why."""
    domain.add_gateway("oldgateway", "HTTP/oldgateway.corp.example.test")
    domain.allow_delegation("oldgateway", [CAS1])
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url), account="oldgateway")
    domain.rotate_key("oldgateway")
    gw.expect("EAS1043")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert "export it again" in gw.error_log.text()
    assert cas1.requests() == []


@pytest.mark.smoke
def test_keytab_removed_while_running(gateway, backends):
    """The keys stay in memory: passwords are verified and tickets are requested as before."""
    gw = gateway(location(backends("cas1").url))
    gw.allow("EAS1324", because="httpd's parent looks every ten seconds")
    gw.keytab.unlink()
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.json()["remote_user"] == f"alice@{REALM}"


@pytest.mark.smoke
def test_plain_http_is_refused(gateway, backends, relay):
    cas1 = backends("cas1")
    gw = gateway("EasKcdRequireTLS On\n" + location(cas1.url), tls=False, krb5_conf=relay.krb5_conf)
    gw.expect("EAS1060")
    relay.reset()
    response = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert response.status == 403
    assert response.header("WWW-Authenticate") is None
    assert relay.counts.total() == 0 and cas1.requests() == []
