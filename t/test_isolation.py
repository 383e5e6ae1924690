# SPDX-License-Identifier: Apache-2.0
"""No user is served as another, and credentials of one side do not reach the other."""

import pytest

from lab.ad import PASSWORDS, REALM
from lab.client import basic, connect
from lab.exchange import both_tokens, location, trusting
from lab.fake_backend import always_401, response
from lab.gateway import MODULES
from lab.names import GATEWAY

ALICE = f"alice@{REALM}"
OPEN = """
<Location "/open">
    ProxyPass "{url}"
</Location>
"""


def ok(_):
    return response("200 OK", body=b"fine")


@pytest.mark.parametrize("headers", [
    [("Connection", "close, Authorization")],
    [("Connection", "authorization")],
    [("Connection", "Keep-Alive, Authorization"), ("Connection", "Authorization")],
    [("Connection", ", ".join(f"x{n}" for n in range(60)) + ", Authorization")],
    [("Connection", "Cookie, Host, Content-Length, X-Forwarded-For, Authorization")],
    [("Proxy-Authorization", basic("alice", "x"))],
    [("Proxy-Authorization", "Negotiate YII=")],
    [("Proxy-Connection", "Authorization")],
], ids=str)
@both_tokens
def test_client_cannot_touch_the_token(gateway, fake_backends, acceptor, headers):
    backend = fake_backends(ok, reuse=True)
    gw = gateway(location(backend.url), reuse=True)
    assert gw.get("/eas", "alice", PASSWORDS["alice"], headers).status == 200
    request, = backend.requests
    token, = request.all("Authorization")
    assert acceptor.accept(token).user == ALICE
    assert request.all("Proxy-Authorization") == []


@pytest.mark.parametrize("value", ["NTLM TlRMTVNTUAABAAAA", "Bearer abc", "Negotiate YII=",
                                   "Kerberos x", "Basic"])
def test_other_schemes_do_not_pass(gateway, fake_backends, value):
    """Where nobody is required, a request without a user goes through, but without credentials."""
    backend = fake_backends(ok, reuse=True)
    gw = gateway(location(backend.url, require="Require all granted"), reuse=True)
    assert gw.get("/eas", headers=[("Authorization", value)]).status == 200
    assert backend.requests[0].all("Authorization") == []


def test_delegate_alone_strips_credentials(gateway, fake_backends):
    """EasKcdDelegate without AuthType EasKcd: the client's credentials are none of the backend's."""
    backend = fake_backends(ok)
    gw = gateway(f'<Location "/x">\nEasKcdDelegate On\nProxyPass "{backend.url}"\n</Location>')
    assert gw.get("/x", "alice", "whatever").status == 200
    assert backend.requests[0].all("Authorization") == []


def test_elsewhere_credentials_pass(gateway, fake_backends):
    """Federation paths bring their own Authorization, and sit in neither."""
    backend = fake_backends(ok)
    gw = gateway(OPEN.format(url=backend.url))
    assert gw.get("/open", "alice", "whatever").status == 200
    assert backend.requests[0].authorization == basic("alice", "whatever")


NOT_FOR_CLIENTS = [("WWW-Authenticate", "Negotiate oRQwEg=="), ("WWW-Authenticate", "NTLM"),
                   ("Persistent-Auth", "true"), ("Proxy-Support", "Session-Based-Authentication")]


@pytest.mark.parametrize("status", ["200 OK", "304 Not Modified", "403 Forbidden", "404 Not Found",
                                    "500 Internal Server Error"])
def test_backend_authentication_stays_behind(gateway, fake_backends, status):
    backend = fake_backends(lambda _: response(status, NOT_FOR_CLIENTS), reuse=True)
    gw = gateway(location(backend.url), reuse=True)
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.status == int(status.split()[0])
    for name, _ in NOT_FOR_CLIENTS:
        assert answer.all(name) == [], name


@both_tokens
@pytest.mark.parametrize("error_override", ["Off", "On"])
def test_backend_401_is_our_trouble(gateway, fake_backends, error_override):
    backend = fake_backends(always_401)
    gw = gateway(location(backend.url, f"ProxyErrorOverride {error_override}"))
    gw.expect("EAS2063")
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.status == 503
    assert answer.header("Retry-After") == "30"
    assert answer.header("WWW-Authenticate") is None
    assert b"503" in answer.body


@pytest.mark.parametrize("error_override", ["Off", "On"])
def test_backend_401_without_a_user_is_our_challenge(gateway, fake_backends, error_override):
    """Do not always authenticate users: the backend decides what needs a user."""
    backend = fake_backends(always_401)
    gw = gateway(location(backend.url, f"ProxyErrorOverride {error_override}",
                          require="Require all granted"))
    answer = gw.get("/eas")
    assert answer.status == 401
    assert answer.all("WWW-Authenticate") == ['Basic realm="Mail", charset="UTF-8"']


def test_backend_401_to_a_known_user_without_delegation(gateway, fake_backends):
    """The phone's password is good; it must not be told otherwise."""
    gw = gateway(location(fake_backends(always_401).url, "EasKcdDelegate Off"))
    gw.expect("EAS2067")
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.status == 503
    assert f"credentials of alice@{REALM}, a user" in gw.error_log.text()
    assert answer.header("Retry-After") == "30" and answer.header("WWW-Authenticate") is None


@pytest.mark.smoke
def test_backend_401_blames_no_member(gateway, fake_backends, backends):
    unwilling, cas2 = fake_backends(always_401), backends("cas2")
    gw = gateway(f"""
<Proxy "balancer://cas">
    BalancerMember "{unwilling.url}" retry=600
    BalancerMember "{cas2.url}" retry=600
    ProxySet failonstatus=500,502,503
</Proxy>
""" + location("balancer://cas"))
    gw.expect("EAS2063")
    statuses = [gw.get("/eas", "alice", PASSWORDS["alice"]).status for _ in range(6)]
    assert statuses.count(503) == 3 and statuses.count(200) == 3


@both_tokens
@pytest.mark.smoke
def test_two_users_on_one_client_connection(gateway, backends):
    gw = gateway(location(backends("cas1").url))
    with gw.client() as client:
        for user, password, status in (("alice", PASSWORDS["alice"], 200),
                                       ("bob", "nonsense", 401), (None, None, 401),
                                       ("bob", PASSWORDS["bob"], 200),
                                       ("alice", PASSWORDS["bob"], 401),
                                       ("alice", PASSWORDS["alice"], 200)):
            answer = client.get("/eas", user, password)
            assert answer.status == status
            if status == 200:
                assert answer.json()["remote_user"] == f"{user}@{REALM}"


def test_caches_keep_nothing_of_a_known_user(gateway, fake_backends):
    """mod_cache's quick handler answers before anybody is authenticated."""
    served = iter(range(100))
    backend = fake_backends(lambda _: response(
        "200 OK", [("Cache-Control", "public, max-age=600, s-maxage=600")], b"%d" % next(served)))
    gw = gateway("CacheEnable socache /\nCacheQuickHandler On\nCacheSocache shmcb\n"
                 "CacheStoreNoStore On\nCacheStorePrivate On\nCacheIgnoreCacheControl On\n"
                 + location(backend.url) + OPEN.format(url=backend.url),
                 modules=(*MODULES, "cache", "cache_socache"))
    assert gw.get("/open").body == gw.get("/open").body, "the cache is not working"
    first = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert first.header("Cache-Control") == "private, max-age=600"
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).body != first.body
    assert gw.get("/eas").status == 401


def test_each_line_of_cache_control_stays(gateway, fake_backends):
    """Several lines of a backend are one header (RFC 9110, 5.3)."""
    backend = fake_backends(lambda _: response("200 OK", [
        ("Cache-Control", "private, no-cache"), ("Cache-Control", "public"),
        ("cache-control", "no-store, s-maxage=60")]))
    gw = gateway(location(backend.url))
    words = gw.get("/eas", "alice", PASSWORDS["alice"]).header("Cache-Control").split(", ")
    assert sorted(words) == ["no-cache", "no-store", "private"]


def test_each_line_of_cookie_reaches_the_backend(gateway, fake_backends):
    """A second line, as mod_headers adds it, counts for the session and is stripped like the first."""
    backend = fake_backends(ok)
    gw = gateway('RequestHeader add Cookie "added=1; __Host-eas-kcd=x"\n' + location(backend.url))
    assert gw.get("/eas", "alice", PASSWORDS["alice"], [("Cookie", "kept=1")]).status == 200
    assert backend.requests[0].all("Cookie") == ["kept=1; added=1"]


def test_each_line_of_other_challenges_stays(gateway, fake_backends):
    """Those from before the exchange are the gateway's own, and mod_headers may set several."""
    backend = fake_backends(lambda _: response("200 OK", NOT_FOR_CLIENTS))
    gw = gateway('Header always add WWW-Authenticate "One" early\n'
                 'Header always add WWW-Authenticate "Two" early\n' + location(backend.url))
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.all("WWW-Authenticate")) == (200, ["One", "Two"])


def test_client_that_authenticates_its_connection_in_a_second_line(gateway, fake_backends):
    """httpd joins the lines; the backend may find NTLM there, and authenticate the connection."""
    backend = fake_backends(ok)
    gw = gateway(OPEN.format(url=backend.url), processes=1)
    for _ in range(2):
        with gw.client() as client:
            headers = [("Authorization", "Basic YTpi"), ("Authorization", "NTLM TlRMTVNTUAABAAAA")]
            assert client.get("/open", headers=headers).status == 200
    assert {request.connection for request in backend.requests} == {1, 2}


@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
def test_methods_that_would_show_the_token(gateway, fake_backends, method):
    backend = fake_backends(ok)
    gw = gateway("TraceEnable On\n" + location(backend.url))
    assert gw.request(method, "/eas", "alice", PASSWORDS["alice"]).status == 405
    assert backend.requests == []


def rewritten(target):
    """Delegation for what mod_rewrite, and no ProxyPass, sends on."""
    return f"""
RewriteEngine On
RewriteRule "^/eas(.*)$" "{target}" [P]
<Location "/eas">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    EasKcdDelegate On
</Location>
"""


def test_token_goes_to_no_other_host(gateway, fake_backends):
    """A rewriting that sends the request to where no worker is takes no token along."""
    backend = fake_backends(ok)
    gw = gateway(rewritten(f"http://127.0.0.1:{backend.port}/$1"))
    gw.expect("EAS2065")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 503
    assert backend.requests == []


def test_token_goes_to_no_other_port(gateway, fake_backends):
    """The client says which, by the mapping.  The worker has the port of its scheme."""
    backend = fake_backends(ok)
    host = backend.url.rpartition(":")[0]
    gw = gateway(f"""
<Location "/eas">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    EasKcdDelegate On
</Location>
ProxyPassMatch "^/eas/([0-9]+)$" "{host}:$1"
""")
    gw.expect("EAS2065")
    assert gw.get(f"/eas/{backend.port}", "alice", PASSWORDS["alice"]).status == 503
    assert f"its worker, {host.partition('//')[2]}:80;" in gw.error_log.text()
    assert backend.requests == []


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_token_goes_to_no_forward_proxy(gateway, fake_backends, authority, tls):
    """TLS passes through one, as a tunnel."""
    backend = fake_backends(ok, tls=tls)
    between = fake_backends(lambda _: response("403 Forbidden"), "cas2")
    gw = gateway(f'ProxyRemote "*" "{between.url}"\n' + trusting(authority)
                 + location(backend.url))
    gw.allow("EAS2075", *(("AH01084", "AH01097", "AH00957", "AH01114", "AH00950", "AH00958") if tls else ()),
             because="the forward proxy here makes no tunnel")
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.status in ((502, 503) if tls else (503,))
    assert ("EAS2075" in gw.error_log.tags()) is not tls
    assert backend.requests == []
    assert [request.line for request in between.requests] == (
        [f"CONNECT {backend.url.partition('//')[2]} HTTP/1.0"] if tls else [])
    assert not [request for request in between.requests if request.authorization]


def test_trailers_become_no_headers(gateway, fake_backends):
    """mod_headers has removed what a client must not send, before the trailers come."""
    backend = fake_backends(ok)
    gw = gateway("MergeTrailers On\nRequestHeader unset X-Role\n" + location(backend.url))
    body = b"1\r\nx\r\n0\r\nX-Role: admin\r\nX-IsFromCafe: 1\r\n\r\n"
    with connect(gw.port) as client:
        client.sendall(f"POST /eas HTTP/1.1\r\nHost: {GATEWAY}\r\nConnection: close\r\n"
                       f"Authorization: {basic('alice', PASSWORDS['alice'])}\r\nX-Role: admin\r\n"
                       "Trailer: X-Role\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [request.body for request in backend.requests] == [b"x"]
    assert backend.requests[0].all("X-Role") == backend.requests[0].all("X-IsFromCafe") == []


def test_error_document_below_the_same_protection(gateway, backends):
    """An internal redirect keeps the user, and does not ask the KDC again."""
    gw = gateway(location(backends("cas1").url) + "ErrorDocument 404 /eas/not-found\n"
                 + 'ProxyErrorOverride On 404\n')
    answer = gw.get("/eas/x?status=404", "alice", PASSWORDS["alice"])
    assert answer.status == 404
    assert answer.json()["remote_user"] == ALICE
    assert answer.json()["uri"].startswith("/not-found")


def test_error_page_of_another_backend_gets_no_body(gateway, fake_backends):
    """An internal redirect has the first request's pool; what a user has sent is not sent again."""
    failing = fake_backends(lambda _: response("500 Internal Server Error"))
    other = fake_backends(ok, "cas2")
    gw = gateway(location(failing.url, "ProxyErrorOverride On")
                 + location(other.url, "ProxyErrorOverride On", path="/other")
                 + "ErrorDocument 500 /other/page\n")
    answer = gw.post("/eas", b"a user's own mail", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.body) == (500, b"fine")
    assert [request.body for request in failing.requests] == [b"a user's own mail"]
    assert [request.body for request in other.requests] == [b""]


@pytest.mark.parametrize("error_override", ["Off", "On"])
def test_delegate_alone_shows_no_challenge_of_the_backend(gateway, fake_backends, error_override):
    """Without authentication here, the backend's 401 passes, and not its Negotiate."""
    backend = fake_backends(always_401)
    gw = gateway(f'<Location "/x">\nEasKcdDelegate On\nProxyErrorOverride {error_override}\n'
                 f'ProxyPass "{backend.url}"\n</Location>')
    answer = gw.get("/x")
    assert answer.status == 401
    assert answer.all("WWW-Authenticate") == []


def test_token_goes_to_no_socket_of_the_request(gateway, fake_backends, lab_dir):
    """CVE-2021-40438: the URL is the worker's, and what is connected to is not."""
    backend = fake_backends(ok)
    worker = f'<Proxy "{backend.url}">\nProxySet keepalive=On\n</Proxy>\n'
    gw = gateway(worker + rewritten(f"unix:{lab_dir}/evil.sock|{backend.url}/"))
    gw.expect("EAS2065")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 503
    assert "EAS2065" in gw.error_log.tags()
    assert "with ProxySet enablereuse=on" in gw.error_log.text()
    assert backend.requests == []
