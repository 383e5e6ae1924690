# SPDX-License-Identifier: Apache-2.0
"""The login path: its methods, its place before every mapping, and the users it is exempt from."""

from urllib.parse import urlencode

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import location
from lab.frontdoor import BROWSER, COOKIE, FORM, LOGOUT, PHONE, Visitor
from lab.login_form import (ALICE, URLENCODED, assert_no_session, assert_refused, post, tag_of)
from lab.unique import unique_path
from lab.wait import until

# --- methods and paths -----------------------------------------------------------------------

@pytest.mark.parametrize("path", [FORM, LOGOUT])
def test_other_methods(protected, path):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "BREW"):
        uri = unique_path(path)
        answer = Visitor(protected).request(method, uri, [URLENCODED], b"")
        assert_refused(protected, answer, uri, 405, "-", method)
        assert answer.all("Set-Cookie") == [], method


def test_methods_that_are_allowed(protected):
    """RFC 9110, 15.5.6: a 405 says which."""
    allowed = Visitor(protected).request("PUT", FORM).header("Allow")
    assert set(allowed.replace(" ", "").split(",")) - {"TRACE"} == {"GET", "HEAD", "POST"}


@pytest.mark.smoke
def test_unknown_paths(protected):
    for path in ("/eas-kcd/", "/eas-kcd/x", "/eas-kcd/login/", "/eas-kcd/LOGIN",
                 "/eas-kcd/login.html", "/eas-kcd/loginx", "/eas-kcd/login%2f",
                 "/eas-kcd/login%00", "/eas-kcd/login;x", "/eas-kcd/login/x", "/eas-kcd/logout/"):
        for method in ("GET", "POST"):
            answer = Visitor(protected).request(method, path, [URLENCODED],
                                                urlencode(ALICE).encode())
            assert answer.status == 404, path
            assert_no_session(answer)


# Paths whose meaning no directive changes, after dot segments are resolved.
OUTSIDE = ["/eas-kcd/../owa/", "/eas-kcd/%2e%2e/owa/", "/eas-kcd/.%2e/owa/",
           "/eas-kcd/login/../../owa/", "/eas-kcd//../owa/", "//eas-kcd/../owa/",
           "/./eas-kcd/login/%2e%2e/%2e%2e/owa/", "/eas-kcd", "/EAS-KCD/login",
           "/%65as-kcd/%2e%2e/owa/"]
INSIDE = ["/eas-kcd/..;/owa/", "/%65as-kcd/x", "/eas-kcd/%5c../owa/", "//eas-kcd/x",
          "/x/../eas-kcd/x"]
# Paths with an encoded slash: httpd refuses it, decodes it or leaves it.
SLASHES = ["/eas-kcd/..%2fowa/", "/eas-kcd/%2e%2e%2fowa/", "/eas-kcd%2f..%2fowa/", "/eas-kcd%2fx"]
ON, NO_DECODE = "AllowEncodedSlashes On", "AllowEncodedSlashes NoDecode"


@pytest.mark.parametrize("conf,mapping,outside", [
    ("", "", []), (ON, "", SLASHES[:3]), (NO_DECODE, "", SLASHES[2:]),
    ("", "mapping=encoded", SLASHES[2:]), (ON, "mapping=encoded", SLASHES),
    (NO_DECODE, "mapping=encoded", SLASHES[2:])])
def test_only_the_login_path_needs_no_user(gateway, ok_backend, conf, mapping, outside):
    """A path that only looks like it is protected; another path below it does not exist. The
    stricter check of paths is off: it refuses most of these before."""
    gw = gateway(conf + f"""
EasKcdStrictPath Off
<Location "/">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    ProxyPass "{ok_backend.url}/" {mapping}
</Location>
""")
    for path in (*OUTSIDE, *INSIDE, *SLASHES):
        for agent, status in ((BROWSER, 302), (PHONE, 401)):
            answer = Visitor(gw, agent).get(path)
            assert answer.status == (status if path in (*OUTSIDE, *outside) else 404), path
            assert b"protected" not in answer.body, path
    assert ok_backend.requests == []


def test_credentials_in_the_address_do_nothing(protected):
    visitor = Visitor(protected)
    uri = unique_path(FORM) + "&" + urlencode(ALICE)
    answer = visitor.get(uri)
    assert answer.status == 200
    assert_no_session(answer)
    page = answer.body.decode()
    assert "alice" not in page and PASSWORDS["alice"] not in page
    assert tag_of(protected, uri) == "-"
    assert PASSWORDS["alice"] not in protected.error_log.text()
    # Nor are they taken for what a POST lacks.
    uri = unique_path(FORM) + "&" + urlencode(ALICE)
    answer = post(visitor, urlencode({"token": visitor.fields()["token"]}).encode(), uri=uri)
    assert answer.status == 303 and answer.header("Location") == FORM + "?reason=wrong"
    assert_no_session(answer)
    assert tag_of(protected, uri) == "EAS1107"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("agent", [BROWSER, PHONE], ids=["browser", "phone"])
def test_nothing_follows_the_refusal(protected, agent, method):
    """A redirect or a challenge, complete, and then the next answer on the connection."""
    with protected.client() as client:
        for _ in range(2):
            answer = client.request(method, "/owa/secret", headers=agent)
            form = agent == BROWSER and method in ("GET", "HEAD", "POST")
            assert answer.status == (302 if form else 401)
            assert b"protected" not in answer.body


def test_plain_http(gateway, ok_backend):
    """No form, no look at the password, no cookie without TLS."""
    gw = gateway(location(ok_backend.url + "/", path="/"), tls=False)
    gw.expect("EAS1096")
    for method, body in (("GET", None), ("HEAD", None), ("POST", urlencode(ALICE).encode())):
        uri = unique_path(FORM)
        answer = Visitor(gw).request(method, uri, [URLENCODED], body)
        assert_refused(gw, answer, uri, 403, "EAS1096")
        assert answer.all("Set-Cookie") == [] and answer.header("WWW-Authenticate") is None
    assert Visitor(gw).get(LOGOUT).status == 403
    assert ok_backend.requests == []


def test_a_header_too_large_shows_no_cookie(protected):
    """Httpd's own error page."""
    canary = "SecretCookieValue"
    with protected.client() as client:
        answer = client.get(FORM, headers=[("Cookie", f"{COOKIE}={canary}; x={9000 * 'y'}")])
    assert answer.status == 400
    assert canary not in answer.body.decode()

# --- destinations ----------------------------------------------------------------------------

def test_a_destination_that_is_refused_is_logged(protected):
    """As it is when it is posted: every refusal has its tag."""
    uri = unique_path(FORM) + "&destination=//evil.example"
    answer = Visitor(protected).get(uri)
    assert answer.status == 400
    assert tag_of(protected, uri) == "EAS1093"


@pytest.mark.parametrize("query", ["destination=/a&destination=//evil.example",
                                   "destination=//evil.example&destination=/a",
                                   "destination=/owa%00//evil.example", "destination=/owa%zz"])
def test_ambiguous_destination_in_the_address(protected, query):
    """Bad encodings and duplicates are refused, as they are in a body, and not repaired."""
    answer = Visitor(protected).get(f"{FORM}?{query}")
    assert answer.status == 400
    assert answer.header("Location") is None


@pytest.mark.parametrize("name", ["destination", "url", "next", "return", "redirect", "goto"])
def test_sign_out_has_no_destination(webmail, name):
    """Nothing in the request chooses where it leads."""
    visitor = Visitor(webmail)
    visitor.log_on("alice", PASSWORDS["alice"])
    asked = visitor.get(f"{LOGOUT}?{name}=//evil.example")
    assert asked.status == 200 and b"evil" not in asked.body
    answer = visitor.request("POST", f"{LOGOUT}?{name}=//evil.example", [URLENCODED],
                             f"{name}=//evil.example".encode())
    assert answer.status == 303
    assert answer.all("Location") == [FORM + "?reason=signed-out"]
    assert b"evil" not in answer.body
    assert visitor.session is None
    assert visitor.get("/owa/").status == 302


def test_host_header_never_shows(protected):
    """Locations are paths, so that it does not matter who the client says we are."""
    for headers in ([("Host", "evil.example")], [("X-Forwarded-Host", "evil.example")],
                    [("Host", "mail.example.test:8443")], [("Forwarded", "host=evil.example")]):
        for path, status in ((FORM, 200), ("/owa/", 302), (LOGOUT, 303)):
            answer = Visitor(protected).get(path, headers)
            assert answer.status == status
            assert "evil" not in "".join(answer.all("Location")) + answer.body.decode()
            assert all(value.startswith("/") for value in answer.all("Location"))

# --- where it lies ---------------------------------------------------------------------------

@pytest.mark.smoke
def test_below_a_proxied_root(gateway, backends):
    """`ProxyPass /` has everything, and all of it needs a user; not so the form."""
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url + "/", path="/"))
    visitor = Visitor(gw)
    assert visitor.get("/owa/").header("Location") == FORM + "?destination=%2fowa%2f"
    assert visitor.get(FORM).status == 200
    assert visitor.log_on("alice", PASSWORDS["alice"], "/owa/").header("Location") == "/owa/"
    assert cas1.requests() == []
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    until(cas1.requests, 5, "the backend's log line")
    cas1.mark()
    assert visitor.sign_out().status == 303
    assert visitor.get("/eas-kcd/x").status == 404
    assert cas1.requests() == []


@pytest.mark.parametrize("mapping", [
    'ProxyPassMatch "^/(.*)$" "{url}/$1"', 'ProxyPass "/" "{url}/" mapping=encoded',
    'RewriteEngine On\nRewriteRule "^/(.*)$" "{url}/$1" [P]',
    'DocumentRoot "/usr/share"'], ids=lambda mapping: mapping.split()[0])
def test_form_comes_before_every_mapping(gateway, ok_backend, mapping):
    gw = gateway(mapping.format(url=ok_backend.url) + """
<Location "/">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
</Location>
""")
    visitor = Visitor(gw)
    assert visitor.get(FORM).status == 200
    assert visitor.log_on("alice", PASSWORDS["alice"], "/owa/").header("Location") == "/owa/"
    assert visitor.sign_out().status == 303
    assert ok_backend.requests == []


REQUIRES = {
    "another address": ("Require ip 10.0.0.1", 403),
    "nobody": ("Require all denied", 403),
    "another address and a user":
        ("<RequireAll>\nRequire ip 10.0.0.1\nRequire valid-user\n</RequireAll>", 403),
    "not from here": ("<RequireAll>\nRequire not ip 127.0.0.1\nRequire valid-user\n</RequireAll>",
                      403),
    "this address and a user":
        ("<RequireAll>\nRequire ip 127.0.0.1\nRequire valid-user\n</RequireAll>", 200),
    "this address, or a user": ("Require ip 127.0.0.1\nRequire valid-user", 200),
    "another address, or a user": ("Require ip 10.0.0.1\nRequire valid-user", 200),
    "one user": (f"Require user nobody@{REALM}", 200),
}


@pytest.mark.parametrize("what", REQUIRES)
def test_exempt_from_users_only(gateway, ok_backend, what):
    require, status = REQUIRES[what]
    gw = gateway(location(ok_backend.url + "/", path="/", require=require))
    if status == 403:
        gw.expect("AH01630")
    visitor = Visitor(gw)
    assert visitor.get(FORM).status == status
    answer = visitor.log_on("alice", PASSWORDS["alice"])
    assert answer.status == (303 if status == 200 else 403)
    if status == 403:
        assert visitor.jar == {}
    assert ok_backend.requests == []


def test_another_path(gateway, backends):
    cas1 = backends("cas1")
    gw = gateway("EasKcdLoginPath /owa/auth/\n" + location(cas1.url, path="/owa"))
    visitor = Visitor(gw)
    form = "/owa/auth/login"
    assert visitor.get("/owa/").header("Location") == form + "?destination=%2fowa%2f"
    page = visitor.get(form)
    assert page.status == 200 and f'action="{form}"'.encode() in page.body
    answer = visitor.submit(visitor.fields(form) | ALICE | {"destination": "/owa/"}, path=form)
    assert answer.header("Location") == "/owa/"
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    left = visitor.request("POST", "/owa/auth/logout", body=b"")
    assert left.header("Location") == form + "?reason=signed-out"
    assert visitor.get("/owa/").status == 302
    assert visitor.get(FORM).status == 404


@pytest.mark.parametrize("path", ["eas/", "/eas", "/", "//x/", "/a/../b/", "/a b/", "/a%2f/"])
def test_invalid_login_paths(gateway, path):
    code, said = gateway(f'EasKcdLoginPath "{path}"', start=False).check_config()
    assert code != 0 and "EasKcdLoginPath" in said and "/eas-kcd/" in said
