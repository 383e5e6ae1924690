# SPDX-License-Identifier: Apache-2.0
"""EasKcdAlwaysAuthenticate: where nothing requires a user, the backend or the directive asks."""

import pytest

from lab.ad import PASSWORDS, REALM
from lab.challenge import AJAX, DEAD, WAYS, ask, browser_lines, kind, raw
from lab.client import basic
from lab.exchange import UNGUARDED, location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, COOKIE, FORM, PHONE, Visitor
from lab.gateway import MODULES

ALICE = f"alice@{REALM}"
GRANTED = "Require all granted"


# --- do not always authenticate --------------------------------------------------------------

def picky(request):
    """As Exchange: some paths are for anybody, at others it asks for a user, in its own manner."""
    path = request.line.split()[1]
    if "/private" in path and request.authorization is None:
        return response("401 Unauthorized", [
            ("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", "NTLM"),
            ("WWW-Authenticate", 'Basic realm="cas1"'), ("X-OWA-Error", "secret"),
            ("Set-Cookie", "UserContext=1"), ("Content-Type", "text/html")],
            b"the backend's own page")
    return response("200 OK", [("X-Was", request.authorization or "nobody")], b"fine")


@pytest.fixture
def relaxed(gateway, fake_backends):
    """relaxed(*lines): a gateway where nothing is required; its backend decides."""
    backend = fake_backends(picky, reuse=True)

    def start(*lines):
        return gateway(UNGUARDED + location(f"{backend.url}/", *lines, path="/",
                                            require=GRANTED), reuse=True), backend
    return start


def test_nothing_is_asked_where_nothing_is_required(relaxed):
    gw, backend = relaxed()
    for headers in (BROWSER, PHONE, [], [*BROWSER, DEAD], [*BROWSER, AJAX],
                    [("Authorization", "Bearer")]):
        answer = gw.get("/owa/x", headers=headers)
        assert (answer.status, answer.body) == (200, b"fine")
        assert answer.header("X-Was") == "nobody"
    assert len(backend.requests) == 6
    assert gw.logged("/owa/x")["user"] == "-"
    assert gw.error_log.tags() == []


@pytest.mark.parametrize("error_override", ["Off", "On"])
def test_the_backend_asks(relaxed, error_override):
    gw, backend = relaxed(f"ProxyErrorOverride {error_override}")
    expected = {"browser": "form", "phone": "basic", "nobody": "basic", "POST": "form",
                "script": "script"}
    for name, wanted in expected.items():
        method, _, headers = WAYS[name]
        path = f"/private?{name}"
        answer = gw.request(method, path, headers=headers,
                            body=b"x" if method == "POST" else None)
        assert kind(answer) == wanted, name
        assert b"backend's own" not in answer.body
        assert answer.all("Set-Cookie") == [] and answer.all("X-OWA-Error") == []
        assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS2064"
        if name == "browser":
            assert answer.header("Location") == FORM + "?destination=%2fprivate%3fbrowser"
        if name == "POST":
            assert "reason=not-taken" in answer.header("Location")
    assert len(backend.requests) == len(expected)
    assert all(request.authorization is None for request in backend.requests)


def test_the_backend_asks_a_script(relaxed):
    """The status line, which httpd would call a 500, survives mod_proxy too."""
    gw, backend = relaxed()
    got = raw(gw, ["GET /private HTTP/1.1", *browser_lines(": ".join(AJAX)), "Connection: close"])
    assert got.startswith(b"HTTP/1.1 440 Login Time-out\r\n")
    assert got.endswith(b"The session has ended.\n")
    assert got.count(b"HTTP/1.1 ") == 1
    assert len(backend.requests) == 1


def test_the_backend_asks_on_head(relaxed):
    gw, _ = relaxed()
    for headers, wanted in ((BROWSER, "form"), (PHONE, "basic"), ([*BROWSER, AJAX], "script")):
        answer = gw.request("HEAD", "/private", headers=headers)
        assert (kind(answer), answer.body) == (wanted, b"")


def test_the_backend_asks_a_browser_with_a_dead_cookie(relaxed):
    """A browser with a dead cookie must not pop up a password box, whoever asks."""
    gw, _ = relaxed()
    assert kind(gw.post("/private", b"x", headers=[*BROWSER, DEAD])) == "form"
    assert kind(gw.get("/private", headers=[*BROWSER, DEAD])) == "form"
    assert kind(gw.get("/EWS/private", headers=[*BROWSER, DEAD])) == "basic"


def test_the_connection_goes_on_after_the_backend_asked(relaxed):
    gw, backend = relaxed()
    with gw.client() as client:
        for _ in range(3):
            assert client.get("/private", headers=PHONE).status == 401
            assert client.get("/owa/x", headers=PHONE).body == b"fine"
            assert client.get("/private", "alice", PASSWORDS["alice"], PHONE).body == b"fine"
    assert len(backend.requests) == 9


@pytest.mark.smoke
def test_right_credentials_where_none_are_required(gateway, backends):
    cas1 = backends("cas1")
    gw = gateway(UNGUARDED + location(cas1.url, require=GRANTED))
    for agent in (BROWSER, PHONE, []):
        answer = gw.get("/eas/x", "alice", PASSWORDS["alice"], agent)
        assert answer.json()["remote_user"] == ALICE
        assert answer.header("Cache-Control").startswith("private")
    assert gw.logged("/eas/x")["user"] == ALICE


WRONG = {"wrong": ("alice", "nonsense", "EAS1030"), "empty": ("alice", "", "EAS1012"),
         "unknown": ("nobody", "x", "EAS1031"), "no name": ("", "x", "EAS1001")}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_credentials_where_none_are_required(gateway, fake_backends, name):
    user, password, tag = WRONG[name]
    backend = fake_backends(picky)
    gw = gateway(UNGUARDED + location(backend.url, path="/owa", require=GRANTED))
    for agent, wanted in ((BROWSER, "form"), (PHONE, "basic"), ([*BROWSER, AJAX], "script")):
        path = f"/owa?{wanted}"
        assert kind(gw.get(path, user, password, agent)) == wanted
        assert gw.logged(path)["EAS_KCD_ERROR"] == tag
        assert gw.logged(path)["user"] == "-"
    assert backend.requests == []


def test_malformed_credentials_where_none_are_required(gateway, fake_backends):
    backend = fake_backends(picky)
    gw = gateway(location(backend.url, path="/owa", require=GRANTED))
    for value, tag in (("Basic !!!", "EAS1010"), ("Basic YWxpY2U=", "EAS1011")):
        assert kind(gw.get(f"/owa?{tag}", headers=[("Authorization", value)])) == "basic"
        assert gw.logged(f"/owa?{tag}")["EAS_KCD_ERROR"] == tag
    assert backend.requests == []


# --- always authenticate ---------------------------------------------------------------------

REQUIRES = {"granted": GRANTED, "an address": "Require ip 127.0.0.1",
            "any": "<RequireAny>\nRequire valid-user\nRequire ip 127.0.0.1\n</RequireAny>",
            "Satisfy": "Require all granted\nRequire valid-user"}


@pytest.mark.parametrize("require", REQUIRES)
def test_always_authenticate(closed, require):
    """Whatever would let a request through without a user."""
    gw = closed("EasKcdAlwaysAuthenticate On", require=REQUIRES[require])
    got = ask(gw, WAYS)
    assert got == dict(zip(WAYS, "form basic basic form script script form".split()))


@pytest.mark.parametrize("require", REQUIRES)
def test_not_always_authenticate(gateway, fake_backends, require):
    backend = fake_backends(picky)
    gw = gateway(location(backend.url, "EasKcdAlwaysAuthenticate Off", path="/owa",
                          require=REQUIRES[require]))
    assert gw.get("/owa", headers=BROWSER).header("X-Was") == "nobody"
    assert gw.get("/owa", "alice", PASSWORDS["alice"]).header("X-Was").startswith("Negotiate ")


def test_always_authenticate_accepts(gateway, backends):
    gw = gateway(UNGUARDED + location(backends("cas1").url, "EasKcdAlwaysAuthenticate On",
                                     require=GRANTED))
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).json()["remote_user"] == ALICE
    assert gw.get("/eas").status == 401


def test_always_authenticate_is_merged(gateway, fake_backends):
    """Given outside, taken back inside."""
    backend = fake_backends(picky)
    gw = gateway(UNGUARDED + "EasKcdAlwaysAuthenticate On\n"
                 + location(backend.url, path="/owa", require=GRANTED)
                 + location(backend.url, "EasKcdAlwaysAuthenticate Off", path="/open",
                            require=GRANTED))
    assert gw.get("/owa").status == 401
    assert gw.get("/open").status == 200
    assert len(backend.requests) == 1


# --- Satisfy Any -----------------------------------------------------------------------------

ALLOWED = ("Order allow,deny", "Allow from 127.0.0.1", "Satisfy Any")


@pytest.fixture
def satisfied(gateway, mailbox):
    """satisfied(*lines): a gateway where mod_access_compat lets this address in without a user."""
    def start(*lines, require="Require valid-user"):
        return gateway(UNGUARDED + location(mailbox.url, *ALLOWED, *lines, require=require),
                       modules=(*MODULES, "access_compat"), reuse=True)
    return start


@pytest.mark.parametrize("require", ["Require valid-user", GRANTED])
def test_allowed_address_with_credentials(satisfied, mailbox, require):
    """A wrong password is refused, and asked about once; a right one is the user's."""
    gw = satisfied(require=require)
    assert (nobody := gw.get("/eas")).status == 200 and nobody.body == b"nobody"
    assert (alice := gw.get("/eas", "alice", PASSWORDS["alice"])).status == 200
    assert alice.body.decode() == ALICE
    before = len(mailbox.requests)
    wrong = gw.get("/eas", "alice", "nonsense", headers=PHONE)
    assert wrong.status == 401
    assert wrong.all("WWW-Authenticate") == ['Basic realm="Mail", charset="UTF-8"']
    assert gw.get("/eas", "nobody-here", "nonsense").status == 401
    assert len(mailbox.requests) == before
    assert gw.error_log.tags().count("EAS1030") == 1


def test_allowed_address_with_a_session(satisfied):
    gw = satisfied()
    visitor = Visitor(gw)
    assert visitor.log_on("alice", PASSWORDS["alice"]).status == 303
    assert visitor.get("/eas").body.decode() == ALICE
    assert Visitor(gw, jar={COOKIE: "dead"}).get("/eas").body == b"nobody"


def test_other_addresses_with_credentials(gateway, mailbox):
    """The refusal is one answer: one challenge, one cookie cleared."""
    gw = gateway(location(mailbox.url, "Order allow,deny", "Allow from 192.0.2.1", "Satisfy Any"),
                 modules=(*MODULES, "access_compat"))
    gw.expect("AH01797")
    assert gw.get("/eas").status == 401
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).body.decode() == ALICE
    visitor = Visitor(gw, jar={COOKIE: "dead"})
    answer = visitor.get("/eas", headers=[("Authorization", basic("alice", "nonsense"))])
    assert answer.status == 302
    assert len(answer.all("Set-Cookie")) == len(answer.all("Location")) == 1


def test_allowed_address_must_always_authenticate(satisfied, mailbox):
    gw = satisfied("EasKcdAlwaysAuthenticate On")
    assert gw.get("/eas").status == 401
    assert mailbox.requests == []
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).body.decode() == ALICE
