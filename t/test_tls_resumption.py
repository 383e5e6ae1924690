# SPDX-License-Identifier: Apache-2.0
"""EasKcdBackendResume: a user's connection resumes the TLS session of another's.

The five minutes are t/unit/test_resumption's.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.activesync import CHANGED
from lab.client import assert_unavailable
from lab.exchange import ask, location, open_location, trusting
from lab.fake_backend import always_401
from lab.parking import SETTINGS, await_parked, published
from lab.parking import USERS as USERS_OF_PINGS
from lab.revocation import Revocation
from lab.simulated import Bound, PerRequest
from lab.tls import Authority
from lab.two_hosts import HOST_A, HOST_B
from lab.unique import unique_number

NAME = "cas1.corp.example.test"
USERS = ("alice", "bob", "carol", "user01", "user02", "user03")
MANY = [f"user{n:02}" for n in range(1, 13)]
ROUNDS = 20
NO_EXTENDED_MASTER_SECRET = 1       # SSL_OP_NO_EXTENDED_MASTER_SECRET

versions = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])


class Refusing(PerRequest):
    """PerRequest, but refuses the token of each connection that *refuses* says, by its number."""

    def __init__(self, acceptor, refuses):
        super().__init__(acceptor)
        self.refuses = refuses

    def __call__(self, request):
        return always_401(request) if self.refuses(request.connection) else super().__call__(request)


@pytest.fixture
def backend(fake_backends, keeper):
    """Accepts Kerberos tokens, over TLS."""
    return fake_backends(PerRequest(keeper.acceptor), tls=True, proves=False)


@pytest.fixture
def refusing(fake_backends, keeper):
    """refusing(refuses): likewise; refuses(resumed, number) is about each connection."""
    def start(refuses):
        made = fake_backends(Refusing(
            keeper.acceptor, lambda number: refuses(made.resumed[number - 1], number)),
            tls=True, proves=False)
        return made
    return start


def visit(gw, *users, path="/eas", headers=()):
    """A request of each, one after the other."""
    for user in users:
        assert ask(gw, path, user, headers=headers).status == 200


@versions
@pytest.mark.smoke
def test_users_resume_one_session(gateway, backend, authority, version):
    """Each on an own connection, that is kept, with the right answer."""
    gw = gateway(trusting(authority) + f"SSLProxyProtocol {version}\n" + location(backend.url),
                 processes=1)
    visit(gw, *USERS[:4], *USERS[:4])
    assert backend.resumed == [False, True, True, True]
    assert [request.connection for request in backend.requests] == [1, 2, 3, 4] * 2


@pytest.mark.parametrize("reuse", ["On", "Off"])
@versions
def test_connections_at_once(gateway, backend, authority, version, reuse):
    """Threads share what they resume, and each user gets the right answers."""
    gw = gateway(trusting(authority) + f"SSLProxyProtocol {version}\n"
                 + location(backend.url, f"EasKcdBackendReuse {reuse}"), processes=1)

    def visits(user):
        with gw.client() as client:
            return [ask(client, "/eas", user).status for _ in range(ROUNDS)]

    with ThreadPoolExecutor(len(MANY)) as pool:
        assert list(pool.map(visits, MANY)) == [[200] * ROUNDS] * len(MANY)
    assert backend.connections == len(MANY) * (ROUNDS if reuse == "Off" else 1)
    assert 1 <= backend.resumed.count(False) <= len(MANY)


@pytest.mark.parametrize("mpm", ["prefork", "worker"])
def test_other_mpms(gateway, backend, authority, mpm):
    gw = gateway(trusting(authority) + location(backend.url), mpm=mpm, processes=1)
    visit(gw, *USERS[:3])
    gw.graceful()
    visit(gw, *USERS[:3])
    assert backend.resumed == [False, True, True] * 2


def test_parked_pings(gateway, exchange, authority, pings):
    """A Ping's session is remembered as it parks, long before its response."""
    server, backend = exchange(tls=True)
    gw = gateway(SETTINGS + trusting(authority) + published(backend), tls=False, processes=1)
    polls, clients = pings(gw, server), []
    for user in USERS_OF_PINGS:
        clients.append(polls.hold(user))
        await_parked(gw, len(clients))
    assert backend.resumed == [False] + [True] * 7
    server.change()
    assert [client.receive().body for client in clients] == [CHANGED] * 8


def test_each_child_has_its_own(gateway, backend, authority):
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    visit(gw, "alice", "bob")
    gw.graceful()
    visit(gw, "alice", "bob")
    assert backend.resumed == [False, True] * 2


@pytest.mark.parametrize("outer,inner", [("", "Off"), ("Off", ""), ("On", "Off")])
def test_off(gateway, backend, authority, outer, inner):
    outer, inner = (f"EasKcdBackendResume {value}\n" if value else "" for value in (outer, inner))
    gw = gateway(trusting(authority) + outer + location(backend.url, inner), processes=1)
    visit(gw, *USERS[:3])
    assert backend.resumed == [False] * 3


def test_inner_section_switches_on(gateway, backend, authority):
    gw = gateway(trusting(authority) + "EasKcdBackendResume Off\n"
                 + location(backend.url, "EasKcdBackendResume On"), processes=1)
    visit(gw, *USERS[:2])
    assert backend.resumed == [False, True]


def test_requests_without_a_user_have_no_part(gateway, backend, authority):
    """On mod_proxy's own connections."""
    gw = gateway(trusting(authority) + location(backend.url) + open_location(backend.url),
                 processes=1)
    visit(gw, "alice")
    gw.get("/open")
    visit(gw, "bob")
    assert backend.resumed == [False, False, True]


@pytest.mark.parametrize("check", ["leaf", "chain"])
def test_not_with_revocation_lists(gateway, backend, authority, check):
    """OpenSSL reads none for a resumed session."""
    gw = gateway(trusting(authority) + f'SSLProxyCARevocationCheck {check}\n'
                 f'SSLProxyCARevocationFile "{Revocation(authority).crl()}"\n'
                 + location(backend.url), processes=1)
    visit(gw, *USERS[:3])
    assert backend.resumed == [False] * 3


@pytest.mark.parametrize("verify,resumes", [("none", True), ("optional_no_ca", False)])
def test_unverified_certificate(gateway, backend, lab_dir, verify, resumes):
    """Where mod_ssl asks for a verification that fails, there is none that counts for others."""
    stranger = Authority(lab_dir / f"stranger-{unique_number()}")
    gw = gateway(trusting(stranger) + f"SSLProxyVerify {verify}\n" + location(backend.url),
                 processes=1)
    visit(gw, *USERS[:3])
    assert backend.resumed == [False, resumes, resumes]


def test_old_tls_needs_the_extended_master_secret(gateway, fake_backends, keeper, authority):
    backend = fake_backends(PerRequest(keeper.acceptor), tls=True, proves=False,
                            tls_options=NO_EXTENDED_MASTER_SECRET)
    gw = gateway(trusting(authority) + "SSLProxyProtocol TLSv1.2\n" + location(backend.url),
                 processes=1)
    visit(gw, *USERS[:3])
    assert backend.resumed == [False] * 3


def hosts(backend, a, b):
    """Two virtual hosts, with lines of their own."""
    return "EasKcdRequireTLS Off\n" + "".join(f"""
<VirtualHost *>
    ServerName {name}.example.test
    {more}
    {location(backend.url)}
</VirtualHost>
""" for name, more in (("a", a), ("b", b)))


def test_not_for_a_host_with_other_authorities(gateway, backend, authority, lab_dir):
    stranger = Authority(lab_dir / f"stranger-{unique_number()}")
    gw = gateway(hosts(backend, trusting(authority), trusting(stranger)), tls=False, processes=1)
    gw.expect("EAS2088")
    gw.allow("AH01084", "AH01097", "AH00898", "AH02039", because="mod_proxy and mod_ssl complain, too")
    visit(gw, "alice", "bob", headers=HOST_A)
    assert backend.resumed == [False, True]
    assert ask(gw, "/eas", "carol", headers=HOST_B).status == 502
    assert len(backend.requests) == 2
    visit(gw, "carol", headers=HOST_A)
    assert backend.resumed[-1]


def test_each_host_has_its_own(gateway, backend, authority):
    """mod_ssl's session id context would end the handshake."""
    gw = gateway(hosts(backend, trusting(authority), trusting(authority)), tls=False, processes=1)
    for user in USERS[:2]:
        for host in (HOST_A, HOST_B):
            visit(gw, user, headers=host)
    assert backend.resumed == [False, False, True, True]


def test_not_for_another_name(gateway, backend, authority):
    """The certificate of the session is not for it."""
    other = backend.url.replace("cas1", "cas2")
    gw = gateway(trusting(authority) + location(backend.url) + location(other, path="/other"),
                 processes=1)
    gw.expect("EAS2088")
    gw.allow("AH01084", "AH01097", "AH00898", because="mod_proxy complains, too")
    visit(gw, "alice", "bob")
    assert ask(gw, "/other", "carol").status == 502
    assert len(backend.requests) == 2
    # A backend that is still in the handshake may not see how it ends.
    assert backend.resumed[:2] == [False, True] and True not in backend.resumed[2:]
    visit(gw, "carol")
    assert backend.resumed[-1:] == [True]


def test_names_share_none(gateway, backend, authority):
    """Not even where mod_ssl compares no names."""
    other = backend.url.replace("cas1", "cas2")
    gw = gateway(trusting(authority) + "SSLProxyCheckPeerName Off\nSSLProxyCheckPeerCN Off\n"
                 + location(backend.url) + location(other, path="/other"), processes=1)
    for user in USERS[:2]:
        visit(gw, user)
        visit(gw, user, path="/other")
    assert backend.resumed == [False, False, True, True]


@versions
def test_exchanged_certificate(gateway, fake_backends, keeper, authority, version):
    """A token is bound to the session's certificate, and Extended Protection refuses it. The second
    try makes a full handshake."""
    demanding = Bound(keeper.acceptor)
    backend = fake_backends(demanding, tls=authority.certificate(NAME), proves=False)
    gw = gateway(trusting(authority) + f"SSLProxyProtocol {version}\n" + location(backend.url),
                 processes=1)
    visit(gw, *USERS[:2])
    assert demanding.seen == {"accepted": 2}
    backend.exchange(authority.certificate(NAME, number=unique_number()))
    visit(gw, "carol")
    assert demanding.seen == {"accepted": 3, "refused": 1}
    assert all("bindings" in error for error in demanding.errors)
    visit(gw, *USERS[3:])
    assert demanding.seen == {"accepted": 6, "refused": 1}
    assert backend.resumed == [False, True, True, False, True, True, True]


def test_refused_token_forgets(gateway, refusing, authority):
    backend = refusing(lambda resumed, number: number == 2)
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    visit(gw, *USERS[:3])
    assert backend.resumed == [False, True, False, True]


def test_token_that_is_refused_by_the_first(gateway, refusing, authority):
    """Its own session, too."""
    backend = refusing(lambda resumed, number: number == 1)
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    visit(gw, *USERS[:2])
    assert backend.resumed == [False, False, True]


def test_backend_that_refuses_each_resumed_connection(gateway, refusing, authority):
    """It costs two requests a second try, and then none for five minutes."""
    backend = refusing(lambda resumed, number: resumed)
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    visit(gw, *USERS)
    assert backend.resumed == [False, True, False, True, False, False, False, False]


def test_connection_without_a_response_forgets(gateway, fake_backends, keeper, authority):
    backend = fake_backends(PerRequest(keeper.acceptor), tls=True, proves=False)
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    gw.expect("EAS2057")
    gw.allow("AH01102", "AH00898", "AH01097", because="mod_proxy complains of the backend")
    visit(gw, "alice")
    served = backend.script
    backend.script = lambda request: None
    assert_unavailable(ask(gw, "/eas", "bob"))
    assert gw.logged()["EAS_KCD_ERROR"] == "EAS2057"
    backend.script = served
    visit(gw, *USERS[2:4])
    assert backend.resumed == [False, True, False, True]


def test_balancer(gateway, fake_backends, keeper, authority):
    """Its members share none."""
    first, second = (fake_backends(PerRequest(keeper.acceptor), short, tls=True, proves=False)
                     for short in ("cas1", "cas2"))
    gw = gateway(trusting(authority) + f"""
<Proxy "balancer://cas">
    BalancerMember "{first.url}"
    BalancerMember "{second.url}"
</Proxy>
""" + location("balancer://cas"), processes=1)
    for user, _ in itertools.product(USERS[:3], range(2)):
        visit(gw, user)
    assert first.resumed == second.resumed == [False, True, True]
