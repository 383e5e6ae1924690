# SPDX-License-Identifier: Apache-2.0
"""The README's configuration of a whole Exchange host, as it is printed."""

from itertools import product

import pytest

from lab.activesync import FOLDER_SYNC, PATH, TYPE, blob
from lab.ad import CAS1, PASSWORDS, REALM
from lab.client import Client
from lab.examples import block_with
from lab.fake_backend import response
from lab.frontdoor import BROWSER, PHONE
from lab.kerberos import Acceptor
from lab.wait import free_port

AUTODISCOVER = """<?xml version="1.0"?><Autodiscover><Response><Action><Settings><Server>
<Type>MobileSync</Type><Url>{url}/Microsoft-Server-ActiveSync</Url>
<Name>{url}/Microsoft-Server-ActiveSync</Name></Server></Settings></Action></Response>
</Autodiscover>"""

PEOPLE = ["/Microsoft-Server-ActiveSync", "/microsoft-server-activesync", "/owa/", "/OWA", "/ecp/x",
          "/EWS/Exchange.asmx", "/ews/exchange.asmx", "/OAB/1/oab.xml",
          "/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"]
SERVERS = ["/EWS/mrsproxy.svc", "/ews/MRSProxy.svc", "/ews/exchange.asmx/wssecurity",
           "/autodiscover/autodiscover.svc", "/Autodiscover/Autodiscover.svc/WSSecurity",
           "/autodiscover/metadata/json/1"]


@pytest.fixture
def host(example, domain, authority, fake_backends, lab_dir):
    """(the gateway, a client's maker, what the backend got)."""
    acceptor = Acceptor(domain.export_keytab(lab_dir / "cas1-host.keytab", [CAS1]))
    users = []

    def answer(request):
        authorization = request.authorization or ""
        headers = [("WWW-Authenticate", "Backend realm=x")]
        users.append(authorization)
        if authorization.startswith("Negotiate "):
            accepted = acceptor.accept(authorization)
            users[-1] = accepted.user
            headers = [("WWW-Authenticate", accepted.www_authenticate)]
        if request.line.partition(" ")[2].lower().startswith("/autodiscover/autodiscover.xml"):
            return response("200 OK", [*headers, ("Content-Type", "text/xml")],
                            AUTODISCOVER.format(url=backend.url).encode())
        return response("200 OK", headers, b"mail")
    backend = fake_backends(answer, tls=True)
    port = free_port()
    gw = example(f"Listen 127.0.0.1:{port}\n" + block_with("mrsproxy"), more={
        "*:443": f"127.0.0.1:{port}", "https://cas1.corp.example.com": backend.url})
    gw.start()
    return gw, lambda: Client(port, tls=True, ca_file=authority.ca_file), backend, users


def test_people(host):
    """Asked for a password, and Exchange sees them by Kerberos; in whatever letter case."""
    _, client, backend, users = host
    for path in PEOPLE:
        users.clear()
        backend.requests.clear()
        with client() as c:
            headers = [*PHONE, ("Authorization", "Bearer x")]
            assert c.request("GET", path, headers=headers).status == 401
            answer = c.get(path, "alice", PASSWORDS["alice"], PHONE)
        assert answer.status == 200 and answer.header("WWW-Authenticate") is None
        assert users == [f"alice@{REALM}"]
        assert [request.line for request in backend.requests] == [f"GET {path} HTTP/1.1"]


def test_other_servers(host):
    """Neither asked nor helped: their Authorization arrives, and so does the backend's challenge."""
    _, client, backend, _ = host
    for path, sent in product(SERVERS, ("Bearer eyJ0eXAi", "Basic eDp5", None)):
        with client() as c:
            headers = [("Authorization", sent)] if sent else []
            answer = c.request("POST", path, body=b"<soap/>",
                               headers=[*headers, ("Cookie", "__Host-eas-kcd=x; a=b")])
        assert answer.status == 200 and answer.header("WWW-Authenticate") == "Backend realm=x"
        assert backend.requests[-1].authorization == sent
        assert backend.requests[-1].all("Cookie") == ["a=b"]


NOT_PUBLISHED = {
    "/autodiscover/autodiscover.json?@evil.test/owa/&Email=autodiscover/autodiscover.json": 403,
    "/Autodiscover/Autodiscover.JSON": 403, "/autodiscover/autodiscover.json/v1.0/a": 403,
    "/PowerShell": 404, "/rpc/rpcproxy.dll": 404, "/": 404, "/owa2": 404,
    "/EWS/mrsproxy.svcX": 401, "/EWS/exchange.asmx/wssecurityX": 401,
    "/ews/mrsproxy.svc/../exchange.asmx": 401, "/ews/%6drsproxy.svc/../exchange.asmx": 401,
}


def test_paths_that_are_not_published(host):
    gw, client, backend, _ = host
    gw.expect("AH01630")
    with client() as c:
        for path, status in NOT_PUBLISHED.items():
            answer = c.get(path, headers=[*PHONE, ("Authorization", "Bearer x")])
            assert answer.status == status, path
    assert backend.requests == []


def test_autodiscover_names_our_address(host):
    """Also for a client that could have it compressed."""
    _, client, backend, _ = host
    with client() as c:
        answer = c.post("/autodiscover/autodiscover.xml", b"<Autodiscover/>", "alice",
                        PASSWORDS["alice"], [*PHONE, ("Accept-Encoding", "gzip")])
    assert answer.body == AUTODISCOVER.format(url="https://mail.example.com").encode()
    assert backend.requests[0].all("Accept-Encoding") == []


def test_browser(host):
    _, client, backend, _ = host
    with client() as c:
        assert c.get("/owa/", headers=BROWSER).header("Location") \
            == "/eas-kcd/login?destination=%2fowa%2f"
        away = c.get("/OWA/logoff.OWA", headers=BROWSER)
        assert away.header("Location").endswith("/eas-kcd/logout")
        assert c.get("/eas-kcd/login").status == 200
    assert backend.requests == []


def test_phone(host):
    gw, client, backend, _ = host
    path = blob("FolderSync").replace(PATH, PATH.lower())
    with client() as c:
        answer = c.post(path, FOLDER_SYNC, "alice", PASSWORDS["alice"], [("Content-Type", TYPE)])
        assert answer.status == 200
        assert c.post(PATH.lower() + "?Cmd=", b"").status == 400
    assert gw.error_log.tags() == ["EAS1204"]
    assert len(backend.requests) == 1
