# SPDX-License-Identifier: Apache-2.0
"""EasKcdNegotiate: clients of the domain, with GSSAPI's tokens."""

import base64
import html
import re

import gssapi
import pytest

from lab.ad import PASSWORDS, REALM
from lab.challenge import AJAX, CHALLENGE, DEAD, WAYS, kind
from lab.exchange import location
from lab.frontdoor import BROWSER, FORM, PHONE, Visitor
from lab.kerberos import KRB5, SPNEGO, authorization, from_ccache, initiate, kinit, login, token_of
from lab.login_form import LANGUAGES, texts_of
from lab.unique import unique_path

SPN = f"HTTP/gateway.corp.example.test@{REALM}"
ON = "EasKcdNegotiate On"
NTLM = "Negotiate " + base64.b64encode(b"NTLMSSP\0\1\0\0\0\7\x82\x08\xa2" + bytes(24)).decode()
FORGED = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"))


@pytest.fixture
def member(domain, tmp_path):
    """member(user): the context of a client that is logged on to the domain."""
    def make(user: str, spn: str = SPN, mech=SPNEGO) -> gssapi.SecurityContext:
        done = kinit(domain.krb5_conf, tmp_path / user, f"{user}@{REALM}", PASSWORDS[user])
        assert done.returncode == 0, done.stderr
        return initiate(from_ccache(tmp_path / user), spn, mech=mech)
    return make


def sections(backend, *lines, **options) -> str:
    return "".join(location(backend.url, *lines, path=path, **options) for path in ("/eas", "/owa"))


@pytest.fixture
def negotiating(gateway, backends):
    return gateway(sections(backends("cas1"), ON), reuse=True)


def ask(gw, context, path="", headers=(), method="GET"):
    sent = authorization(context) if isinstance(context, gssapi.SecurityContext) else context
    return gw.request(method, path or unique_path("/eas"),
                      headers=[*headers, ("Authorization", sent)])


def test_own_ticket_is_the_evidence(negotiating, member):
    """Without protocol transition, and with a proof that GSSAPI accepts."""
    for user in ("alice", "bob"):
        context, path = member(user), unique_path("/eas")
        answer = ask(negotiating, context, path)
        assert answer.status == 200 and answer.json()["remote_user"] == f"{user}@{REALM}"
        context.step(token_of(answer.header("WWW-Authenticate")))
        assert context.complete
        entry = negotiating.logged(path)
        assert (entry["EAS_KCD_AUTH"], entry["EAS_KCD_USER"], entry["EAS_KCD_ACCOUNT"]) == (
            "negotiate", f"{user}@{REALM}", user)


def test_kerberos_without_spnego(negotiating, member):
    context = member("carol", mech=KRB5)
    answer = ask(negotiating, context)
    assert answer.status == 200 and answer.json()["remote_user"] == f"carol@{REALM}"
    context.step(token_of(answer.header("WWW-Authenticate")))
    assert context.complete


def test_each_request_stands_alone(negotiating, member, backends):
    """The connection is nobody's."""
    with negotiating.client() as client:
        for user in ("alice", "bob"):
            answer = client.get(unique_path("/eas"),
                                headers=[("Authorization", authorization(member(user)))])
            assert answer.json()["remote_user"] == f"{user}@{REALM}"
        backends("cas1").mark()
        assert client.get(unique_path("/eas"), headers=PHONE).status == 401
        assert backends("cas1", mark=False).requests() == []


@pytest.mark.parametrize("value, tag", [
    (NTLM, "EAS1171"), ("Negotiate YIIB", "EAS1172"), ("Negotiate a b", "EAS1170"),
    ("negotiate  " + NTLM.split()[1], "EAS1171")],
    ids=["NTLM", "cut", "blank", "letter case"])
def test_other_tokens(negotiating, backends, value, tag):
    """The answer offers what is left: Basic to a phone, the form to a browser."""
    backend = backends("cas1")
    path = unique_path("/eas")
    answer = ask(negotiating, value, path, PHONE)
    assert answer.status == 401 and answer.all("WWW-Authenticate") == [CHALLENGE]
    assert negotiating.logged(path)["EAS_KCD_ERROR"] == tag
    assert kind(ask(negotiating, value, "/owa/", BROWSER)) == "form"
    assert backend.requests() == []


def test_ticket_for_another_account(negotiating, backends, member):
    other = member("alice", f"HTTP/gateway2.corp.example.test@{REALM}")
    path = unique_path("/eas")
    assert ask(negotiating, other, path).status == 401
    assert negotiating.logged(path)["EAS_KCD_ERROR"] == "EAS1173"
    assert backends("cas1").requests() == []


def test_sensitive_user(negotiating, member):
    """Active Directory does not let anybody delegate her."""
    negotiating.expect("EAS2030")
    assert ask(negotiating, member("sandra")).status == 403


def test_ticket_that_is_not_forwardable(negotiating):
    negotiating.expect("EAS2030")
    own = initiate(login(f"user20@{REALM}", PASSWORDS["user20"]), SPN)
    assert ask(negotiating, own).status == 403


def test_another_site_made_the_browser_ask(negotiating, member, backends):
    """As with a session's cookie (SameSite=Lax), a link works and all else does not."""
    negotiating.expect("EAS1178")
    backend = backends("cas1")
    link = (FORGED[0], ("Sec-Fetch-Mode", "navigate"))
    frames = [("GET", (*link, ("Sec-Fetch-Dest", dest))) for dest in ("iframe", "object")]
    for method, headers in (("POST", FORGED), ("GET", FORGED), ("POST", link), *frames):
        path = unique_path("/eas")
        assert ask(negotiating, member("alice"), path, headers, method).status == 403
        assert negotiating.logged(path)["EAS_KCD_ERROR"] == "EAS1178"
    assert backend.requests() == []
    for headers in link, (*link, ("Sec-Fetch-Dest", "document")):
        assert ask(negotiating, member("alice"), headers=headers).status == 200


def test_challenges(negotiating):
    """Browsers and scripts are asked for a ticket first; with another cookie, as without."""
    with negotiating.client() as client:
        answers = {name: client.request(method, path, headers=headers,
                                        body=b"x=1" if method == "POST" else None)
                   for name, (method, path, headers) in WAYS.items()}
    for name in ("phone", "nobody"):
        assert answers[name].all("WWW-Authenticate") == ["Negotiate", CHALLENGE], name
    for name in ("browser", "POST", "script"):
        assert answers[name].status == 401, name
        assert answers[name].all("WWW-Authenticate") == ["Negotiate"], name
        assert answers[name].header("Cache-Control") == "no-store"
    assert kind(answers["dead browser"]) == "form"
    assert kind(answers["dead"]) == "script"


def test_browser_without_a_ticket(negotiating):
    """The page behind the challenge leads to the form, and back."""
    visitor = Visitor(negotiating)
    page = visitor.get('/owa/?a="><script>&b=%22').body.decode()
    (leads_to,) = re.findall(r'content="0; url=([^"]*)"', page)
    assert "<script>" not in page
    form = html.unescape(leads_to)
    assert form.startswith(FORM)
    answer = visitor.submit(visitor.fields(form) | {"username": "alice",
                                                    "password": PASSWORDS["alice"]})
    assert answer.status == 303 and answer.header("Location").startswith("/owa/?a=")
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"


@pytest.mark.parametrize("tag", sorted(path.stem for path in LANGUAGES.glob("*.txt")))
def test_page_behind_the_challenge_in_each_language(negotiating, tag):
    """In ASCII, because httpd calls it ISO-8859-1."""
    answer = Visitor(negotiating).get("/owa/", [("Accept-Language", tag)])
    page, texts = answer.body.decode("ascii"), texts_of(tag)
    assert answer.status == 401
    assert f'<html lang="{tag}" dir="{texts["direction"]}">' in page
    assert html.unescape(page).count(f">{texts['sign_in']}</") == 2


def test_session_comes_first(negotiating, member):
    visitor = Visitor(negotiating)
    assert visitor.log_on("bob", PASSWORDS["bob"]).status == 303
    answer = visitor.get("/owa/", [("Authorization", authorization(member("alice")))])
    assert answer.json()["remote_user"] == f"bob@{REALM}"


@pytest.mark.parametrize("line", ["", "EasKcdNegotiate Off"])
def test_off(gateway, backends, member, line):
    backend = backends("cas1")
    gw = gateway(sections(backend, line), reuse=True)
    for value in (authorization(member("alice")), NTLM):
        answer = ask(gw, value, headers=PHONE)
        assert answer.status == 401 and answer.all("WWW-Authenticate") == [CHALLENGE]
    assert kind(gw.request("GET", "/owa/", headers=[*BROWSER, AJAX])) == "script"
    assert kind(gw.request("GET", "/owa/", headers=BROWSER)) == "form"
    assert kind(gw.request("GET", "/owa/", headers=[*BROWSER, DEAD])) == "form"
    assert backend.requests() == []


def test_by_the_client_address(gateway, backends, member):
    """The recipe: only where members of the domain are."""
    gw = gateway(sections(backends("cas1"), "<If \"-R '10.0.0.0/8'\">\n" + ON + "\n</If>"),
                 reuse=True)
    assert gw.get(unique_path("/eas"), headers=PHONE).all("WWW-Authenticate") == [CHALLENGE]
    near = gateway(sections(backends("cas1"), "<If \"-R '127.0.0.0/8'\">\n" + ON + "\n</If>"),
                   reuse=True)
    assert ask(near, member("alice")).status == 200


@pytest.mark.parametrize("mpm", ["worker", "prefork"])
def test_mpm(gateway, backends, member, mpm):
    gw = gateway(sections(backends("cas1"), ON), mpm=mpm)
    for user in ("alice", "carol", "alice"):
        assert ask(gw, member(user)).json()["remote_user"] == f"{user}@{REALM}"


def test_nothing_required(gateway, backends, member):
    """A token that is presented must be right, also where none is needed."""
    gw = gateway(sections(backends("cas1"), ON, require="Require all granted"), reuse=True)
    assert ask(gw, member("alice")).json()["remote_user"] == f"alice@{REALM}"
    assert ask(gw, NTLM, headers=PHONE).status == 401
