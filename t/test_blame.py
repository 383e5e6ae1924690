# SPDX-License-Identifier: Apache-2.0
"""A member of a balancer is marked as broken for failures of the connection to it, and for nothing
that a request or a user causes."""

import threading

import pytest

from lab.ad import CAS1, CAS2, DISABLED, PASSWORDS, REALM
from lab.client import assert_unavailable, basic, connect
from lab.fake_backend import response
from lab.exchange import ask, location, open_location, trusting
from lab.gateway import MODULES
from lab.kerberos import Acceptor
from lab.names import GATEWAY
from lab.simulated import PerRequest

# No mark ends within a test.
RETRY = "retry=600"


def balancer(*members, settings=""):
    """Members that stay marked, even if all are."""
    lines = "\n".join(f'    BalancerMember "{url}" {RETRY}' for url in members)
    return ('<Proxy "balancer://cas">\n'
            f'{lines}\n    ProxySet forcerecovery=Off {settings}\n</Proxy>\n')


@pytest.fixture
def scripts(domain, lab_dir):
    """cas1's and cas2's, which accept every user."""
    return [PerRequest(Acceptor(domain.export_keytab(lab_dir / f"blame-{name}.keytab", [spn])))
            for name, spn in (("cas1", CAS1), ("cas2", CAS2))]


def members_of(gw, requests=10):
    """The members that serve the next requests of another user, each of which succeeds."""
    with gw.client() as client:
        answers = [ask(client, "/eas", "carol") for _ in range(requests)]
    assert [answer.status for answer in answers] == [200] * requests
    return {dict(answer.json()["headers"])["Host"].split(".")[0] for answer in answers}


# --- requests that are at fault ------------------------------------------------------------------

def transfer_coding(gw, path, user, coding):
    password = PASSWORDS[user] if user else None
    return gw.post(path, b"body", user, password, [("Transfer-Encoding", coding)]).status


def broken_chunk(gw, user):
    """The status of a request whose body cannot be read."""
    head = [f"POST /eas HTTP/1.1\r\nHost: {GATEWAY}\r\nTransfer-Encoding: chunked\r\n"]
    if user:
        head.append(f"Authorization: {basic(user, PASSWORDS[user])}\r\n")
    with connect(gw.port, GATEWAY) as raw:
        raw.sendall("".join([*head, "\r\nzz\r\n"]).encode())
        return int(raw.recv(100).split(b" ")[1])


@pytest.mark.smoke
@pytest.mark.parametrize("path,user,coding,status", [
    ("/eas", "bob", "gzip, chunked", 501), ("/eas", "bob", "chunked, chunked", 400),
    ("/eas", None, "gzip, chunked", 501), ("/open", None, "gzip, chunked", 500)])
def test_transfer_coding(gateway, fake_backends, scripts, path, user, coding, status):
    """mod_proxy_http refuses them with 500 before any connection."""
    backends = [fake_backends(script, name) for script, name in zip(scripts, ("cas1", "cas2"))]
    gw = gateway(balancer(*(backend.url for backend in backends))
                 + location("balancer://cas", require="Require all granted")
                 + open_location("balancer://cas"), processes=1)
    gw.expect(*["EAS2085"] * (path == "/eas"), *["AH01093"] * (path == "/open"))
    for _ in range(4):
        assert transfer_coding(gw, path, user, coding) == status
    if user:
        assert f"(user bob@{REALM}, service HTTP/cas" in gw.error_log.text()
    assert [backend.requests for backend in backends] == [[], []]
    assert members_of(gw) == {"cas1", "cas2"}


def test_own_refusals_are_no_statuses_of_a_backend(gateway, fake_backends, scripts):
    """failonstatus is about statuses that the backend returns."""
    backends = [fake_backends(script, name) for script, name in zip(scripts, ("cas1", "cas2"))]
    gw = gateway(balancer(*(backend.url for backend in backends),
                          settings="failonstatus=400,405,501,503")
                 + location("balancer://cas", require="Require all granted"),
                 processes=1)
    gw.expect("EAS2085", "AH01095")
    for _ in range(4):
        assert gw.request("TRACK", "/eas", "bob", PASSWORDS["bob"]).status == 405
        assert transfer_coding(gw, "/eas", "bob", "gzip, chunked") == 501
        assert broken_chunk(gw, "bob") == broken_chunk(gw, None) == 400
    assert [backend.requests for backend in backends] == [[], []]
    assert members_of(gw) == {"cas1", "cas2"}


@pytest.mark.parametrize("user", ["bob", None])
def test_request_that_closes_new_connections(gateway, fake_backends, scripts, user):
    """A request at which the backend closes the connection may be this request's fault.  On a kept
    connection of the client, mod_proxy_http returns 500."""
    def closing(script):
        return lambda request: None if request.path.endswith("/odd") else script(request)

    backends = [fake_backends(closing(script), name)
                for script, name in zip(scripts, ("cas1", "cas2"))]
    gw = gateway(balancer(*(backend.url for backend in backends))
                 + location("balancer://cas", "EasKcdBackendReuse Off",
                            require="Require all granted"), processes=1)
    gw.expect("AH01102", *["EAS2057"] * (user is not None))
    for _ in range(4):
        with gw.client() as client:
            assert ask(client, "/eas", "carol").status == 200
            client.send("GET", "/eas/odd", user, PASSWORDS[user] if user else None)
            if user:
                assert_unavailable(client.receive())
            else:
                with pytest.raises(ConnectionError):    # as mod_proxy_http does
                    client.receive()
    assert members_of(gw) == {"cas1", "cas2"}


def test_missing_scheme_handler(gateway, fake_backends):
    """Without mod_ssl, no module serves https.  mod_proxy would run all handlers once more, without
    this module's part in it."""
    backend = fake_backends(lambda request: b"")
    gw = gateway("EasKcdRequireTLS Off\n" + location(backend.url.replace("http:", "https:")),
                 tls=False, modules=[name for name in MODULES if name != "ssl"])
    gw.expect("EAS2084")
    assert_unavailable(gw.get("/eas", "bob", PASSWORDS["bob"]))
    assert backend.connections == 0


# --- connections that fail -----------------------------------------------------------------------

def test_failed_tls_handshake(gateway, fake_backends, scripts, authority):
    """cas2 has the certificate of cas1."""
    certificates = [authority.certificate("cas1.corp.example.test")] * 2
    good, bad = (fake_backends(script, name, tls=certificate) for script, name, certificate
                 in zip(scripts, ("cas1", "cas2"), certificates))
    gw = gateway(trusting(authority) + balancer(good.url, bad.url)
                 + location("balancer://cas", require="Require all granted"), processes=1)
    gw.expect("AH01084", "AH01097", "AH00898", "EAS2088")
    statuses = [ask(gw, "/eas", "bob").status for _ in range(2)]
    assert sorted(statuses) == [200, 502]
    assert members_of(gw) == {"cas1"} and bad.requests == []


def test_failed_dns(gateway, fake_backends, scripts):
    good = fake_backends(scripts[0])
    gw = gateway(balancer(good.url, "http://nowhere.invalid")
                 + location("balancer://cas", f"EasKcdSPN {CAS1}"), processes=1)
    gw.expect("AH00898", "EAS2087")
    statuses = [ask(gw, "/eas", "bob").status for _ in range(2)]
    assert sorted(statuses) == [200, 503]
    assert members_of(gw) == {"cas1"}


def test_time_out_of_one_request(gateway, fake_backends, scripts):
    """With failontimeout=, too: a user's slow request says nothing about the backend."""
    rest = threading.Event()

    def slow(script):
        def answer(request):
            if request.path.endswith("/slow"):
                rest.wait(10)
            return script(request)
        return answer
    backends = [fake_backends(slow(script), name)
                for script, name in zip(scripts, ("cas1", "cas2"))]
    gw = gateway("ProxyTimeout 1\n"
                 + balancer(*(backend.url for backend in backends),
                            settings="failontimeout=On timeout=1")
                 + location("balancer://cas"), processes=1)
    gw.expect("AH01102", "AH00898")
    with gw.client() as client:
        statuses = [ask(client, "/eas/slow", "bob").status for _ in range(2)]
    rest.set()
    assert statuses == [502, 502]
    assert members_of(gw) == {"cas1", "cas2"}


# --- the gateway's account ------------------------------------------------------------------------

def test_disabled_account_leaves_tickets(gateway, fake_backends, scripts, domain, other):
    """The backend refuses one request, and no new ticket is to be had: the old one is still good."""
    refusals = []

    def script(request):
        if refusals:
            return refusals.pop()
        return scripts[0](request)
    gw = gateway(location(fake_backends(script, proves=False).url, f"EasKcdSPN {CAS1}"),
                 account=other, processes=1)
    assert ask(gw, "/eas", "alice").status == 200
    domain.set_flag(other, DISABLED)
    gw.graceful()       # the new process has no ticket of the account's
    gw.expect("EAS2012")
    refusals.append(response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")]))
    assert_unavailable(ask(gw, "/eas", "alice"))
    assert not refusals
    assert ask(gw, "/eas", "alice").status == 200
