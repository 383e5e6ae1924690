# SPDX-License-Identifier: Apache-2.0
"""A path that httpd and the backend may read differently reaches no backend; nor do headers that
only Exchange's own front end sends."""

import pytest

import test_whole_host
from lab.ad import PASSWORDS, REALM
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import PHONE
from lab.wait import until

host = test_whole_host.host     # a fixture

ALICE = ("alice", PASSWORDS["alice"])
NOBODY = (None, None)

# As seen on the configuration of a whole host, and of their kinds.
AMBIGUOUS = [
    ("/owa/..%5cPowerShell/", ALICE),
    ("/Autodiscover/metadata/json/..%5c..%5cautodiscover.json?a", NOBODY),
    ("/EWS/mrsproxy.svc/..%5c..%5cPowerShell/", NOBODY),
    ("/owa/..%5cMicrosoft-Server-ActiveSync?Cmd=Sync&Cmd=Ping", ALICE),
    ("/Microsoft-Server-ActiveSync/..;/owa", ALICE),
    ("/Microsoft-Server-ActiveSync/..\\owa", ALICE),
    ("/Microsoft-Server-ActiveSync/%5c..%5cowa", ALICE),
    ("/Microsoft-Server-ActiveSync/%252e%252e/owa", ALICE),
    ("/Microsoft-Server-ActiveSync/..%255cowa", ALICE),
    ("/EWS/mrsproxy.svc/%2e%2e/exchange.asmx", NOBODY),
    ("/owa/(S(x))/a", ALICE),
    ("/owa/a.aspx::$DATA", ALICE),
    ("/owa/..%ef%bc%8fPowerShell", ALICE),
    ("/owa/%01", ALICE),
]


def test_ambiguous_paths(host):
    gw, client, backend, _ = host
    for path, (user, password) in AMBIGUOUS:
        gw.mark()
        gw.expect("EAS1160")
        with client() as c:
            answer = c.get(path, user, password, PHONE)
        assert answer.status == 400, path
        assert answer.header("WWW-Authenticate") is None
        assert gw.logged()["EAS_KCD_ERROR"] == "EAS1160", path
    assert backend.requests == []


@pytest.mark.parametrize("path,status,tag", [
    ("/owa/%zz", 400, "AH10244"), ("/owa/%u002e%u002e/PowerShell", 400, "AH10244"),
    ("/owa/..%2fPowerShell", 404, None), ("/owa/%00", 404, None)])
def test_paths_that_httpd_itself_refuses(host, path, status, tag):
    gw, client, backend, _ = host
    if tag:
        gw.expect(tag)
    with client() as c:
        assert c.get(path, *ALICE, PHONE).status == status
    assert backend.requests == []


def test_the_query_is_left_alone(host):
    gw, client, backend, _ = host
    query = "?Cmd=Ping&User=CORP%5Calice&DeviceId=a&DeviceType=..%2f%u002e"
    with client() as c:
        assert c.get("/owa/x" + query, *ALICE, PHONE).status == 200
    assert backend.requests[0].path == "/owa/x" + query


def test_off(gateway, backends):
    """For a backend that reads paths as httpd does."""
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url, "EasKcdStrictPath Off"))
    assert gw.get("/eas/a%5cb", *ALICE).status == 200
    logged = until(cas1.requests, 10, "the backend's access log")
    assert logged[0]["uri"] == r"/a\\b"      # as the access log escapes it


def test_rewritten_url(gateway, fake_backends):
    """What a rule makes of the query is checked when mod_proxy is about to send it."""
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(f"""
<Proxy "{backend.url}">
    EasKcdDelegate Off
</Proxy>
RewriteEngine On
RewriteCond "%{{QUERY_STRING}}" "^to=(.*)$"
RewriteRule "^/go$" "{backend.url}/%1?" [P,NE]
""")
    assert gw.get("/go?to=owa").status == 200
    gw.expect("EAS1160")
    assert gw.get("/go?to=owa/..%5cPowerShell").status == 400
    assert len(backend.requests) == 1


def test_letter_case_is_warned_about(gateway):
    section = ('<{tag} "{path}">\nAuthType EasKcd\nAuthName "Mail"\nRequire valid-user\n'
               'EasKcdDelegate On\n</{end}>\n')
    everything = 'ProxyPass "/" "http://cas1.corp.example.test:81/"\n'
    inside = section.replace("EasKcdDelegate On", "EasKcdDelegate On\nProxyPass "
                             '"http://cas1.corp.example.test:81/owa"')
    for tag, path, rest, warned in (
            ("Location", "/owa", everything, True), ("Location", "/owa/", everything, True),
            ("LocationMatch", "^/EWS(/|$)", everything, True),
            ("LocationMatch", "(?i)^/EWS(/|$)", everything, False),
            ("Location", "/", everything, False), ("Location", "/owa", "", False)):
        conf = (section if rest else inside).format(tag=tag, end=tag, path=path) + rest
        code, said = gateway(conf, start=False).check_config()
        assert code == 0, said
        assert ("EAS3052" in said) == warned, (tag, path, said)


# --- headers ---------------------------------------------------------------------------------

FRONT_END = ["X-CommonAccessToken", "X_IsFromCafe", "X.IsFromBackend", "X-BEResource",
             "msExchLogonMailbox", "X-Original-URL", "X-Rewrite-URL", "Remote_User", "X-Remote-User",
             "SecurityToken", "X-Rps-CAT", "Front-End-Https", "Proxy"]
CLIENTS = ["X-AnchorMailbox", "X-MS-PolicyKey", "X-User-Identity"]


@pytest.fixture
def echoing(gateway, fake_backends):
    """echoing(directives): what the backend got of a request with all these headers."""
    backend = fake_backends(lambda _: response("200 OK"))

    def ask(directives=""):
        gw = gateway(location(backend.url, directives))
        headers = [(name, "client") for name in FRONT_END + CLIENTS]
        headers += [("X-Forwarded-For", "6.6.6.6"),
                    ("Cookie", "a=b; x-beresource=evil; X-BackEndCookie=c; SecurityToken=x")]
        assert gw.get("/eas", *ALICE, headers).status == 200
        return backend.requests[-1]
    return ask


def test_front_end_headers(echoing):
    got = echoing()
    assert [name for name in FRONT_END if got.all(name)] == []
    assert [name for name in CLIENTS if got.all(name)] == CLIENTS
    assert got.all("X-Forwarded-For") == ["127.0.0.1"]
    assert got.all("Cookie") == ["a=b; X-BackEndCookie=c"]


def test_strip_headers(echoing):
    got = echoing("EasKcdStripHeaders X-AnchorMailbox -Remote-User")
    assert got.all("X-AnchorMailbox") == [] and got.all("Remote_User") == ["client"]
    assert got.all("X-User-Identity") == ["client"] and got.all("Proxy") == []


def test_users_of_the_whole_host_are_served_as_before(host):
    _, client, backend, users = host
    with client() as c:
        assert c.get("/owa/auth/x.aspx", *ALICE, PHONE).status == 200
    assert users == [f"alice@{REALM}"] and len(backend.requests) == 1
