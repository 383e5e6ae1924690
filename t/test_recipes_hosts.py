# SPDX-License-Identifier: Apache-2.0
"""Recipes for the virtual hosts and their backends: port 80 and `/`."""

import pytest

from lab.ad import PASSWORDS
from lab.client import Client, basic
from lab.examples import block_with
from lab.wait import free_port, until

EAS = "/Microsoft-Server-ActiveSync"
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
