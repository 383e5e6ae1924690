# SPDX-License-Identifier: Apache-2.0
"""Error documents, internal redirects and subrequests: one user, one log-on, no way around."""

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import UNGUARDED, location
from lab.fake_backend import always_401, response
from lab.frontdoor import BROWSER, COOKIE, FORM, PHONE, Visitor
from lab.gateway import MODULES
from lab.wait import until

CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'
ALICE, BOB = f"alice@{REALM}", f"bob@{REALM}"
LOCAL = (*MODULES, "dir", "mime", "negotiation", "include", "cgi")
CGI = r"""#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
env | sort
"""


@pytest.fixture(scope="module")
def docroot(lab_dir):
    """Pages of httpd's own: error pages, a CGI that tells its environment, SSI, variants."""
    root = lab_dir / "subrequests"
    files = {
        "errors/plain.html": "the error page",
        "errors/env.cgi": CGI,
        "inside/env.cgi": CGI,
        "inside/error.html": "the inner error page",
        "inside/secret.html": "a secret",
        "dir/index.html": "the index",
        "dir/page.html.en": "in English",
        "dir/page.html.de": "auf Deutsch",
        "ssi/local.shtml": 'user <!--#echo var="REMOTE_USER" -->;'
                           '<!--#include virtual="/inside/secret.html" -->',
        "ssi/proxied.shtml": 'user <!--#echo var="REMOTE_USER" -->;'
                             '<!--#include virtual="/eas/included" -->',
        "ssi/many.shtml": '<!--#include virtual="/eas/included" -->' * 5,
        "public/page.shtml": 'public;<!--#include virtual="/eas/included" -->;'
                             '<!--#include virtual="/inside/secret.html" -->;end',
        "public/index.html": "anybody's",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return root


@pytest.fixture
def site(gateway, backends, docroot, relay):
    """site(*lines): /eas is proxied, /inside, /dir and /ssi are httpd's own; all want a user.
    /errors and /public are for anybody."""
    cas1 = backends("cas1")

    def start(*lines, eas=(), **options):
        own = "\n".join(f"""
<Location "/{name}">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
</Location>""" for name in ("inside", "dir", "ssi"))
        gw = gateway(UNGUARDED + f"""
DocumentRoot "{docroot}"
TypesConfig /etc/mime.types
AddHandler cgi-script .cgi
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
AddLanguage en .en
AddLanguage de .de
DirectoryIndex index.html
<Directory "{docroot}">
    Options ExecCGI Includes MultiViews FollowSymLinks
    Require all granted
</Directory>
{own}
{location(cas1.url, *eas)}
""" + "\n".join(lines) + "\n", modules=LOCAL, krb5_conf=relay.krb5_conf, processes=1, **options)
        relay.reset()
        return gw, cas1
    return start


def refusals(gw):
    return [tag for tag in gw.error_log.tags() if tag.startswith("EAS1")]


def environment(answer):
    return dict(line.partition("=")[::2] for line in answer.body.decode().splitlines()
                if "=" in line)


def wrong_or_missing():
    return {"missing": (None, None, "EAS1062"), "wrong": ("alice", "nonsense", "EAS1030"),
            "empty": ("alice", "", "EAS1012"), "unknown": ("nobody", "x", "EAS1031")}


# --- error documents ----------------------------------------------------------------------------

@pytest.mark.parametrize("what", wrong_or_missing())
@pytest.mark.parametrize("page", ["/errors/env.cgi", "/inside/env.cgi"])
def test_error_page_of_a_failed_log_on(site, relay, what, page):
    """401 with a page outside and one inside: asked once, counted once, and nobody has become
    anybody."""
    gw, cas1 = site(f"ErrorDocument 401 {page}")
    user, password, tag = wrong_or_missing()[what]
    answer = gw.get("/eas/x", user, password)
    assert answer.status == 401
    assert answer.all("WWW-Authenticate") == [CHALLENGE]
    assert set(refusals(gw)) == {tag}
    assert relay.passwords == (1 if what == "wrong" else 0)
    assert cas1.requests() == []
    if page == "/errors/env.cgi":
        env = environment(answer)
        assert env["REDIRECT_STATUS"] == "401"
        assert env["REDIRECT_EAS_KCD_ERROR"] == tag
        assert not [name for name in env if "REMOTE_USER" in name or name == "EAS_KCD_USER"]
        assert "HTTP_AUTHORIZATION" not in env and "AUTH_TYPE" not in env
    else:
        assert answer.body.startswith(b"<!DOCTYPE HTML")    # httpd's own, not the protected page
        assert b"REMOTE_USER" not in answer.body


@pytest.mark.parametrize("what", ["missing", "wrong"])
def test_error_page_behind_the_same_protection(site, relay, what):
    """httpd asks nobody again where an internal redirect stays below the same sections: whoever was
    refused must not reach the backend by way of the error page."""
    gw, cas1 = site("ErrorDocument 401 /eas/error")
    user, password, tag = wrong_or_missing()[what]
    answer = gw.get("/eas/x", user, password)
    assert answer.status == 401
    assert answer.all("WWW-Authenticate") == [CHALLENGE]
    assert refusals(gw) == [tag]
    assert b"remote_user" not in answer.body
    assert cas1.requests() == []


def test_error_page_does_not_go_round(site):
    """The error page's own 401 is the end of it, not the beginning of the next one."""
    gw, cas1 = site("ErrorDocument 401 /eas/error")
    assert gw.get("/eas/x").status == 401
    assert "AH00124" not in gw.error_log.text()     # ten internal redirects
    assert len(cas1.requests()) <= 1


@pytest.mark.parametrize("status,user", [(503, "alice"), (401, None)])
def test_error_page_of_an_unwilling_backend(gateway, fake_backends, status, user):
    """A backend that answers everything with 401 is asked for the page, with a user once more with
    a new ticket, and for its error page."""
    backend = fake_backends(always_401)
    gw = gateway(location(backend.url, require="Require all granted")
                 + f"ErrorDocument {status} /eas/error\n")
    gw.expect(*["EAS2063"] * (status == 503))
    answer = gw.get("/eas/x", user, PASSWORDS[user] if user else None)
    assert answer.status == status
    assert answer.all("WWW-Authenticate") == [CHALLENGE] * (status == 401)
    asked = ["/x", "/x", "/error"] if user else ["/x", "/error"]
    assert [request.line.split()[1] for request in backend.requests] == asked


def test_error_page_shows_no_user_by_expression(site):
    gw, _ = site("ErrorDocument 401 /errors/plain.html",
                 'Header always set X-User "expr=%{REMOTE_USER}|%{reqenv:EAS_KCD_USER}"')
    for user, password in ((None, None), ("alice", "nonsense"), ("nobody", "x")):
        answer = gw.get("/eas/x", user, password)
        assert (answer.status, answer.body) == (401, b"the error page")
        assert answer.header("X-User") == "|"
    assert gw.get("/eas/x", "alice", PASSWORDS["alice"]).header("X-User") == f"{ALICE}|{ALICE}"
    entries = until(lambda: (e := gw.requests())[3:] and e, 5, "the log")
    assert [entry["user"] for entry in entries] == ["-", "-", "-", ALICE]


@pytest.mark.parametrize("page,body", [("/errors/plain.html", b"the error page"),
                                       ("/inside/error.html", b"the inner error page")])
def test_error_page_when_require_refuses(site, relay, page, body):
    gw, _ = site(f"ErrorDocument 403 {page}", "ErrorDocument 401 /errors/env.cgi",
                 '<Location "/inside/secret.html">\nRequire user nobody\n</Location>')
    gw.expect("EAS1063", "AH01631")
    answer = gw.get("/inside/secret.html", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.body) == (403, body)
    assert answer.all("WWW-Authenticate") == []
    assert relay.passwords == 1
    assert refusals(gw) == ["EAS1063"]
    assert answer.header("Cache-Control") == "private"


@pytest.mark.parametrize("page", ["/errors/plain.html", "/inside/error.html", "/eas/error"])
@pytest.mark.parametrize("status", [404, 403, 503])
def test_error_page_of_the_backends_refusal(site, relay, page, status):
    gw, cas1 = site(f"ErrorDocument {status} {page}", eas=[f"ProxyErrorOverride On {status}"])
    answer = gw.get(f"/eas/x?status={status}", "alice", PASSWORDS["alice"])
    assert answer.status == status
    assert relay.passwords == 1 and relay.counts["TGS-REQ/s4u2proxy"] == 1
    if page == "/eas/error":
        assert answer.json()["remote_user"] == ALICE
        assert answer.json()["uri"] == "/error"
        entries = until(lambda: (e := cas1.requests())[1:] and e, 5, "the backend's log")
        assert [entry["user"] for entry in entries] == [ALICE, ALICE]
    else:
        assert answer.body in (b"the error page", b"the inner error page")
    assert answer.header("Cache-Control").startswith("private")


@pytest.mark.parametrize("page", ["/errors/plain.html", "/inside/error.html"])
def test_error_page_when_our_own_trouble(site, relay, page):
    """No KDC: 503, found out once, and not once more for the page inside."""
    gw, cas1 = site(f"ErrorDocument 503 {page}")
    gw.expect("EAS1036")
    relay.refuse()
    answer = gw.get("/eas/x", "alice", PASSWORDS["alice"])
    assert answer.status == 503
    assert answer.header("Retry-After") == "30"
    assert answer.all("WWW-Authenticate") == []
    assert page == "/inside/error.html" or answer.body == b"the error page"
    assert cas1.requests() == []
    assert refusals(gw) == ["EAS1036"]


def test_error_page_for_the_form(site):
    """The redirect to the form is no error, and takes no error page; neither does 440 need one."""
    gw, cas1 = site("ErrorDocument 302 /errors/plain.html", "ErrorDocument 401 /errors/plain.html",
                    "ErrorDocument 500 /errors/plain.html")
    answer = gw.get("/eas/x", headers=BROWSER)
    assert (answer.status, answer.header("Location")) == (302, FORM + "?destination=%2feas%2fx")
    answer = gw.get("/eas/x", headers=[*BROWSER, ("X-Requested-With", "x")])
    assert answer.status == 440
    assert b"error page" not in answer.body
    assert gw.get("/eas/x", headers=PHONE).body == b"the error page"
    assert cas1.requests() == []


def test_error_page_that_is_elsewhere(site):
    """httpd's own rule: a 401 with a page by URL becomes its 401, without the page."""
    gw, cas1 = site('ErrorDocument 401 "who are you?"')
    answer = gw.get("/eas/x")
    assert (answer.status, answer.body) == (401, b"who are you?")
    assert answer.all("WWW-Authenticate") == [CHALLENGE]
    assert cas1.requests() == []


def test_error_page_of_a_session(site, relay):
    """By cookie as by Basic, and a dead one is cleared once."""
    gw, cas1 = site("ErrorDocument 404 /eas/error", "ErrorDocument 401 /errors/plain.html",
                    eas=["ProxyErrorOverride On 404"])
    visitor = Visitor(gw)
    assert visitor.log_on("alice", PASSWORDS["alice"]).status == 303
    answer = visitor.get("/eas/x?status=404")
    assert answer.status == 404
    assert answer.json()["remote_user"] == ALICE
    assert relay.passwords == 1
    answer = gw.get("/inside/secret.html", headers=[*BROWSER, ("Cookie", f"{COOKIE}=dead")])
    assert answer.status == 302
    assert [line.partition("=")[0] for line in answer.all("Set-Cookie")] == [COOKIE]


# --- internal redirects ---------------------------------------------------------------------------

REWRITES = {
    "server": 'RewriteEngine On\nRewriteRule "^/short(.*)$" "/eas$1" [PT]\n'
              'ProxyPass "/eas" "{url}"',
    "directory": '<Location "/public">\nRewriteEngine On\n'
                 'RewriteRule "short/(.*)$" "/eas/$1"\n</Location>',
    "P": 'RewriteEngine On\nRewriteRule "^/short(.*)$" "{url}/$1" [P]\n'
         '<Location "/short">\nAuthType EasKcd\nAuthName "Mail"\nRequire valid-user\n'
         'EasKcdDelegate On\n</Location>',
}


@pytest.mark.parametrize("kind", REWRITES)
def test_rewritten(gateway, backends, docroot, relay, kind):
    """A resource under another name is protected as well, and the user is asked once."""
    cas1 = backends("cas1")
    gw = gateway(f'DocumentRoot "{docroot}"\n<Directory "{docroot}">\nRequire all granted\n'
                 f'Options FollowSymLinks\n</Directory>\n'
                 + REWRITES[kind].replace("{url}", cas1.url) + "\n" + location(cas1.url),
                 krb5_conf=relay.krb5_conf, processes=1)
    path = "/public/short/x" if kind == "directory" else "/short/x"
    relay.reset()
    for user, password, tag in wrong_or_missing().values():
        gw.error_log.mark()
        answer = gw.get(path, user, password)
        assert answer.status == 401
        assert answer.all("WWW-Authenticate") == [CHALLENGE]
        assert refusals(gw) == [tag]
    assert cas1.requests() == []
    relay.reset()
    answer = gw.get(path, "alice", PASSWORDS["alice"])
    assert answer.json()["remote_user"] == ALICE
    assert relay.passwords == 1
    answer = gw.get(path, headers=BROWSER)
    assert answer.status == 302
    assert answer.header("Location").startswith(FORM + "?destination=%2f")


@pytest.mark.parametrize("path", ["/public/short/x", "/dir/"])
def test_form_leads_back_to_the_requested_path(site, path):
    """Not to where httpd went in the meantime, which the browser has never heard of."""
    gw, cas1 = site('<Location "/public/short">\nRewriteEngine On\n'
                    'RewriteRule "short/(.*)$" "/eas/$1"\n</Location>')
    answer = gw.get(path, headers=BROWSER)
    assert answer.status == 302
    assert answer.header("Location") == FORM + "?destination=" + path.replace("/", "%2f")
    assert cas1.requests() == []


def test_fallback_to_a_protected_path(site, relay):
    """From a public path into a protected one: the redirect's target decides."""
    gw, cas1 = site('<Location "/public/gone">\nFallbackResource /inside/secret.html\n</Location>',
                    "ErrorDocument 404 /inside/secret.html")
    answer = gw.get("/nowhere")
    assert b"secret" not in answer.body
    assert answer.status in (401, 404)
    answer = gw.get("/public/gone")
    assert (answer.status, b"secret" in answer.body) == (401, False)
    answer = gw.get("/public/gone", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.body) == (200, b"a secret")
    assert relay.passwords == 1


def test_mod_dir_and_mod_negotiation(site, relay):
    gw, _ = site()
    answers = [gw.get("/dir/", "alice", PASSWORDS["alice"]),
               gw.get("/dir/page", "alice", PASSWORDS["alice"], [("Accept-Language", "de")]),
               gw.get("/dir", "alice", PASSWORDS["alice"])]
    assert [answer.status for answer in answers] == [200, 200, 301]
    assert [answer.body for answer in answers[:2]] == [b"the index", b"auf Deutsch"]
    assert relay.passwords == 1      # the first; then the password is known
    for path in ("/dir/", "/dir/page", "/dir", "/dir/page.html", "/dir/index.html"):
        gw.error_log.mark()
        answer = gw.get(path)
        assert answer.status == 401
        assert refusals(gw) == ["EAS1062"]
    gw.error_log.mark()
    relay.reset()
    assert gw.get("/dir/", "bob", "nonsense").status == 401
    assert relay.passwords == 1 and refusals(gw) == ["EAS1030"]


# --- subrequests ----------------------------------------------------------------------------------

def test_included_page_of_httpd(site, relay):
    gw, _ = site()
    answer = gw.get("/ssi/local.shtml", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.body.decode()) == (200, f"user {ALICE};a secret")
    assert relay.passwords == 1


def test_included_page_of_the_backend(site, relay):
    """A proxied subrequest is delegated as its main request's user."""
    gw, cas1 = site()
    for name in ("alice", "bob", "alice"):
        relay.reset()
        answer = gw.get("/ssi/proxied.shtml", name, PASSWORDS[name])
        assert answer.status == 200
        head, _, included = answer.body.decode().partition(";")
        assert head == f"user {name}@{REALM}"
        assert f'"remote_user":"{name}@{REALM}"' in included
        assert relay.passwords <= 1
    entries = until(lambda: (e := cas1.requests())[2:] and e, 5, "the backend's log")
    assert [(entry["uri"], entry["user"]) for entry in entries] == [
        ("/included", ALICE), ("/included", BOB), ("/included", ALICE)]


def test_many_included_pages(site, relay):
    gw, cas1 = site()
    answer = gw.get("/ssi/many.shtml", "alice", PASSWORDS["alice"])
    assert answer.body.count(f'"remote_user":"{ALICE}"'.encode()) == 5
    assert relay.passwords == 1 and relay.counts["TGS-REQ/s4u2proxy"] == 1


def test_included_by_a_session(site, relay):
    gw, cas1 = site()
    visitor = Visitor(gw)
    assert visitor.log_on("bob", PASSWORDS["bob"]).status == 303
    answer = visitor.get("/ssi/many.shtml")
    assert answer.body.count(f'"remote_user":"{BOB}"'.encode()) == 5
    assert visitor.get("/ssi/local.shtml").body.decode() == f"user {BOB};a secret"
    assert relay.passwords == 1
    entries = until(lambda: (e := cas1.requests())[4:] and e, 5, "the backend's log")
    assert {entry["user"] for entry in entries} == {BOB}
    assert COOKIE not in answer.body.decode()


@pytest.mark.parametrize("what", wrong_or_missing())
def test_page_with_includes_refused(site, relay, what):
    gw, cas1 = site()
    user, password, tag = wrong_or_missing()[what]
    for path in ("/ssi/local.shtml", "/ssi/proxied.shtml"):
        gw.error_log.mark()
        answer = gw.get(path, user, password)
        assert answer.status == 401 and b"secret" not in answer.body
        assert refusals(gw) == [tag]
    assert cas1.requests() == []


@pytest.mark.parametrize("what", wrong_or_missing())
def test_public_page_includes_no_protected_one(site, relay, what):
    """CVE-2010-0434's kind: the subrequest fails, and neither shows nor spoils anything."""
    gw, cas1 = site()
    user, password, tag = wrong_or_missing()[what]
    answer = gw.get("/public/page.shtml", user, password)
    assert answer.status == 200
    assert answer.body.startswith(b"public;") and answer.body.endswith(b";end")
    assert b"secret" not in answer.body and b"remote_user" not in answer.body
    assert answer.all("WWW-Authenticate") == [] and answer.all("Location") == []
    assert set(refusals(gw)) == {tag}
    assert cas1.requests() == []
    # mod_include reports that without a tag, which check_log() forgives nobody.
    assert gw.error_log.text().count("subrequest setup returned 401") == 2
    gw.mark()


def test_public_page_includes_pages_allowed_to_its_reader(site, relay):
    """The public page asks for no user; its protected parts do, each for itself."""
    gw, cas1 = site()
    answer = gw.get("/public/page.shtml", "alice", PASSWORDS["alice"])
    assert answer.status == 200
    assert f'"remote_user":"{ALICE}"'.encode() in answer.body
    assert b"a secret" in answer.body
    assert relay.passwords == 1
    # Its header has left before the first subrequest begins, so it cannot become `private`; but
    # mod_include gives it nothing either that a cache could keep it by.
    for name in ("Last-Modified", "ETag", "Expires"):
        assert answer.all(name) == []


# --- the environment ------------------------------------------------------------------------------

SPOOFED = [("EAS_KCD_USER", "bob"), ("Eas-Kcd-User", "bob"), ("EAS-KCD-AUTH", "session"),
           ("REMOTE_USER", "bob"), ("Remote-User", "bob"), ("X-Remote-User", "bob"),
           ("Session", "user=bob"), ("Proxy", "http://127.0.0.1:1/")]


def test_environment_is_not_forwarded(gateway, fake_backends):
    """The backend gets none of the log's variables, and no client can set them."""
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(location(backend.url))
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    request, = backend.requests
    names = {name.lower() for name, _ in request.headers}
    assert not [name for name in names if "eas" in name or "remote" in name or "user" in name]
    assert names <= {"host", "authorization", "x-forwarded-for", "x-forwarded-host", "connection",
                     "x-forwarded-server", "x-forwarded-proto"}
    entry = gw.logged()
    assert (entry["EAS_KCD_USER"], entry["EAS_KCD_AUTH"]) == (ALICE, "basic")
    assert entry["EAS_KCD_SPN"] == "HTTP/cas1.corp.example.test"


def test_spoofed_headers_set_no_user(gateway, fake_backends):
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(location(backend.url) + location(backend.url, path="/open",
                                                  require="Require all granted"))
    assert gw.get("/eas", headers=SPOOFED).status == 401
    assert backend.requests == []
    assert gw.get("/open", headers=SPOOFED).status == 200
    assert backend.requests[-1].authorization is None
    assert gw.get("/eas", "alice", PASSWORDS["alice"], SPOOFED).status == 200
    entries = until(lambda: (e := gw.requests())[2:] and e, 5, "the log")
    assert [entry["user"] for entry in entries] == ["-", "-", ALICE]
    assert [entry["EAS_KCD_USER"] for entry in entries] == ["-", "-", ALICE]


def test_cgi_sees_the_proved_user(site):
    gw, _ = site()
    env = environment(gw.get("/inside/env.cgi", "alice", PASSWORDS["alice"], SPOOFED))
    assert env["REMOTE_USER"] == env["EAS_KCD_USER"] == ALICE
    assert env["AUTH_TYPE"] == "EasKcd"
    assert env["EAS_KCD_AUTH"] == "basic"
    assert "HTTP_AUTHORIZATION" not in env
    assert PASSWORDS["alice"] not in str(env)
