# SPDX-License-Identifier: Apache-2.0
"""A backend connection has one owner, a user or nobody, and serves that owner for long."""

import os
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from lab.activesync import CHANGED, PATH
from lab.ad import CAS1, CAS2, PASSWORDS, REALM
from lab.backend import GssBackend
from lab.client import assert_unavailable
from lab.errorlog import Entry
from lab.exchange import ask, both_tokens, location, open_location, trusting
from lab.fake_backend import response
from lab.gateway import MODULES, module_without_veto
from lab.owners import THREE, owners
from lab.simulated import echo, persistent
from lab.wait import connections, until

USERS = [f"user{n:02}" for n in range(1, 21)]
MPMS = ("event", "worker", "prefork")


# --- reuse -----------------------------------------------------------------------------------

@both_tokens
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_one_user_keeps_one_connection(gateway, fake_backends, authority, per_request, tls):
    backend = fake_backends(per_request, tls=tls, proves=False, reuse=True)
    gw = gateway(trusting(authority) + location(backend.url), processes=1, reuse=True)
    with gw.client() as client:
        for _ in range(50):
            assert ask(client, "/eas", "alice").status == 200
    assert backend.connections == 1
    assert per_request.seen == {"accepted": 50}
    assert len({request.authorization for request in backend.requests}) == 50


@pytest.mark.parametrize("parameters", ["", "enablereuse=on keepalive=On", "max=1 smax=1 ttl=300"])
def test_reuse_off(gateway, fake_backends, first_user, parameters):
    backend = fake_backends(first_user, proves=False)
    gw = gateway(location(backend.url, "EasKcdBackendReuse Off", parameters=parameters)
                 + open_location(backend.url), processes=1)
    with gw.client() as client:
        for path, user in [("/eas", "alice")] * 5 + [("/open", None)] * 5:
            assert ask(client, path, user).status == 200
    # Those without a token still share.
    assert [request.connection for request in backend.requests] == [1, 2, 3, 4, 5] + [6] * 5
    until(lambda: connections(backend.port) <= 1, 10, "the delegated ones to be closed")


@both_tokens
@pytest.mark.parametrize("pools", [1, 2, 64])
@pytest.mark.parametrize("reuse", ["On", "Off"])
def test_users_share_no_connection(gateway, fake_backends, keeper, first_user, pools,
                                                reuse):
    """The backend serves whatever comes on a connection as that connection's first user."""
    backend = fake_backends(first_user, proves=False, reuse=True)
    gw = gateway(f"EasKcdBackendPools {pools}\nEasKcdBackendReuse {reuse}\n"
                 + location(backend.url, require="Require all granted")
                 + open_location(backend.url), processes=1, reuse=True)
    with gw.client() as client:
        for _ in range(10):
            for user in THREE:
                assert ask(client, "/eas", user).status == 200
                assert ask(client, "/open").status == 200
                assert ask(client, "/eas").status == 200
    found = owners(backend, keeper)
    assert {len(users) for users in found.values()} == {1}
    assert {user for users in found.values() for user in users} == {
        None, *(f"{user}@{REALM}" for user in THREE)}
    if reuse == "On":
        assert len([users for users in found.values() if users == {None}]) == 1
    if reuse == "On" and pools == 64:
        assert len(found) < len(backend.requests) // 2


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("mpm", MPMS)
def test_connection_bound_backend(gateway, backends, authority, mpm, tls):
    """mod_auth_gssapi, told to authenticate connections."""
    bound = backends("cas1", tls=tls, connection_bound=True)
    gw = gateway(trusting(authority) + location(bound.url) + open_location(bound.url), mpm=mpm,
                 processes=1)
    with gw.client() as client:
        for _ in range(10):
            for user in THREE:
                assert ask(client, "/eas", user).status == 200
                assert ask(client, "/open").status == 401


@both_tokens
@pytest.mark.smoke
def test_one_user_and_two_services(gateway, fake_backends, keeper, per_request):
    """The same backend, and the same user, under two service principal names."""
    backend = fake_backends(per_request, proves=False)
    gw = gateway(location(backend.url, f"EasKcdSPN {CAS1}", path="/one")
                 + location(backend.url, f"EasKcdSPN {CAS2}", path="/two"), processes=1)
    with gw.client() as client:
        for _ in range(10):
            for path in ("/one", "/two"):
                assert ask(client, path, "alice").status == 200
    services = defaultdict(set)
    for request in backend.requests:
        context = keeper.acceptor.accept(request.authorization).context
        services[request.connection].add(str(context.target_name))
    assert {len(spns) for spns in services.values()} == {1}
    assert len({spn for spns in services.values() for spn in spns}) == 2


@pytest.mark.parametrize("mpm, token", [("event", "gssapi"), *((mpm, "native") for mpm in MPMS)])
def test_many_users_many_threads(gateway, fake_backends, keeper, first_user, mpm):
    """Fewer pools than users, so that they meet in them."""
    backend = fake_backends(first_user, proves=False)
    gw = gateway("EasKcdRequireTLS Off\nEasKcdBackendPools 4\nEasKcdKdcTimeout 60s\n"
                 + location(backend.url) + open_location(backend.url), tls=False, mpm=mpm,
                 processes=8 if mpm == "prefork" else 2)

    def work(number):
        with gw.client(timeout=60) as client:
            return [ask(client, *asked).status for user in USERS[number:] + USERS[:number]
                    for asked in [("/eas", user), ("/open",)]]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for result in pool.map(work, range(8)) for status in result]
    assert statuses == [200] * (8 * 40)
    assert {len(users) for users in owners(backend, keeper).values()} == {1}


def test_health_checks(gateway, fake_backends, keeper, first_user):
    """mod_proxy_hcheck asks on its own account, and is nobody."""
    backend = fake_backends(first_user, proves=False)
    gw = gateway(f"""
<Proxy "balancer://cas">
    BalancerMember "{backend.url}" hcmethod=HEAD hcinterval=100ms hcuri=/health
</Proxy>
""" + location("balancer://cas") + open_location("balancer://cas"), processes=1,
                 modules=(*MODULES, "proxy_hcheck"))

    def checks():
        return [request for request in backend.requests if request.path == "/health"]

    for round_ in range(3):
        for who in THREE:
            assert ask(gw, "/eas", who).status == 200
        assert ask(gw, "/open").status == 200
        until(lambda: len(checks()) > 2 * round_, 10, "health checks")
    assert not [request for request in checks() if request.authorization]
    assert {len(users) for users in owners(backend, keeper).values()} == {1}


# --- a backend with few threads --------------------------------------------------------------

def test_users_in_turns_keep_their_connections(gateway, fake_backends, per_request):
    """As many as EasKcdBackendPools says, each with one connection."""
    backend = fake_backends(per_request, proves=False)
    gw = gateway(f"EasKcdBackendPools {len(USERS)}\n" + location(backend.url), processes=1,
                 threads=len(USERS) // 2)
    for user in USERS * 4:
        assert ask(gw, "/eas", user).status == 200
    assert backend.connections == len(USERS)


def test_idle_connections_are_no_more_than_max(gateway, fake_backends, per_request):
    """Whoever they belong to."""
    backend = fake_backends(per_request, proves=False)
    gw = gateway(location(backend.url, parameters="max=3"), processes=1)
    most = 0
    for user in USERS:
        assert ask(gw, "/eas", user).status == 200
        most = max(most, connections(backend.port, of_peers=True))
    assert most <= 3
    before = backend.connections
    with gw.client() as client:
        for _ in range(20):
            assert ask(client, "/eas", USERS[-1]).status == 200
    assert backend.connections <= before + 1


def test_max_beside_http2(gateway, fake_backends, per_request):
    """mod_proxy's default for max= counts the threads of mod_http2: 8 - 1 + 12. Less than that
    protects the backend."""
    backend = fake_backends(per_request, proves=False)
    gw = gateway(location(backend.url, parameters="max=10"), modules=(*MODULES, "http2"),
                 processes=1, threads=8)
    found = []
    for user in USERS:
        assert ask(gw, "/eas", user).status == 200
        found.append(connections(backend.port, of_peers=True))
    assert max(found) == 10


def test_no_limit_of_parked_requests_beside_http2(gateway, exchange, pings):
    """The default, 4 - 1 + 2 here, protects no backend: requests that have parked are beyond it."""
    server, backend = exchange()
    gw = gateway("EasKcdRequireTLS Off\nAsyncRequestWorkerFactor 200\nEasKcdBackendPools 4\n"
                 "H2MinWorkers 1\nH2MaxWorkers 2\n"
                 + location(backend.url + PATH, "EasKcdPark On", path=PATH),
                 modules=(*MODULES, "http2"), tls=False, processes=1, threads=4)
    clients = pings(gw, server).hold_all(USERS[:8])
    server.change()
    assert {client.receive().body for client in clients} == {CHANGED}


@pytest.fixture
def slow(gateway, fake_backends, per_request):
    """slow(parameters): a gateway whose backend answers when told to, and its gate."""
    gate = threading.Event()

    def answer(request):
        gate.wait(20)
        return per_request(request)

    def start(parameters):
        backend = fake_backends(answer, proves=False)
        gw = gateway(location(backend.url, parameters=parameters), processes=1)
        gate.set()
        for user in USERS[:8]:
            assert ask(gw, "/eas", user).status == 200
        gate.clear()
        return gw, backend, gate
    yield start
    gate.set()


def test_busy_connections_are_no_more_than_max(slow):
    """Further requests wait for one, as mod_proxy's do."""
    gw, backend, gate = slow("max=2")
    seen = len(backend.requests)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask, gw, "/eas", user) for user in USERS[:8]]
        until(lambda: len(backend.requests) == seen + 2, 10, "two requests at the backend")
        until(lambda: connections(backend.port) == 2, 10, "evicted ones to be closed")
        assert len(backend.requests) == seen + 2
        gate.set()
        assert {answer.result().status for answer in answers} == {200}
    assert connections(backend.port) == 2


@pytest.mark.parametrize("kept", [1, 3])
def test_backend_closes_all_kept_connections(gateway, fake_backends, per_request, kept):
    """At once, for it needs their threads. A GET is repeated on a new one."""
    together = threading.Barrier(kept)

    def answer(request):
        if request.path == "/together":
            together.wait(20)
        return per_request(request) if request.path == "/together" or request.connection > kept \
            else None

    backend = fake_backends(answer, proves=False)
    gw = gateway(location(backend.url), processes=1)
    gw.expect("AH01102", "AH00898")
    with ThreadPoolExecutor(kept) as pool:
        answers = pool.map(lambda _: ask(gw, "/eas/together", "alice"), range(kept))
        assert {answer.status for answer in answers} == {200}
    assert backend.connections == kept
    assert ask(gw, "/eas", "alice").status == 200
    assert backend.requests[-1].connection == kept + 1


def test_a_page_that_includes_another(gateway, fake_backends, per_request):
    """The request for the page has the only connection; the one inside does not wait for it."""
    def answer(request):
        accepted = per_request(request)
        page = b'<!--#include virtual="/eas/inner" -->;end' if request.path == "/page" else b"inner"
        head = accepted.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head[1:]]
        return response("200 OK", [("Content-Type", "text/html"), *(
            field for field in fields if field[0] == "WWW-Authenticate")], page)

    backend = fake_backends(answer, proves=False)
    gw = gateway(location(backend.url, "Options +Includes", "SetOutputFilter INCLUDES",
                          parameters="max=1"),
                 modules=(*MODULES, "include"), processes=1)
    began = time.monotonic()
    answer = gw.get("/eas/page", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.body) == (200, b"inner;end")
    assert time.monotonic() - began < 10
    assert [request.path for request in backend.requests] == ["/page", "/inner"]


def test_no_connection_in_time(slow):
    gw, backend, gate = slow("max=1 acquire=100")
    gw.expect("EAS2073")
    seen = len(backend.requests)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(ask, gw, "/eas", USERS[0])
        until(lambda: len(backend.requests) == seen + 1, 10, "a request at the backend")
        assert_unavailable(ask(gw, "/eas", USERS[1]))
        gate.set()
        assert held.result().status == 200
    assert len(backend.requests) == seen + 1
    assert ask(gw, "/eas", USERS[1]).status == 200


def sockets(gw):
    """Of the one child."""
    child = Path(f"/proc/{(root := gw.daemon.process.pid)}/task/{root}/children").read_text()
    found = 0
    for link in Path(f"/proc/{child.split()[-1]}/fd").iterdir():
        with suppress(FileNotFoundError):   # closed meanwhile
            found += os.readlink(link).startswith("socket:")
    return found


def test_idle_connections_end(gateway, fake_backends, per_request):
    """In time, with their descriptors, whoever they belong to."""
    backend = fake_backends(per_request, proves=False)
    gw = gateway(location(backend.url, parameters="ttl=1"), processes=1)
    assert gw.get("/eas").status == 401     # the child has started, with sockets of its own
    gw.await_clients()
    before = sockets(gw)
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(
            lambda user: ask(gw, "/eas", user), USERS * 2)} == {200}
    assert sockets(gw) > before + 5
    until(lambda: sockets(gw) <= before, 20, "idle connections to be closed")
    until(lambda: connections(backend.port) == 0, 10, "the backend to close its side")


def test_idle_connections_that_smax_keeps(gateway, fake_backends, per_request):
    """The youngest two, however long they are idle."""
    backend = fake_backends(per_request, proves=False)
    gw = gateway(location(backend.url, parameters="smax=2 ttl=1"), processes=1)
    for user in USERS[:6]:
        assert ask(gw, "/eas", user).status == 200
    until(lambda: connections(backend.port) == 2, 20, "the others to be closed")
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 2.5, 5, "the reaper to look again")
    for user in USERS[4:6]:
        assert ask(gw, "/eas", user).status == 200
    assert backend.connections == 6


@pytest.mark.parametrize("parameters", ["max=4", ""], ids=["with max=", "as it comes"])
def test_backend_with_few_threads(gateway, domain, lab_dir, parameters):
    """Each of its eight threads is held by a kept connection, idle or not, for 60 s."""
    keytab = domain.export_keytab(lab_dir / f"few-{len(parameters)}.keytab", [CAS1])
    backend = GssBackend(lab_dir / f"few-{len(parameters)}", keytab, domain.krb5_conf,
                         name="cas1.corp.example.test", mpm="worker", processes=1, threads=8)
    backend.start()
    try:
        gw = gateway(location(backend.url, parameters=parameters))
        began = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            statuses = [answer.status for answer in pool.map(
                lambda user: ask(gw, "/eas", user), USERS * 3)]
        assert statuses == [200] * 60
        assert time.monotonic() - began < 50
    finally:
        backend.stop()


# --- the last line ---------------------------------------------------------------------------

@pytest.mark.smoke
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_backstop_alone(gateway, fake_backends, authority, keeper, first_user, tls):
    """Pooled connections do not veto themselves here: then nothing is sent on them."""
    backend = fake_backends(first_user, tls=tls, proves=False)
    gw = gateway("EasKcdBackendPools 1\n" + trusting(authority) + location(backend.url)
                 + open_location(backend.url), processes=1,
                 module=module_without_veto())
    gw.expect("EAS2050", "AH01084", "AH01097")
    statuses = []
    for _ in range(10):
        for user in THREE:
            statuses.append(ask(gw, "/eas", user).status)
            statuses.append(ask(gw, "/open").status)
    assert set(statuses) <= {200, 502, 503}
    refusals = [entry for entry in gw.error_log.entries() if entry.tag == "EAS2050"]
    assert refusals and {entry.level for entry in refusals} == {"crit"}
    assert {len(users) for users in owners(backend, keeper).values()} == {1}
    assert statuses.count(200) >= 30


def test_no_refusals_by_the_backstop_otherwise(gateway, fake_backends, first_user):
    backend = fake_backends(first_user, proves=False, reuse=True)
    gw = gateway("EasKcdBackendPools 1\n" + location(backend.url) + open_location(backend.url),
                 processes=1, reuse=True)
    for user in THREE * 5:
        assert ask(gw, "/eas", user).status == 200
        assert ask(gw, "/open").status == 200
    assert "EAS2050" not in gw.error_log.tags()


# --- over generations ------------------------------------------------------------------------

@pytest.mark.parametrize("mpm", MPMS)
def test_graceful_restarts(gateway, fake_backends, keeper, first_user, mpm):
    backend = fake_backends(first_user, proves=False)
    gw = gateway("EasKcdKdcTimeout 60s\n" + location(backend.url) + open_location(backend.url),
                 mpm=mpm, processes=4 if mpm == "prefork" else 2)
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(lambda n: [ask(gw, "/eas", user).status for _ in range(20)
                                          for user in (THREE[n % 3], THREE[(n + 1) % 3])], n)
                   for n in range(4)]
        for _ in range(3):
            gw.graceful()
        assert {status for result in running for status in result.result()} == {200}
    assert ask(gw, "/open").status == 200
    assert {len(users) for users in owners(backend, keeper).values()} == {1}


@pytest.mark.parametrize("mpm", MPMS)
def test_children_end_with_open_connections(gateway, fake_backends, first_user, mpm):
    """In whatever order their pools are destroyed. A child that reads memory after that has no
    memory left to read (MaxMemFree), and its signal is in the error log."""
    backend = fake_backends(first_user, proves=False)
    gw = gateway("MaxMemFree 1\n" + location(backend.url, require="Require all granted")
                 + open_location(backend.url), mpm=mpm, processes=8 if mpm == "prefork" else 2)
    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            asked = [("/eas", user) for user in (*THREE, None)] + [("/open",)]
            answers = pool.map(lambda args: ask(gw, *args), asked * 8)
            assert {answer.status for answer in answers} == {200}
        gw.graceful()
    gw.stop()
    gw.check_log()


# --- a backend that authenticates connections ------------------------------------------------

def test_persistent_authentication_is_reported_once(gateway, fake_backends, keeper):
    backend = fake_backends(lambda request: persistent(echo(request, keeper.acceptor.accept(
        request.authorization).user)))
    gw = gateway(location(backend.url), processes=1)
    for user in (*THREE, *THREE):
        answer = ask(gw, "/eas", user)
        assert answer.status == 200 and answer.header("Persistent-Auth") is None
    reports = [entry for entry in gw.error_log.entries() if entry.tag == "EAS2054"]
    assert [(type(entry), entry.level) for entry in reports] == [(Entry, "notice")]
    assert "cas1.corp.example.test" in reports[0].text
    assert {len(users) for users in owners(backend, keeper).values()} == {1}
