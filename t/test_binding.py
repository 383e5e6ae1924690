# SPDX-License-Identifier: Apache-2.0
"""Tokens are bound to the TLS connection that they leave on (tls-server-end-point, RFC 5929): a
backend with Extended Protection "required" takes no others."""

import pytest

from lab.ad import PASSWORDS
from lab.between import Between
from lab.client import assert_unavailable
from lab.exchange import ask, both_tokens, location, trusting
from lab.httpd import DEBIAN_MODULES
from lab.simulated import Bound, PerRequest

NAME = "cas1.corp.example.test"


@pytest.fixture
def demanding(keeper):
    """A script that accepts bound tokens only."""
    return Bound(keeper.acceptor)


@pytest.fixture
def between(authority):
    """between(backend): somebody in front of it with another certificate for the same name."""
    made = []

    def start(backend):
        made.append(Between(backend, authority.certificate(NAME, number=2)))
        return made[-1].start()

    yield start
    for relay in made:
        relay.stop()


@both_tokens
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_bound_from_the_first_request(gateway, fake_backends, authority, demanding, digest,
                                      version):
    """The hash is the one of the certificate's signature."""
    backend = fake_backends(demanding, tls=authority.certificate(NAME, digest), proves=False)
    gw = gateway(trusting(authority) + f"SSLProxyProtocol {version}\n" + location(backend.url),
                 processes=1)
    for user in ("alice", "bob") * 3:
        assert ask(gw, "/eas", user).status == 200
    assert demanding.seen == {"accepted": 6}
    assert backend.connections == 2
    assert "EAS2056" not in gw.error_log.tags()


@both_tokens
def test_bodies_arrive_bound_as_well(gateway, fake_backends, authority, demanding):
    backend = fake_backends(demanding, tls=True, proves=False)
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    for size in (0, 1, 100_000, 1_000_000):
        assert ask(gw, "/eas", "alice", "POST", body=bytes(size)).json()["body_length"] == size
    assert demanding.seen == {"accepted": 4}


@both_tokens
@pytest.mark.parametrize("reuse", ["On", "Off"])
def test_each_connection_has_its_own(gateway, fake_backends, authority, demanding, reuse):
    backend = fake_backends(demanding, tls=True, proves=False)
    gw = gateway(trusting(authority) + location(backend.url, f"EasKcdBackendReuse {reuse}"),
                 processes=1)
    for _ in range(5):
        assert ask(gw, "/eas", "alice").status == 200
    assert backend.connections == (1 if reuse == "On" else 5)


@both_tokens
def test_off(gateway, fake_backends, authority, demanding):
    """Without a binding, such a backend refuses: that this is so shows that the others are bound."""
    backend = fake_backends(demanding, tls=True, proves=False)
    gw = gateway(trusting(authority) + location(backend.url, "EasKcdChannelBinding Off"),
                 processes=1)
    gw.expect("EAS2063")
    answer = ask(gw, "/eas", "alice")
    assert answer.status == 503 and answer.header("Retry-After") == "30"
    assert demanding.seen["unbound"] == demanding.seen["accepted"] >= 1


@both_tokens
@pytest.mark.parametrize("binding", ["On", "Off"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_backend_that_does_not_care(gateway, fake_backends, authority, keeper, binding, tls):
    lenient = PerRequest(keeper.acceptor)
    backend = fake_backends(lenient, tls=tls, proves=False)
    gw = gateway(trusting(authority) + location(backend.url, f"EasKcdChannelBinding {binding}"),
                 processes=1)
    assert ask(gw, "/eas", "alice").status == 200
    accepted = lenient.accept(backend.requests[0])
    assert accepted.bound is (tls and binding == "On")


@both_tokens
@pytest.mark.smoke
def test_tls_proxy_in_between(gateway, fake_backends, authority, demanding, between):
    """A certificate that the gateway trusts, but not the backend's: the token is worth nothing at
    the backend, not even to one who only hands it on."""
    backend = fake_backends(demanding, tls=True, proves=False)
    relay = between(backend)
    gw = gateway(trusting(authority) + location(relay.url), processes=1)
    gw.expect("EAS2063")
    answer = ask(gw, "/eas", "alice")
    assert answer.status == 503 and answer.header("Retry-After") == "30"
    assert relay.connections >= 1
    assert demanding.seen == {"refused": len(backend.requests)}
    assert demanding.errors and all("bindings" in error for error in demanding.errors)


def test_tls_proxy_without_channel_binding(gateway, fake_backends, authority, demanding,
                                                between, keeper):
    """The relay itself works: with tokens that are not bound, and a backend that does not care."""
    backend = fake_backends(PerRequest(keeper.acceptor), tls=True, proves=False)
    gw = gateway(trusting(authority) + location(between(backend).url, "EasKcdChannelBinding Off"),
                 processes=1)
    assert ask(gw, "/eas", "alice").status == 200


def test_balancer_binds_to_each_member(gateway, fake_backends, authority, keeper):
    members = [Bound(keeper.acceptor), Bound(keeper.acceptor)]
    first, second = (fake_backends(script, short, tls=True, proves=False)
                     for script, short in zip(members, ("cas1", "cas2")))
    gw = gateway(trusting(authority) + f"""
<Proxy "balancer://cas">
    BalancerMember "{first.url}"
    BalancerMember "{second.url}"
</Proxy>
""" + location("balancer://cas"), processes=1)
    for _ in range(4):
        assert ask(gw, "/eas", "alice").status == 200
    assert [script.seen for script in members] == [{"accepted": 2}] * 2


def test_graceful_restart_keeps_binding(gateway, fake_backends, authority, demanding):
    backend = fake_backends(demanding, tls=True, proves=False)
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    for _ in range(2):
        assert ask(gw, "/eas", "alice").status == 200
        gw.graceful()
    assert set(demanding.seen) == {"accepted"}


@pytest.fixture(scope="module")
def silent_ssl(lab_dir):
    """A mod_ssl that reports no handshake: the name of its hook is another one."""
    name = b"proxy_post_handshake\0"
    original = (DEBIAN_MODULES / "mod_ssl.so").read_bytes()
    assert original.count(name) == 1
    made = lab_dir / "silent-mod_ssl.so"
    made.write_bytes(original.replace(name, b"proxy_post_handshak_\0"))
    return made


@both_tokens
@pytest.mark.parametrize("binding", ["On", "Off"])
def test_no_token_without_the_certificate(gateway, fake_backends, authority, keeper, silent_ssl,
                                          binding):
    """With On, no token leaves unbound, whatever the reason; with Off, none is bound."""
    lenient = PerRequest(keeper.acceptor)
    backend = fake_backends(lenient, tls=True, proves=False)
    gw = gateway(trusting(authority) + location(backend.url, f"EasKcdChannelBinding {binding}"),
                 own_modules={"ssl": silent_ssl}, processes=1)
    if binding == "Off":
        assert ask(gw, "/eas", "alice").status == 200
        assert not lenient.accept(backend.requests[0]).bound
        return
    gw.expect("EAS2094", "AH01084", "AH01097")
    for _ in range(2):
        assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
        assert gw.logged()["EAS_KCD_ERROR"] == "EAS2094"
    assert backend.requests == [] and lenient.seen == {}
