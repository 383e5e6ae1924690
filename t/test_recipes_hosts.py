# SPDX-License-Identifier: Apache-2.0
"""Recipes for the virtual hosts and their backends: port 80, `/`, health of Exchange."""

import pytest

from lab.ad import PASSWORDS
from lab.client import Client, basic
from lab.examples import block_with, in_a_host
from lab.fake_backend import Request, response
from lab.wait import free_port, until

EAS, OWA = "/Microsoft-Server-ActiveSync", "/owa"
ALICE = ("alice", PASSWORDS["alice"])


# --- port 80 and / -----------------------------------------------------------------------------

@pytest.fixture
def hosts(running, authority):
    """The minimal configuration with the recipe: the gateway, clients of http and of https."""
    http = free_port()
    block = block_with("LoadModule eas_kcd").replace(
        "    SSLEngine On", block_with("RedirectMatch") + "    SSLEngine On")
    gw, https = running(f"Listen 127.0.0.1:{http}\n{block}{block_with('<VirtualHost *:80>')}",
                       more={"*:80": f"127.0.0.1:{http}"})
    with Client(http) as plain, Client(https, True, authority.ca_file) as secure:
        yield gw, plain, secure


def test_http_becomes_https(hosts):
    _, plain, _ = hosts
    for path in ("/", "/owa/?a=b%2Fc", EAS, "/nothing"):
        for method in ("GET", "HEAD"):
            answer = plain.request(method, path)
            assert (answer.status, answer.header("Location")) == (
                301, "https://mail.example.com" + path)


def test_password_over_http_is_refused(hosts, backends):
    """No redirect makes it work, and no challenge asks for it."""
    gw, plain, secure = hosts
    cas1 = backends("cas1", tls=True)
    for method, path, user in (("POST", EAS, ALICE), ("POST", EAS, ()), ("OPTIONS", EAS, ()),
                               ("GET", EAS, ALICE), ("GET", "/owa/", ALICE), ("GET", "/", ALICE)):
        body = b"\x03\x01" if method == "POST" else None
        answer = plain.request(method, path, *user, body=body)
        assert answer.status == 403, (method, path)
        assert answer.header("Location") is answer.header("WWW-Authenticate") is None
    several = [("Authorization", ""), ("Authorization", basic(*ALICE))]
    assert plain.get(EAS, headers=several).status == 403
    gw.expect("EAS1096")
    assert plain.get("/eas-kcd/login").status == 403
    assert secure.get(EAS, *ALICE).status == 200
    assert [entry["method"] for entry in until(cas1.requests, 5, "the backend's log")] == ["GET"]


def test_root_becomes_owa_alone(hosts):
    _, _, secure = hosts
    for path, query in (("/", ""), ("/", "?a=b"), ("//", "")):
        answer = secure.get(path + query)
        assert (answer.status, answer.header("Location")) == (
            302, "https://mail.example.com/owa/" + query)
    for path in ("/nothing", "/nothing/", "/owa-/"):
        assert secure.get(path).status == 404
    assert secure.get(EAS, *ALICE).status == 200


# --- health of Exchange: five checks a second, which a busy machine would call sick ------------

HEALTH = block_with("ProxyHCTemplate")
CHECKS = {path: f"GET {path}/healthcheck.htm HTTP/1.0" for path in (EAS, OWA)}


class Server:
    """The script of a backend: its name, and a page of health for each protocol."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sick: dict[str, bytes | None] = {}

    def __call__(self, request: Request) -> bytes | None:
        path, _, page = request.path.rpartition("/")
        if page == "healthcheck.htm":
            return self.sick.get(path, response("200 OK", body=b"200 OK<br/>CAS1"))
        return response("200 OK", body=self.name.encode())


@pytest.fixture
def pair(running, fake_backends, authority):
    """The recipe's gateway, its two servers with their backends, and served(path): by which."""
    servers = [Server("cas1"), Server("cas2")]
    fakes = [fake_backends(server, server.name, tls=True) for server in servers]
    gw, port = running(in_a_host(HEALTH), more={
        "hcinterval=10": "hcinterval=200ms",
        **{f"https://{server.name}.corp.example.com": fake.url
           for server, fake in zip(servers, fakes)}})

    def served(path: str) -> set[bytes]:
        with Client(port, True, authority.ca_file) as phone:
            answers = [phone.get(f"{path}/", *ALICE) for _ in range(8)]
        return {answer.body if answer.status == 200 else b"%d" % answer.status for answer in answers}
    yield gw, servers, fakes, served
    # mod_watchdog's threads outlive OpenSSL as a child ends: a check amid TLS would crash it.
    gw.expect("AH00957")
    for fake in fakes:
        fake.stop()
    seen = times(gw, "AH00957")
    until(lambda: times(gw, "AH00957") >= seen + 4 * len(fakes), 10, "checks that cannot connect")


def times(gw, tag: str) -> int:
    return gw.error_log.text().count(tag)


@pytest.mark.alone
@pytest.mark.parametrize("answer", [response("503 Service Unavailable"), None,
                                    response("302 Found", [("Location", "/owa/auth/logon.aspx")])],
                         ids=["503", "hangs-up", "302"])
def test_sick_protocol_leaves_its_balancer(pair, answer):
    """Of one server; its other protocol stays, and users notice nothing."""
    gw, servers, _, served = pair
    both = {b"cas1", b"cas2"}
    assert served(EAS) == served(OWA) == both
    servers[0].sick[EAS] = answer
    until(lambda: times(gw, "AH03303"), 10, "the end of a member")
    assert served(EAS) == {b"cas2"} and served(OWA) == both
    servers[0].sick.clear()
    until(lambda: times(gw, "AH03302"), 10, "the return of a member")
    assert served(EAS) == served(OWA) == both


@pytest.mark.alone
def test_checks_have_no_user(pair):
    _, _, fakes, served = pair
    assert len(served(EAS)) == 2
    for fake in fakes:
        until(lambda: set(CHECKS.values()) <= {request.line for request in fake.requests}, 10,
              "a check of each protocol")
        checks = [request for request in fake.requests if "healthcheck" in request.path]
        assert {request.line for request in checks} == set(CHECKS.values())
        assert {name for request in checks for name, _ in request.headers} <= {"Host", "User-Agent"}
        asked = {request.connection for request in checks}
        assert not asked & {request.connection for request in fake.requests
                            if request.authorization}


@pytest.mark.alone
def test_no_member_is_well(pair):
    gw, servers, _, served = pair
    gw.expect("AH01170")
    for server in servers:
        server.sick[EAS] = None
    until(lambda: times(gw, "AH03303") == 2, 10, "the end of both members")
    assert served(EAS) == {b"503"} and served(OWA) == {b"cas1", b"cas2"}
