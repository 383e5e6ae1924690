# SPDX-License-Identifier: Apache-2.0
"""Basic in, Kerberos out: who does a backend see that nobody here wrote?"""

import pytest

from lab.ad import CAS1, PASSWORDS, REALM, TRUSTED_TO_AUTH, UPN_SUFFIX
from lab.exchange import DOMAINS, both_tokens, location
from lab.fake_backend import response
from lab.kerberos import Acceptor, kinit


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_backend_sees_the_user(gateway, backends, authority, tls):
    cas1 = backends("cas1", tls=tls)
    gw = gateway(f'SSLProxyEngine On\nSSLProxyVerify require\n'
                 f'SSLProxyCACertificateFile "{authority.ca_file}"\n' + location(cas1.url))
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.status == 200
    assert answer.json()["remote_user"] == f"alice@{REALM}"


@pytest.mark.parametrize("name", ["bob", "BOB", r"CORP\bob", r"corp\Bob", f"bob@{REALM}",
                                  "bob@corp.example.test", f"bob.builder@{UPN_SUFFIX}",
                                  f"Bob.Builder@{UPN_SUFFIX.upper()}", r"\bob", " bob", "bob\t ",
                                  r" CORP \ bob", rf"CORP\bob@{REALM}",
                                  rf"CORP\bob.builder@{UPN_SUFFIX}",
                                  f" bob.builder @ {UPN_SUFFIX} ", "\u00a0bob\u3000", "bob\u200b",
                                  "CORP\uff3cbob", f"bob\uff20{REALM}", f"bob@{REALM}.",
                                  f"bob.builder@{UPN_SUFFIX}. ", rf"{REALM}.\bob"])
def test_every_spelling_is_the_same_user(gateway, backends, name):
    gw = gateway(DOMAINS + location(backends("cas1").url))
    answer = gw.get("/eas", name, PASSWORDS["bob"])
    assert answer.status == 200
    assert answer.json()["remote_user"] == f"bob@{REALM}"
    assert gw.logged()["EAS_KCD_USER"] == f"bob@{REALM}"


def test_variables_of_the_module_replace_others(gateway, backends):
    """Whatever the configuration has set before, in any letter case."""
    others = "".join(f"SetEnvIf Request_URI . {name}=other\n" for name in (
        "eas_kcd_user", "EAS_KCD_AUTH", "EAS_KCD_SPN", "EAS_KCD_TICKET", "EAS_KCD_KDC_US"))
    gw = gateway(others + location(backends("cas1").url))
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    logged = gw.logged()
    assert logged["EAS_KCD_USER"] == f"bob@{REALM}"
    assert logged["EAS_KCD_AUTH"] == "basic"
    assert logged["EAS_KCD_SPN"] == CAS1
    assert "other" not in logged.values()


def test_mapped_upn_suffix(gateway, backends):
    gw = gateway(f"EasKcdDomain {UPN_SUFFIX} {REALM}\n" + location(backends("cas1").url))
    answer = gw.get("/eas", f"bob.builder@{UPN_SUFFIX}", PASSWORDS["bob"])
    assert answer.json()["remote_user"] == f"bob@{REALM}"


def test_use_kerberos_only_suffices(domain, gateway, backends):
    """The gateway's account is not trusted to authenticate for delegation, and need not be."""
    assert not int(domain.read("gateway", "userAccountControl")[0]) & TRUSTED_TO_AUTH
    gw = gateway(location(backends("cas1").url), account="gateway")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 100_000, 1_000_000])
def test_bodies_arrive_whole(gateway, fake_backends, size, framing):
    body = bytes(i * 7 % 256 for i in range(size))
    backend = fake_backends(lambda request: response("200 OK"))
    gw = gateway(location(backend.url))
    headers = [("Transfer-Encoding", "chunked")] if framing == "chunked" else []
    assert gw.post("/eas", body, "alice", PASSWORDS["alice"], headers).status == 200
    assert backend.requests[0].body == body


def test_warm_user_costs_the_kdc_nothing(gateway, backends, relay):
    gw = gateway(location(backends("cas1").url), krb5_conf=relay.krb5_conf, processes=1)
    with gw.client() as client:
        assert client.get("/eas", "alice", PASSWORDS["alice"]).status == 200
        cold = gw.logged()
        assert (cold["EAS_KCD_TICKET"], cold["EAS_KCD_AUTH"]) == ("fetched", "basic")
        assert int(cold["EAS_KCD_KDC_US"]) > 0
        relay.reset()
        for _ in range(20):
            assert client.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert relay.counts.total() == 0
    warm = gw.logged()
    assert warm["EAS_KCD_TICKET"] == "hit"
    assert warm["EAS_KCD_AUTH"] == "cached"
    assert warm["EAS_KCD_SPN"] == CAS1


@pytest.mark.smoke
def test_cold_login_is_four_messages(gateway, backends, relay):
    """Two for the password, one for the evidence, one for the backend's ticket; the gateway's own
    TGT is there already. One more tells which account it is, when a name is seen so for the first
    time."""
    gw = gateway(location(backends("cas1").url), krb5_conf=relay.krb5_conf, processes=1)
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    relay.reset()
    assert gw.get("/eas", "carol", PASSWORDS["carol"]).status == 200
    assert (relay.counts["AS-REQ"], relay.counts["TGS-REQ"]) == (1 + 2, 2)


def test_every_request_has_a_token_of_its_own(gateway, fake_backends, domain, lab_dir):
    """An authenticator may be used once; the acceptor's replay cache would refuse a second."""
    seen = []
    keytab = domain.export_keytab(lab_dir / "once.keytab", [CAS1])

    def script(request):
        seen.append(request.authorization)
        return response("200 OK")

    gw = gateway(location(fake_backends(script).url))
    for _ in range(5):
        assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert len(set(seen)) == 5
    acceptor = Acceptor(keytab)
    assert {acceptor.accept(value).user for value in seen} == {f"alice@{REALM}"}


def test_balancer_gives_each_member_a_ticket_of_its_own(gateway, backends, fake_backends):
    """The first member refuses connections; the second gets a ticket for its own SPN."""
    dead = fake_backends(lambda request: b"")
    dead.stop()
    cas2 = backends("cas2")
    gw = gateway(f"""
<Proxy "balancer://cas">
    BalancerMember "{dead.url}" retry=60
    BalancerMember "{cas2.url}" status=+H
</Proxy>
""" + location("balancer://cas"))
    gw.expect("AH00957", "AH00959", "AH01114")
    for _ in range(3):
        answer = gw.get("/eas", "alice", PASSWORDS["alice"])
        assert answer.status == 200
        assert answer.json()["remote_user"] == f"alice@{REALM}"
    assert gw.logged()["EAS_KCD_SPN"] == "HTTP/cas2.corp.example.test"


def test_a_user_error_takes_no_member_out(gateway, backends):
    cas1, cas2 = backends("cas1"), backends("cas2")
    gw = gateway(f"""
<Proxy "balancer://cas">
    BalancerMember "{cas1.url}" retry=600
    BalancerMember "{cas2.url}" retry=600
</Proxy>
""" + location("balancer://cas"))
    gw.expect("EAS2030")
    for _ in range(4):
        assert gw.get("/eas", "sandra", PASSWORDS["sandra"]).status == 403
    kept = {gw.get("/eas", "alice", PASSWORDS["alice"]).json()["connection"] for _ in range(8)}
    assert len(kept) in range(2, 5)      # at two backends, by two processes
    assert cas1.requests() and cas2.requests()


def test_spn_pattern(gateway, backends):
    gw = gateway(location(backends("cas2").url, "EasKcdSPN HTTP/%h"))
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert gw.logged()["EAS_KCD_SPN"] == "HTTP/cas2.corp.example.test"


@pytest.mark.smoke
def test_fixed_spn(gateway, fake_backends):
    """Behind a load balancer every member runs under one account (ASA)."""
    backend = fake_backends(lambda request: b"HTTP/1.1 204 No Content\r\n\r\n", "cas2")
    gw = gateway(location(backend.url, f"EasKcdSPN {CAS1}"))
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 204
    assert gw.logged()["EAS_KCD_SPN"] == CAS1


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_mpm(gateway, backends, mpm):
    gw = gateway(location(backends("cas1").url), mpm=mpm)
    for user in ("alice", "bob", "alice"):
        answer = gw.get("/eas", user, PASSWORDS[user])
        assert answer.json()["remote_user"] == f"{user}@{REALM}"


@both_tokens
def test_poisoned_environment_changes_nothing(gateway, backends, domain, lab_dir):
    """An ambient ccache of somebody else is what the GSSAPI's mechanism glue would fall back to."""
    ccache = lab_dir / "poison"
    kinit(domain.krb5_conf, ccache, f"carol@{REALM}", password=PASSWORDS["carol"])
    ccache.chmod(0o644)
    gw = gateway(location(backends("cas1").url, "EasKcdProtocolTransition On"),
                 env={"KRB5CCNAME": f"FILE:{ccache}"})
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).json()["remote_user"] == f"alice@{REALM}"
