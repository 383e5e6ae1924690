# SPDX-License-Identifier: Apache-2.0
"""What an Active Directory of a newer Samba does otherwise: resource-based delegation, and expired
passwords that it reports before it verifies any. `make check-newer-ad` runs these tests."""

import pytest

from lab.ad import CAS3, PASSWORDS, REALM, TRUSTED_TO_AUTH, Account
from lab.client import assert_unavailable
from lab.exchange import both_tokens, location
from lab.frontdoor import CHANGE, FORM, Visitor
from lab.unique import unique_path

pytestmark = pytest.mark.newer_ad("the Active Directory of Samba 4.17 lacks what they test")

# Accounts without a right of their own; cas3's names those of `granted`.
GRANTED = {"res": 0, "resany": TRUSTED_TO_AUTH}
OTHERS = {"none": 0, "noneany": TRUSTED_TO_AUTH}
POLLYS = "Only-from-the-gateway-1"


@pytest.fixture(scope="module", autouse=True)
def accounts(domain):
    domain.add(*(Account(name, f"Gateway-of-resources-{name}", flags=flags,
                         spns=(f"HTTP/{name}.corp.example.test",))
                 for name, flags in (GRANTED | OTHERS).items()))
    domain.allow_to_act("backend3", map(domain.sid, GRANTED))
    domain.join("Protected Users", ["carol"])
    yield
    domain.allow_to_act("backend3", [])
    domain.join("Protected Users", [])


@pytest.fixture
def start(gateway, backends):
    """start("res"): a gateway with that account; users log on at /eas, and /act acts for one."""
    def make(account, user="bob", conf="", **options):
        url = backends("cas3").url
        act = (f'EasKcdDelegateUser "{user}@{REALM}"', "EasKcdProtocolTransition On")
        return gateway(conf + location(url) + location(url, *act, path="/act",
                                                require="Require all granted"),
                       account=account, **options)
    return make


def refused(gw, backends, tag, path="/eas", user=None, headers=()):
    gw.expect(tag)
    path = unique_path(path)
    answer = gw.get(path, user, PASSWORDS[user] if user else None, headers)
    assert gw.logged(path)["EAS_KCD_ERROR"] == tag
    assert backends("cas3", mark=False).requests() == []
    return answer


@both_tokens
def test_backend_names_the_gateway(start, domain):
    gw = start("res")
    assert domain.read("res", "msDS-AllowedToDelegateTo") == []
    for user in ("alice", "bob"):
        answer = gw.get("/eas", user, PASSWORDS[user])
        assert answer.status == 200
        assert answer.json()["remote_user"] == f"{user}@{REALM}"


def test_protocol_transition(start):
    answer = start("resany").get("/act")
    assert answer.status == 200
    assert answer.json()["remote_user"] == f"bob@{REALM}"


@pytest.mark.parametrize("account", ["res", "none"])
def test_protocol_transition_without_that_right(start, backends, account):
    """Samba wants forwardable evidence, which AD's resource-based delegation does without: the one
    message names both cures."""
    gw = start(account)
    assert_unavailable(refused(gw, backends, "EAS2031", "/act"))
    text = gw.error_log.text()
    assert f"{account}@{REALM} may not do protocol transition" in text
    assert "TrustedToAuthForDelegation $true" in text
    assert f"PrincipalsAllowedToDelegateToAccount of {CAS3}" in text


@pytest.mark.parametrize("user", ["sandra", "carol"])
def test_user_that_may_not_be_delegated(start, backends, user):
    """Sensitive, and a member of Protected Users."""
    answer = refused(start("res"), backends, "EAS2030", user=user)
    assert answer.status == 403


def test_the_same_by_protocol_transition(start, backends):
    """Sensitive alone: Samba lets it act for members of Protected Users."""
    gw = start("resany", "%{HTTP:X-User}", processes=1)
    headers = [("X-User", "bob")]
    assert gw.get("/act", headers=headers).status == 200    # the account may transition
    backends("cas3")
    answer = refused(gw, backends, "EAS2030", "/act", headers=[("X-User", "sandra")])
    assert answer.status == 403


@pytest.mark.parametrize("account, asks", [("none", {"user": "alice"}), ("noneany", {"path": "/act"})])
def test_backend_does_not_name_the_gateway(start, backends, account, asks):
    gw = start(account)
    assert_unavailable(refused(gw, backends, "EAS2032", **asks))
    text = gw.error_log.text()
    assert f"does not let {account}@{REALM}, the account of the keytab, delegate to {CAS3}" in text
    assert "msDS-AllowedToDelegateTo" in text and "PrincipalsAllowedToDelegateToAccount" in text


def test_expired_password(start, domain, backends):
    """The KDC reports it before it verifies a password; the form reports it to the owner alone."""
    domain.lockout_policy(10)
    try:
        gw = start("res")
        owner, other = Visitor(gw), Visitor(gw)
        assert other.log_on("mike", "nonsense").header("Location") \
            == f"{FORM}?reason=wrong&destination=%2f"
        assert "EAS1030" in gw.error_log.text()
        assert domain.bad_pwd_count("mike") == 1
        assert owner.log_on("mike", PASSWORDS["mike"]).header("Location") \
            == f"{CHANGE}?reason=expired&destination=%2f"
        assert "EAS1033" in gw.error_log.text()
        assert gw.get("/eas", "mike", PASSWORDS["mike"]).status == 401
        assert backends("cas3", mark=False).requests() == []
    finally:
        domain.lockout_policy(0)


@pytest.fixture(scope="module")
def polly(domain):
    """A user who may log on from the gateway's account alone."""
    domain.add_user("polly", POLLYS)
    domain.authenticate_from("polly", "res")
    return "polly"


def test_user_bound_to_the_gateway(start, domain, polly):
    """The gateway's ticket is the armour, and a wrong password one failure."""
    domain.lockout_policy(10)
    try:
        gw = start("res")
        answer = gw.get("/eas", polly, POLLYS)
        assert answer.status == 200
        assert answer.json()["remote_user"] == f"{polly}@{REALM}"
        assert gw.get("/eas?wrong", polly, "wrong").status == 401
        assert gw.logged("/eas?wrong")["EAS_KCD_ERROR"] == "EAS1030"
        assert domain.bad_pwd_count(polly) == 1
    finally:
        domain.lockout_policy(0)


@pytest.mark.parametrize("account, conf", [("res", "EasKcdArmor Off\n"), ("resany", "")])
def test_user_bound_to_another_gateway(start, backends, polly, account, conf):
    gw = start(account, conf=conf)
    path = unique_path("/eas")
    assert gw.get(path, polly, POLLYS).status == 401
    assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1034"
    assert backends("cas3", mark=False).requests() == []
