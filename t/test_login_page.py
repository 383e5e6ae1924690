# SPDX-License-Identifier: Apache-2.0
"""The login page: its headers, its texts, what it shows again, and an administrator's own."""

import base64
import html
import itertools
import re
import urllib.parse
from html.parser import HTMLParser
from urllib.parse import quote, quote_from_bytes, urlencode

import pytest

from lab.ad import PASSWORDS, REALM
from lab.examples import LOGIN_PAGE
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, FORM, FORM_COOKIE, LOGOUT, Visitor
from lab.gateway import MODULES
from lab.login_form import (ALICE, LANGUAGES, TEXTS, assert_no_session, assert_page_headers, post,
                            style_hash_of, texts_of)
from lab.names import GATEWAY
from lab.unique import unique_number
from test_destination import corpus, leaving


# --- headers and texts -----------------------------------------------------------------------

def test_headers_of_every_answer(webmail, relay, gateway, ok_backend):
    down = gateway(location(ok_backend.url, path="/owa"), krb5_conf=relay.krb5_conf)
    bare = gateway(location(ok_backend.url, path="/owa"), tls=False)
    webmail.expect("EAS1091")
    down.expect("EAS1036")
    bare.expect("EAS1096")
    relay.refuse()
    visitor = Visitor(webmail)
    pages = {                       # by what it is: an answer, its status
        "form": (visitor.get(FORM), 200),
        "destination": (visitor.get(FORM + "?destination=//evil.example"), 400),
        "not ours": (Visitor(webmail).submit(ALICE), 403),
        "KDC down": (Visitor(down).log_on("alice", PASSWORDS["alice"]), 503),
        "confirm": (visitor.get(LOGOUT, [("Sec-Fetch-Site", "cross-site")]), 200),
    }
    others = {
        "wrong": (visitor.log_on("alice", "nonsense"), 303),
        "right": (visitor.log_on("alice", PASSWORDS["alice"]), 303),
        "sign out": (visitor.sign_out(), 303),
        "unknown": (visitor.get("/eas-kcd/nothing"), 404),
        "method": (visitor.request("PUT", FORM), 405),
        "plain HTTP": (Visitor(bare).get(FORM), 403),
        "plain HTTP, POST": (Visitor(bare).submit(ALICE), 403),
    }
    style_hash = style_hash_of(pages["form"][0].body)
    for what, (answer, status) in (pages | others).items():
        assert answer.status == status, what
        assert_page_headers(answer, style_hash)
    for what, (answer, _) in pages.items():
        assert answer.header("Content-Type") == "text/html; charset=utf-8", what
        assert int(answer.header("Content-Length")) == len(answer.body) > 1000, what
        assert style_hash_of(answer.body) == style_hash, what
    assert ok_backend.requests == []


@pytest.mark.smoke
def test_reasons(protected):
    visitor = Visitor(protected)
    for reason, text in TEXTS.items():
        page = visitor.get(f"{FORM}?reason={reason}").body.decode()
        # There is no address for the texts of refused requests.
        assert (text in page) is (reason not in ("bad-request", "forbidden"))
        assert sum(other in page for other in TEXTS.values()) <= 1
    for reason in ("", "WRONG", "confirm-logout", "<script>", "%22%3e%3csvg%3e"):
        page = visitor.get(f"{FORM}?reason={reason}").body.decode()
        assert not any(text in page for text in TEXTS.values()), reason
        assert "svg" not in page and "script" not in page


def test_head(protected):
    visitor = Visitor(protected)
    page, head = visitor.get(FORM), visitor.request("HEAD", FORM)
    assert head.status == 200 and head.body == b""
    assert head.header("Content-Length") == str(len(page.body))
    assert_page_headers(head, style_hash_of(page.body))


def test_form_cookies_are_random(protected):
    cookies = {Visitor(protected).get(FORM).header("Set-Cookie").partition("=")[2].split(";")[0]
               for _ in range(20)}
    assert len(cookies) == 20
    assert all(len(base64.urlsafe_b64decode(cookie + "==")) * 8 >= 128 for cookie in cookies)


@pytest.mark.parametrize("conf", ["", "CacheStoreNoStore On\nCacheStorePrivate On\n"
                                      "CacheIgnoreCacheControl On\nCacheIgnoreNoLastMod On\n"
                                      "CacheDefaultExpire 600\n"], ids=["decent", "foolish"])
def test_caches_keep_no_form(gateway, fake_backends, conf):
    """A token that is handed to everybody protects nobody. test_isolation.py holds the same
    configuration against the pages of known users."""
    served = itertools.count()
    backend = fake_backends(lambda _: response("200 OK", [("Cache-Control", "max-age=600")],
                                               b"%d" % next(served)))
    gw = gateway("CacheEnable socache /\nCacheQuickHandler On\nCacheSocache shmcb\n" + conf
                 + f'<Location "/open">\nProxyPass "{backend.url}"\n</Location>\n'
                 + location(backend.url, path="/owa"),
                 modules=(*MODULES, "cache", "cache_socache"))
    assert gw.get("/open").body == gw.get("/open").body, "the cache is not working"
    for path in (FORM, FORM + "?reason=wrong"):
        first, second = Visitor(gw), Visitor(gw)
        assert first.fields(path)["token"] != second.fields(path)["token"]
        assert first.jar[FORM_COOKIE] != second.jar[FORM_COOKIE]
    for path in ("/owa/", LOGOUT):
        assert Visitor(gw).get(path).header("Cache-Control") == "no-store"
    visitor = Visitor(gw)
    assert visitor.get("/owa/").status == 302
    visitor.log_on("alice", PASSWORDS["alice"])
    assert visitor.get("/owa/").status == 200
    assert Visitor(gw).get("/owa/").status == 302


# --- languages -------------------------------------------------------------------------------

MESSAGES = [reason for reason in TEXTS if reason not in ("bad-request", "forbidden")]


def shown(visitor, path, accept, status=200):
    """A page, and its language by its headers. That of the sign-out asks another site's visitor."""
    site = [("Sec-Fetch-Site", "cross-site")] if path == LOGOUT else []
    answer = visitor.get(path, [("Accept-Language", accept), *site])
    assert answer.status == status
    assert "Accept-Language" in answer.header("Vary")
    return html.unescape(answer.body.decode()), answer.all("Content-Language")


@pytest.mark.parametrize("tag", sorted(path.stem for path in LANGUAGES.glob("*.txt")))
def test_every_message_in_every_language(protected, tag):
    visitor, texts = Visitor(protected), texts_of(tag)
    for reason in MESSAGES:
        page, languages = shown(visitor, f"{FORM}?reason={reason}", f"{tag}-XX, xx")
        assert languages == [tag]
        assert f'<html lang="{tag}" dir="{texts["direction"]}">' in page
        assert texts[reason.replace("-", "_")] in page
    for name in ("sign_in", "user_name", "password", "device", "public", "private"):
        assert texts[name] in page
    page, languages = shown(visitor, LOGOUT, tag)
    assert languages == [tag] and texts["confirm_logout"] in page and texts["sign_out"] in page
    page, _ = shown(visitor, FORM + "?destination=//evil.example", tag, 400)
    assert texts["bad_request"] in page


@pytest.mark.parametrize("accept, tag", [
    ("de-AT,de;q=0.9,en;q=0.8", "de"), ("fr;q=0.5, it;q=0.7", "it"), ("tlh, *;q=0.1", "en"),
    ("de;q=0", "en"), ("de;q=9", "en"), ("x" * 4000, "en"), (",".join(["x"] * 33) + ",de", "en"),
    ("../../etc/passwd", "en"), ("\"><script>", "en"), ("{{token}}, sv", "sv")])
def test_accept_language(protected, accept, tag):
    assert shown(Visitor(protected), FORM, accept)[1] == [tag]


def test_refused_log_on_in_the_browsers_language(protected):
    visitor = Visitor(protected)
    answer = visitor.log_on("alice", "nonsense")
    assert answer.status == 303
    page, _ = shown(visitor, answer.header("Location"), "pl")
    assert texts_of("pl")["wrong"] in page


def test_administrators_languages(gateway, ok_backend, lab_dir):
    """One more, one text replaced, and other files beside them."""
    directory = lab_dir / "languages"
    directory.mkdir()
    (directory / "da.txt").write_text("sign_in = Log ind <her> & nu\n")
    (directory / "de.txt").write_text("# of the house\nuser_name = Personalnummer\n")
    (directory / "README").write_text("nothing")
    gw = gateway(f'EasKcdLoginLanguages "{directory}"\n' + location(ok_backend.url, path="/owa"))
    gw.expect("EAS3151")
    assert "da.txt lacks" in gw.error_log.text()
    raw = Visitor(gw).get(FORM, [("Accept-Language", "da")]).body.decode()
    assert "Log ind &lt;her&gt; &amp; nu" in raw and "<her>" not in raw
    assert texts_of("en")["user_name"] in raw
    page, languages = shown(Visitor(gw), FORM, "de")
    assert languages == ["de"] and "Personalnummer" in page and "Kennwort" in page


BAD_LANGUAGES = {
    "name": ("deutsch1.txt", b"sign_in = x\n", "EAS3150"),
    "line": ("da.txt", b"sign_in\n", "EAS1164"),
    "unknown": ("da.txt", b"signin = x\n", "EAS1161"),
    "placeholder": ("da.txt", b"sign_in = {{token}}\n", "EAS1162"),
    "Latin-1": ("da.txt", b"sign_in = \xe6\n", "EAS1163"),
    "too long": ("da.txt", b"#" * (1 << 20), "EAS3030"),
}


@pytest.mark.parametrize("what", BAD_LANGUAGES)
def test_broken_languages(gateway, lab_dir, what):
    name, content, tag = BAD_LANGUAGES[what]
    directory = lab_dir / f"broken-{unique_number()}"
    directory.mkdir()
    (directory / name).write_bytes(content)
    code, said = gateway(f'EasKcdLoginLanguages "{directory}"', start=False).check_config()
    assert code != 0 and tag in said and name in said, said


def test_languages_that_are_not_there(gateway):
    code, said = gateway('EasKcdLoginLanguages "/nonexistent"', start=False).check_config()
    assert code != 0 and "EAS3152" in said and "/nonexistent" in said


def test_own_pages_of_several_languages(gateway, ok_backend, lab_dir):
    """Each is in its language throughout, also where the browser prefers another."""
    for tag, page in ("de", LOGIN_PAGE), ("fr", '<html lang="fr">' + PAGE):
        (lab_dir / f"login.{tag}.html").write_text(page)
    files = " ".join(f'"{lab_dir}/login.{tag}.html"' for tag in ("de", "fr"))
    gw = gateway(f"EasKcdLoginPage {files}\n" + location(ok_backend.url, path="/owa"))
    visitor = Visitor(gw)
    for accept, tag in (("fr", "fr"), ("de", "de"), ("en", "de"), ("sv, fr;q=0.1", "fr")):
        page, languages = shown(visitor, FORM + "?reason=wrong", accept)
        assert languages == [tag] and texts_of(tag)["wrong"] in page
        page, languages = shown(visitor, LOGOUT, accept)
        assert languages == [tag] and texts_of(tag)["confirm_logout"] in page


def test_example_page_is_german_throughout(gateway, ok_backend, lab_dir):
    """Its own words, and those that the module puts in, whatever the browser prefers."""
    (lab_dir / "german.html").write_text(LOGIN_PAGE)
    gw = gateway(f'EasKcdLoginPage "{lab_dir}/german.html"\n'
                 + location(ok_backend.url, path="/owa"))
    german, english = texts_of("de"), texts_of("en")
    for reason in MESSAGES:
        page, languages = shown(Visitor(gw), f"{FORM}?reason={reason}", "en")
        text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
        assert languages == ["de"] and german[reason.replace("-", "_")] in text
        assert all(german[name] in text for name in ("sign_in", "user_name", "password"))
        assert not [word for word in english.values() if re.search(rf"\b{re.escape(word)}\b", text)
                    and word not in german.values()]


def test_lifetimes_are_shown(gateway, ok_backend):
    """As EasKcdSession sets them, in the page's language."""
    gw = gateway("EasKcdSession public 10m 4h\nEasKcdSession private 90m 12h\n"
                 + location(ok_backend.url, path="/owa"))
    page, _ = shown(Visitor(gw), FORM, "de")
    for what, idle, longest in (("public", "10 min", "4 h"), ("private", "90 min", "12 h")):
        note = texts_of("de")[f"{what}_note"].replace(f"{{{{{what}_idle}}}}", idle)
        assert note.replace(f"{{{{{what}_max}}}}", longest) in page


def test_nothing_needs_a_script(protected):
    """The password field has no control that does nothing without one."""
    page = Visitor(protected).get(FORM).body.decode()
    assert "<script" not in page and not re.search(r"\son\w+=", page)
    assert re.findall(r'<button type="(\w+)"', page) == ["submit"]
    assert re.findall(r'<input [^>]*type="password"', page) != []


# --- what it shows of the site ---------------------------------------------------------------

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAA"
                       "BJRU5ErkJggg==")


def test_organization_logo_and_links(gateway, ok_backend, lab_dir):
    (lab_dir / "logo.png").write_bytes(PNG)
    gw = gateway('EasKcdLoginInfo organization "Example & Sons"\n'
                 f'EasKcdLoginInfo logo "{lab_dir}/logo.png"\n'
                 "EasKcdLoginInfo help https://help.example/?a=1\n"
                 "EasKcdLoginInfo privacy /privacy\nEasKcdDomain EXAMPLE EXAMPLE.TEST\n"
                 + location(ok_backend.url, path="/owa"))
    visitor = Visitor(gw)
    for path in FORM, LOGOUT:
        raw = visitor.get(path, [("Sec-Fetch-Site", "cross-site")]).body.decode()
        assert '<img src="/eas-kcd/logo" alt="">Example &amp; Sons' in raw
        page = html.unescape(raw)
        assert '<a href="https://help.example/?a=1">Help</a><a href="/privacy">Privacy</a>' in page
    assert "EXAMPLE\\name" in visitor.get(FORM).body.decode()
    logo = visitor.get("/eas-kcd/logo")
    assert (logo.status, logo.body) == (200, PNG) and logo.header("Content-Type") == "image/png"
    assert visitor.request("POST", "/eas-kcd/logo").status == 404
    assert ok_backend.requests == []


@pytest.mark.parametrize("directive, said", [
    ("logo /nonexistent.png", "EAS3030"), ("logo /etc/passwd", "EAS3153"),
    ("help javascript:alert(1)", "https://"), ("favicon x", "organization")])
def test_bad_login_info(gateway, directive, said):
    code, text = gateway(f"EasKcdLoginInfo {directive}", start=False).check_config()
    assert code != 0 and said in text and "EasKcdLoginInfo" in text


def test_sign_out_question_offers_to_stay(protected):
    """The page leads back to where the link was, if that is this site."""
    visitor = Visitor(protected)
    visitor.log_on("alice", PASSWORDS["alice"])
    here = f"https://{GATEWAY}"
    for referer, path in ((f"{here}/owa/?a=b", "/owa/?a=b"), ("https://evil.example/owa/", "/"),
                          (f"{here}/eas-kcd/logout", "/"), (f"{here}//evil.example", "/"), (None, "/")):
        page = visitor.get(LOGOUT, [("Referer", referer)] if referer else []).body.decode()
        assert f'<a class="button" href="{path}">Stay signed in</a>' in html.unescape(page), referer
    assert visitor.get("/eas-kcd/logo").status == 404


# --- what is shown again ---------------------------------------------------------------------

class Structure(HTMLParser):
    """A page without what it says: tags and names of attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, [name for name, _ in attrs]))


def structure(answer):
    return Structure(answer.body.decode()).tags


# Whether it is a path of this site, however ugly.
MARKUP = {
    '"><svg/onload=alert(1)>': False, "'><svg/onload=alert(1)>": False,
    "<script>alert(1)</script>": False, "javascript:alert(1)": False, "/%n%s%x": False,
    "/owa/</form><form/action=//evil.example>": False,
    "/owa/\"><script>alert(1)</script>": True, "/owa/'onfocus='alert(1)'autofocus='": True,
    '/owa/"onfocus="alert(1)"x="': True, "/owa/</form><form/action=?//evil.example>": True,
    "/owa/&quot;&gt;&lt;svg&gt;": True, "/owa/`onload=x`": True, "/{{token}}": True,
    "/{{style}}": True, "/owa/+ADw-script+AD4-": True, "/owa/%22%3e%3csvg%3e": True,
    "/owa/--><svg>": True, "/owa/]]><svg>": True, "/owa/</style><svg>": True,
}


def test_markup_is_not_reflected(protected):
    protected.expect("EAS1091")
    visitor = Visitor(protected)
    plain = structure(visitor.get(FORM))
    token = visitor.fields()["token"]
    for payload, is_path in MARKUP.items():
        for name in ("destination", "reason", "username", "title", "message", "x"):
            path = f"{FORM}?{name}={quote(payload, safe='')}"
            page = visitor.get(path)
            assert structure(page) == plain, (name, payload)
            refused = name == "destination" and not is_path
            assert page.status == (400 if refused else 200), (name, payload)
            shown = payload if name == "destination" and is_path else "/"
            assert visitor.fields(path) == {"token": token, "destination": shown}
            assert payload not in page.body.decode() or not re.search("[<>\"'&`=]", payload)
        for answer, status in ((visitor.log_on(payload, "x"), 303),
                               (visitor.log_on("alice", "x", payload), 303 if is_path else 400),
                               (visitor.submit({"token": payload, **ALICE}), 403)):
            assert answer.status == status, payload
            assert_no_session(answer)
            if status == 303:           # httpd's own page
                assert {tag for tag, _ in structure(answer)} == {"html", "head", "title", "body",
                                                                 "h1", "p", "a"}
                assert urllib.parse.urlsplit(answer.header("Location")).path == FORM
            else:
                assert structure(answer) == plain, payload


def test_title_is_escaped(gateway, ok_backend):
    """It is the administrator's, but an ampersand is no mistake."""
    gw = gateway('<Location "/eas-kcd/">\nAuthName "A&B <i>Mail</i> \'x\'"\n</Location>\n'
                 + location(ok_backend.url, path="/owa"))
    page = Visitor(gw).get(FORM)
    assert "<h1>A&amp;B &lt;i&gt;Mail&lt;/i&gt; &#39;x&#39;</h1>" in page.body.decode()


def test_sample_of_the_redirect_corpus(protected):
    """The form leads to no other site, and to no repaired address. t/test_destination.py has the
    whole corpus, in every encoding."""
    sample = corpus()[::8]
    protected.expect("EAS1091")
    visitor = Visitor(protected)
    shown, sent, refused = {}, set(), 0
    with protected.client() as client:
        for payload in sample:
            query = quote_from_bytes(payload, safe="")
            answer = client.get(f"{FORM}?destination={query}", headers=BROWSER)
            assert answer.status in (200, 400), payload
            assert answer.header("Location") is None
            if answer.status == 200:
                value, = re.findall(r'name="destination" value="([^"]*)"', answer.body.decode())
                shown[payload] = value
            # The destination is checked before the token.
            answer = post(visitor, urlencode(ALICE).encode() + b"&token=&destination="
                          + query.encode(), uri=FORM)
            assert answer.status in (400, 403), payload
            assert answer.header("Location") is None
            refused += answer.status == 400
            if answer.status == 403:
                sent.add(payload)
    shown = {payload: html.unescape(value).encode() for payload, value in shown.items()}
    assert {p: v for p, v in shown.items() if p != v} == {}
    assert sent == set(shown)
    assert leaving([payload.decode() for payload in shown]) == []
    assert refused > len(sample) // 2 and sent


# --- an administrator's own page -------------------------------------------------------------

PAGE = """<!DOCTYPE html><title>{{title}}</title><style>{{style}}</style>
<p class="{{reason}}">{{message}}</p>
<form method="post" action="{{action}}"><input type="hidden" name="token" value="{{token}}">
<input type="hidden" name="destination" value="{{destination}}">
<input name="username" value="{{username}}"><input type="password" name="password">
<input type="radio" name="trusted" value="0" {{checked_public}}>
<input type="radio" name="trusted" value="4" {{checked_private}}><button>Anmelden – Grüße</button>
</form>{ {not} } one }} {{title}}
"""


def test_administrators_page(gateway, backends, lab_dir):
    file = lab_dir / "login.html"
    file.write_text(PAGE)
    gw = gateway(f'EasKcdLoginPage "{file}"\n<Location "/eas-kcd/">\nAuthName "A&B"\n</Location>\n'
                 + location(backends("cas1").url, path="/owa"))
    visitor = Visitor(gw)
    page = visitor.get(FORM + "?reason=wrong&destination=/owa/%22x").body.decode()
    assert "{{" not in page
    assert "<title>A&amp;B</title>" in page and "{ {not} } one }} A&amp;B" in page
    assert f'<p class="wrong">{TEXTS["wrong"]}' in page
    assert 'name="destination" value="/owa/&#34;x"' in page and "Anmelden – Grüße" in page
    assert 'value="0" checked>' in page and 'value="4" >' in page
    assert_page_headers(visitor.get(FORM), style_hash_of(page.encode()))
    assert visitor.log_on("alice", PASSWORDS["alice"], "/owa/").header("Location") == "/owa/"
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"


BAD_PAGES = {
    "unknown placeholder": (PAGE.replace("{{title}}", "{{titel}}").encode(), "EAS1130", "titel"),
    "empty placeholder": (PAGE.replace("{{title}}", "{{}}").encode(), "EAS1130", "line 1"),
    "blank in a placeholder": (PAGE.replace("{{reason}}", "{{ reason }}").encode(), "EAS1130",
                               "line 2"),
    "open": (PAGE.replace("{{style}}", "{{style").encode(), "EAS1131", "line 1"),
    "open at the end": (PAGE.encode() + b"{{title", "EAS1131", "title"),
    "no token": (PAGE.replace("{{token}}", "").encode(), "EAS1132", "token"),
    "no action": (PAGE.replace("{{action}}", "").encode(), "EAS1132", "action"),
    "no destination": (PAGE.replace("{{destination}}", "").encode(), "EAS1132", "destination"),
    "empty": (b"", "EAS1132", "placeholder"),
    "Latin-1": (PAGE.encode("latin-1", "replace"), "EAS1133", "UTF-8"),
    "UTF-16": (PAGE.encode("utf-16"), "EAS1133", "UTF-8"),
    "NUL": (PAGE.encode() + b"\0", "EAS1133", "UTF-8"),
    "too long": (PAGE.encode() + (1 << 22) * b" ", "EAS3030", "EasKcdLoginPage"),
}


@pytest.mark.parametrize("what", BAD_PAGES)
def test_broken_administrators_page(gateway, lab_dir, what):
    """It stops start-up, and `httpd -t` already: the words name the directive and the place."""
    page, tag, names = BAD_PAGES[what]
    file = lab_dir / "broken.html"
    file.write_bytes(page)
    gw = gateway(f'EasKcdLoginPage "{file}"', start=False)
    code, said = gw.check_config()
    assert code != 0 and tag in said and names in said, said
    assert tag in gw.refusal()


def test_a_broken_page_names_its_directive(gateway, lab_dir):
    """DESIGN 3: a sentence naming the directive and the cure."""
    file = lab_dir / "unnamed.html"
    file.write_text(PAGE.replace("{{token}}", ""))
    code, said = gateway(f'EasKcdLoginPage "{file}"', start=False).check_config()
    assert code != 0 and ("EasKcdLoginPage" in said or "unnamed.html" in said), said


def test_a_page_that_is_not_there(gateway):
    code, said = gateway("EasKcdLoginPage /nonexistent.html", start=False).check_config()
    assert code != 0 and "EAS3030" in said and "/nonexistent.html" in said
