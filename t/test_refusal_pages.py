# SPDX-License-Identifier: Apache-2.0
"""The pages of the module's own 403 and 503: for navigations of browsers, and for nobody else."""

import html
import re

import pytest

from lab.ad import PASSWORDS, REALM
from lab.client import assert_unavailable, basic
from lab.examples import LOGIN_PAGE
from lab.exchange import anybody_location, location
from lab.fake_backend import response
from lab.gateway import MODULES
from lab.frontdoor import BROWSER, FORM, LOGOUT, PHONE, Visitor
from lab.names import GATEWAY
from lab.login_form import LANGUAGES, style_hash_of, texts_of

EN = texts_of("en")
UNKNOWN = "EasKcdSPN HTTP/unknown"      # no service has it
HTTPDS = "text/html; charset=iso-8859-1"
NEXT = "/owa/?ae=Folder&id=a%2Bb"
TO_NEXT = "%2fowa%2f%3fae%3dFolder%26id%3da%252Bb"
LANGUAGE_TAGS = sorted(path.stem for path in LANGUAGES.glob("*.txt"))

# A Location that authenticates only: whatever the backend says is its own.
UNDELEGATED = """
<Location "{path}">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    ProxyPass "{url}"
    {lines}
</Location>
"""


@pytest.fixture
def forbidding(gateway, ok_backend):
    """forbidding(*lines): alice may log on, and may open nothing below /owa."""
    def start(*lines, before=""):
        gw = gateway(before + location(ok_backend.url, *lines, path="/owa",
                                       require=f"Require user bob@{REALM}"))
        gw.expect("EAS1063", "AH01631")
        return gw
    yield start
    assert ok_backend.requests == []


@pytest.fixture
def unable(gateway, ok_backend):
    """unable(*lines): the KDC does not know the backend's service."""
    def start(*lines, before=""):
        gw = gateway(before + location(ok_backend.url, UNKNOWN, *lines, path="/owa"))
        gw.expect("EAS2033")
        return gw
    yield start
    assert ok_backend.requests == []


def by_password(name, password):
    return ("Authorization", basic(name, password))


def signed_in(gw, user="alice"):
    visitor = Visitor(gw)
    assert visitor.log_on(user, PASSWORDS[user]).status == 303
    assert visitor.session
    return visitor


def assert_page(answer, status, text, language="en"):
    """The module's page with its headers. Returns what a person reads of it."""
    page = answer.body.decode()
    assert answer.status == status
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert answer.all("Content-Language") == [language]
    assert int(answer.header("Content-Length")) == len(answer.body)
    assert "Accept-Language" in answer.header("Vary")
    assert "no-store" in answer.header("Cache-Control")
    policy = answer.header("Content-Security-Policy")
    assert f"'{style_hash_of(answer.body)}'" in policy and "frame-ancestors 'none'" in policy
    for name, value in {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
                        "Referrer-Policy": "same-origin"}.items():
        assert answer.all(name) == [value]
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n") and "{{" not in page
    assert page.count("<html") == 1 and "Forbidden" not in page and "Unavailable" not in page
    assert re.search(rf'role="alert">{re.escape(html.escape(text, quote=False))}</p>', page), page
    assert f"<title>{html.escape(text, quote=False)} - " in page
    return html.unescape(page)


def assert_httpds(answer, status):
    assert answer.status == status
    assert answer.header("Content-Type") in (HTTPDS, None)
    assert b"<main>" not in answer.body
    assert answer.header("Content-Security-Policy") is None
    assert answer.header("Content-Language") is None


# --- 403 -------------------------------------------------------------------------------------

@pytest.mark.smoke
def test_forbidden_with_a_session_leads_to_another_account(forbidding):
    visitor = signed_in(forbidding())
    page = assert_page(visitor.get("/owa/"), 403, EN["not_allowed"])
    assert f'You are signed in as <bdi dir="ltr">alice@{REALM}</bdi>.' in page
    assert f'<form method="post" action="{LOGOUT}">' in page
    assert f'<button type="submit">{EN["other_account"]}</button>' in page
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    assert set(fields) == {"token"} == set(visitor.fields()) - {"destination"}
    # A browser that hides the page's origin needs the token.
    answer = visitor.submit(fields, [("Origin", "null")], path=LOGOUT)
    assert answer.status == 303 and answer.header("Location") == FORM + "?reason=signed-out"
    assert visitor.session is None


def test_forbidden_with_a_password_leads_to_the_form(forbidding):
    answer = Visitor(forbidding()).get(NEXT, [by_password("alice", PASSWORDS["alice"])])
    page = assert_page(answer, 403, EN["not_allowed"])
    assert f'<a class="button go" href="{FORM}?destination={TO_NEXT}">' in page
    assert EN["other_account"] in page and "<form" not in page and "token" not in page
    assert f"alice@{REALM}" in page and answer.all("Set-Cookie") == []


def test_user_of_another_module_has_no_way_out(gateway, ok_backend):
    """A sign-out here would not end what is not from here."""
    gw = gateway(anybody_location(ok_backend.url).replace("/eas", "/owa"),
                 modules=(*MODULES, "authn_anon"))
    gw.expect("EAS2040")
    answer = Visitor(gw).get("/owa/", [by_password("alice@" + REALM, "x")])
    page = assert_page(answer, 403, EN["not_allowed"])
    assert "<form" not in page and 'class="button' not in page
    assert ok_backend.requests == []


def test_plain_http(gateway, ok_backend):
    """The words name the cure, and no link leads round in a circle."""
    gw = gateway(location(ok_backend.url, path="/owa"), tls=False)
    gw.expect("EAS1060", "EAS1096")
    for path in "/owa/", FORM, LOGOUT:
        page = assert_page(Visitor(gw).get(path), 403, EN["needs_tls"])
        assert "<form" not in page and 'class="button' not in page, path
    assert_httpds(Visitor(gw, PHONE).get("/owa/"), 403)
    assert ok_backend.requests == []


# --- 503 -------------------------------------------------------------------------------------

def test_unavailable_leads_back(unable):
    visitor = signed_in(unable())
    for path in NEXT, "/owa/'x\"", "/owa/{{token}}":
        answer = visitor.get(path)
        assert_unavailable(answer)
        page = answer.body.decode()
        assert html.unescape(page.partition('href="')[2].partition('"')[0]) == path
        assert EN["unavailable"] in page and EN["try_again"] in page
    page = assert_page(visitor.get(NEXT), 503, EN["unavailable"])
    assert "<form" not in page and REALM not in page


def test_unavailable_after_a_form_leads_to_its_page(unable):
    """A link cannot send a form again."""
    visitor = signed_in(unable())
    here = f"https://{GATEWAY}"
    for referer, link in (("/owa/new?a=b", "/owa/new?a=b"), ("//evil.example/", "/owa/"),
                          (None, "/owa/"), (FORM, "/owa/")):
        headers = [("Referer", here + referer)] if referer else []
        answer = visitor.request("POST", "/owa/send?id=1", headers, b"x=1")
        page = assert_page(answer, 503, EN["unavailable"])
        assert f'class="button go" href="{link}"' in page, referer


def test_link_leads_to_no_other_site(gateway, ok_backend):
    gw = gateway("MergeSlashes Off\n" + location(ok_backend.url + "/", UNKNOWN, path="/")
                 + '<LocationMatch "^//">\nEasKcdStrictPath Off\n</LocationMatch>\n')
    gw.expect("EAS2033")
    visitor = signed_in(gw)
    page = assert_page(visitor.get("//evil.example/x"), 503, EN["unavailable"])
    assert 'class="button go" href="/"' in page and "evil" not in page
    assert ok_backend.requests == []


def test_credentials_that_nobody_verified(gateway, relay, ok_backend):
    """The same page for a user and for none: not the KDC's trouble but the log-on's."""
    gw = gateway(location(ok_backend.url, path="/owa"), krb5_conf=relay.krb5_conf)
    gw.expect("EAS1036")
    relay.refuse()
    answers = [Visitor(gw).get("/owa/", [by_password(name, "x")]) for name in ("alice", "nobody")]
    for answer in answers:
        assert_unavailable(answer)
        assert_page(answer, 503, EN["try_later"])
    assert answers[0].body == answers[1].body
    assert ok_backend.requests == []


def test_throttled_user_sees_what_an_unknown_one_sees(gateway, ok_backend):
    gw = gateway("EasKcdLockout 2 30m\nEasKcdBadPasswordMemory off\n"
                 + location(ok_backend.url, path="/owa"))
    gw.expect("EAS1310")
    pages = {}
    for name in "alice", "nobody-at-all":
        for n in range(40):
            answer = Visitor(gw).get("/owa/", [by_password(name, f"wrong-{n}")])
            if answer.status == 503:
                break
        pages[name] = assert_page(answer, 503, EN["try_later"])
    assert pages["alice"] == pages["nobody-at-all"]
    assert ok_backend.requests == []


# --- who gets none ---------------------------------------------------------------------------

SCRIPTS = {
    "phone": (PHONE, "/owa/"),
    "script": ((*BROWSER, ("X-Requested-With", "XMLHttpRequest")), "/owa/"),
    "fetch": ((*BROWSER, ("Sec-Fetch-Mode", "cors")), "/owa/"),
    "no HTML": ((BROWSER[0], ("Accept", "application/json")), "/owa/"),
    "nobody": ((), "/owa/"),
    "Exchange's client": (BROWSER, "/EWS/Exchange.asmx"),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_other_clients_get_what_they_got(gateway, ok_backend, what):
    agent, path = SCRIPTS[what]
    gw = gateway(location(ok_backend.url, UNKNOWN, path=path.rstrip("/")), reuse=True)
    gw.expect("EAS2033")
    answer = Visitor(gw, agent).get(path, [by_password("alice", PASSWORDS["alice"])])
    assert_unavailable(answer)
    assert_httpds(answer, 503)
    assert b"503 Service Unavailable" in answer.body
    assert ok_backend.requests == []


def test_head(unable):
    answer = signed_in(unable()).request("HEAD", "/owa/")
    assert_unavailable(answer)
    assert answer.body == b"" and answer.header("Content-Type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("override", ["", "ProxyErrorOverride On"])
@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable"])
def test_backends_own_refusals(gateway, fake_backends, status, override):
    """They pass, or are httpd's: their reasons are not known here."""
    backend = fake_backends(lambda _: response(status, body=b"of the backend"))
    gw = gateway(UNDELEGATED.format(path="/owa", url=backend.url, lines=override))
    answer = signed_in(gw).get("/owa/")
    assert answer.status == int(status[:3]) and b"<main>" not in answer.body
    assert (answer.body == b"of the backend") is (override == "")
    assert answer.header("Content-Security-Policy") is None


def test_refusal_by_httpds_own_rules(gateway, ok_backend):
    gw = gateway(location(ok_backend.url, path="/owa", require="Require all denied"))
    gw.expect("AH01630")
    assert_httpds(Visitor(gw).get("/owa/"), 403)
    assert ok_backend.requests == []


def test_backends_error_after_another_members_refusal(gateway, fake_backends):
    """The first member has no service; what the second says is its own."""
    unknown, known = (fake_backends(lambda _: response("503 Service Unavailable"), short)
                      for short in ("other", "cas1"))
    gw = gateway(f"""
<Proxy "balancer://cas">
    BalancerMember "{unknown.url}" loadfactor=100
    BalancerMember "{known.url}" loadfactor=1
</Proxy>
""" + location("balancer://cas", "ProxyErrorOverride On", path="/owa"))
    gw.expect("EAS2033")
    visitor = signed_in(gw)
    assert_httpds(visitor.get("/owa/"), 503)
    assert unknown.requests == [] and known.requests


# --- the administrator's own -----------------------------------------------------------------

OWN = {
    "text": ('"ours"', lambda answer: answer.body == b"ours"),
    "page": ("/own/503.html", lambda answer: answer.body == b"our page"),
    "default": ("default", lambda answer: b"503 Service Unavailable" in answer.body),
    "missing page": ("/own/missing", lambda answer: b"ErrorDocument to handle" in answer.body),
}


@pytest.mark.parametrize("what", OWN)
def test_error_document_comes_first(unable, lab_dir, what):
    document, shows = OWN[what]
    (lab_dir / "own").mkdir(exist_ok=True)
    (lab_dir / "own" / "503.html").write_text("our page")
    gw = unable(f"ErrorDocument 503 {document}", before=f'Alias "/own/" "{lab_dir}/own/"\n'
                f'<Directory "{lab_dir}/own">\nRequire all granted\n</Directory>\n')
    answer = signed_in(gw).get("/owa/")
    assert_unavailable(answer)
    assert shows(answer), answer.body
    assert b"<main>" not in answer.body and answer.header("Content-Security-Policy") is None


def test_error_document_for_another_status(unable):
    gw = unable('ErrorDocument 403 "ours"')
    assert_page(signed_in(gw).get("/owa/"), 503, EN["unavailable"])


@pytest.mark.parametrize("tag", LANGUAGE_TAGS)
def test_every_language(gateway, ok_backend, tag):
    texts = texts_of(tag)
    gw = gateway(location(ok_backend.url, UNKNOWN, path="/owa")
                 + location(ok_backend.url, path="/ecp", require="Require user nobody"), reuse=True)
    gw.expect("EAS1063", "AH01631", "EAS2033")
    accept = [("Accept-Language", f"{tag}-XX, xx"), by_password("alice", PASSWORDS["alice"])]
    page = assert_page(Visitor(gw).get("/owa/", accept), 503, texts["unavailable"], tag)
    assert texts["try_again"] in page
    page = assert_page(Visitor(gw).get("/ecp/", accept), 403, texts["not_allowed"], tag)
    assert texts["other_account"] in page
    assert texts["signed_in_as"].partition("{{")[0] in page
    assert f'<html lang="{tag}" dir="{texts["direction"]}">' in page
    assert ok_backend.requests == []


def test_administrators_page_languages_and_site(forbidding, lab_dir):
    """A login page in German alone makes the refusals German, too; texts can be replaced."""
    (lab_dir / "login.de.html").write_text(LOGIN_PAGE)
    (lab_dir / "texts").mkdir()
    (lab_dir / "texts" / "de.txt").write_text("not_allowed = Nur für <Bob> & Co.\n")
    gw = forbidding(before=f'EasKcdLoginPage "{lab_dir}/login.de.html"\n'
                           f'EasKcdLoginLanguages "{lab_dir}/texts"\n'
                           'EasKcdLoginInfo organization "Example & Sons"\n'
                           "EasKcdLoginInfo help /help\n")
    page = assert_page(signed_in(gw).get("/owa/", [("Accept-Language", "fr")]), 403,
                       "Nur für <Bob> & Co.", "de")
    assert "Example & Sons" in page and '<a href="/help">Hilfe</a>' in page
