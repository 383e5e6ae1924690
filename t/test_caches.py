# SPDX-License-Identifier: Apache-2.0
"""What a log-on changes is in no shared cache: neither in mod_cache, nor by its headers in a cache in
front of httpd."""

import pytest

from lab.ad import PASSWORDS
from lab.exchange import location, open_location
from lab.fake_backend import response
from lab.gateway import MODULES
from lab.unique import unique_number

# All that lets mod_cache store more than it should.
FOOLISH = """
CacheStoreNoStore On
CacheStorePrivate On
CacheIgnoreCacheControl On
CacheIgnoreNoLastMod On
CacheDefaultExpire 600
"""

GRANTED = {
    "all granted": ("Require all granted",),
    "Satisfy Any": ("Order allow,deny", "Allow from 127.0.0.1", "Satisfy Any",
                    "Require valid-user"),
    "If": ("Require valid-user", '<If "%{REMOTE_ADDR} == \'127.0.0.1\'">',
           "    Require all granted", "</If>"),
}

# The headers of a backend that thinks of one reader only.
DATE = "Mon, 01 Jun 2026 10:00:00 GMT"
PAGES = {
    "public": ("200 OK", [("Cache-Control", "public, max-age=600, s-maxage=600")]),
    "vary": ("200 OK", [("Cache-Control", "public, max-age=600"), ("Vary", "*")]),
    "vary-cookie": ("200 OK", [("Cache-Control", "max-age=600"), ("Vary", "accept, cookie")]),
    "expires": ("200 OK", [("Expires", "Fri, 01 Jan 2049 00:00:00 GMT"), ("ETag", '"1"')]),
    "silent": ("200 OK", [("Last-Modified", DATE)]),
    "moved": ("301 Moved Permanently", [("Location", "/open"),
                                        ("Cache-Control", "public, max-age=600")]),
    "missing": ("404 Not Found", [("Cache-Control", "public, max-age=600")]),
    "broken": ("500 Internal Server Error", [("Cache-Control", "public, max-age=600")]),
}


@pytest.fixture
def backend(fake_backends):
    """Its pages name the reader."""
    def serve(request):
        status, headers = PAGES.get(request.path.rpartition("/")[2], PAGES["public"])
        if request.all("If-None-Match"):
            return response("304 Not Modified", [*headers, ("ETag", '"1"')])
        reader = b"a user" if request.authorization else b"anybody"
        if request.line.startswith("HEAD"):
            return response(status, headers)
        return response(status, headers, b"%s, request %d" % (reader, len(backend.requests)))
    backend = fake_backends(serve, reuse=True)
    return backend.begin(serve)


def cache(lab_dir, provider, quick):
    """The lines of a cache, and the modules."""
    conf = f"CacheEnable {provider} /\nCacheQuickHandler {quick}\nCacheSocache shmcb\n"
    if provider == "disk":
        root = lab_dir / f"cache-{unique_number()}"
        root.mkdir()
        root.chmod(0o777)
        conf = conf.replace("CacheSocache shmcb", f'CacheRoot "{root}"')
    return conf + FOOLISH, (*MODULES, "access_compat", "cache", f"cache_{provider}")


def assert_no_shared_cache(answer):
    words = (answer.header("Cache-Control") or "").split(", ")
    assert "private" in words or "no-store" in words
    assert "public" not in words and not any(word.startswith("s-maxage") for word in words)


def assert_varies(answer):
    words = {word.strip().lower() for line in answer.all("Vary") for word in line.split(",")}
    assert "*" in words or {"cookie", "authorization"} <= words
    assert sum(len(line.split(",")) for line in answer.all("Vary")) == len(words), "once each"


@pytest.mark.parametrize("granted", GRANTED)
@pytest.mark.parametrize("quick", ["On", "Off"])
@pytest.mark.parametrize("provider", ["socache", "disk"])
def test_user_gets_no_page_of_anybody(gateway, lab_dir, backend, provider, quick, granted):
    conf, modules = cache(lab_dir, provider, quick)
    gw = gateway(conf + location(backend.url, *GRANTED[granted][1:], require=GRANTED[granted][0])
                 + open_location(backend.url), modules=modules)
    assert gw.get("/open").body == gw.get("/open").body, "the cache is not working"
    for page in PAGES:
        anybody = [gw.get(f"/eas/{page}") for _ in range(2)]
        user = gw.get(f"/eas/{page}", "alice", PASSWORDS["alice"])
        again = gw.get(f"/eas/{page}")
        assert [answer.body.split(b",")[0] for answer in (*anybody, user, again)] == [
            b"anybody", b"anybody", b"a user", b"anybody"]
        for answer in (*anybody, again):
            assert_no_shared_cache(answer)
            assert_varies(answer)
        assert_no_shared_cache(user)


@pytest.mark.smoke
@pytest.mark.parametrize("quick", ["On", "Off"])
def test_other_answers_without_a_user(gateway, lab_dir, backend, quick):
    """304, HEAD, error pages of other Locations, and answers of the module and of httpd."""
    conf, modules = cache(lab_dir, "socache", quick)
    pages = lab_dir / f"pages-{unique_number()}"
    pages.mkdir()
    pages.chmod(0o755)
    (pages / "404.html").write_text("a page")
    gw = gateway(conf + f"""
ErrorDocument 404 /errors/404.html
Alias "/errors/" "{pages}/"
<Directory "{pages}">
    Require all granted
</Directory>
<Location "/file">
    AuthType EasKcd
    AuthName "Mail"
    Require all granted
</Location>
<Location "/denied">
    AuthType EasKcd
    AuthName "Mail"
    Require all denied
</Location>
""" + location(backend.url, "ProxyErrorOverride On", require="Require all granted")
                 + location(backend.url, path="/closed") + open_location(backend.url),
                 modules=modules)
    gw.expect("AH01630")
    assert gw.get("/open").body == gw.get("/open").body, "the cache is not working"
    answers = {
        304: gw.get("/eas/public", headers=[("If-None-Match", '"1"')]),
        200: gw.request("HEAD", "/eas/public"),
        404: gw.get("/eas/missing"),        # the page of a Location without the module
        500: gw.get("/eas/broken"),         # httpd's own page
        403: gw.get("/denied"),
        401: gw.get("/closed"),
        501: gw.post("/eas", b"x", headers=[("Transfer-Encoding", "gzip, chunked")]),
    }
    for status, answer in answers.items():
        assert answer.status == status
        assert_no_shared_cache(answer)
        assert_varies(answer)
    for path in ("/file", "/file"):
        answer = gw.get(path)
        assert answer.status == 404
        assert_no_shared_cache(answer)
    form = gw.get("/closed", headers=[("Accept", "text/html"), ("User-Agent", "Mozilla/5.0")])
    assert (form.status, form.header("Cache-Control")) == (302, "no-store")
    assert gw.request("HEAD", "/eas/public", "alice", PASSWORDS["alice"]).status == 200
    assert_no_shared_cache(gw.get("/eas/public", "alice", PASSWORDS["alice"]))


def test_delegation_for_another_module(gateway, lab_dir, backend):
    """EasKcdDelegate without AuthType EasKcd, where a request has no user."""
    conf, modules = cache(lab_dir, "socache", "On")
    gw = gateway(conf + f"""
<Location "/eas">
    EasKcdDelegate On
    ProxyPass "{backend.url}"
</Location>
""" + open_location(backend.url), modules=modules)
    assert gw.get("/open").body == gw.get("/open").body, "the cache is not working"
    first, second = gw.get("/eas/public"), gw.get("/eas/public")
    assert first.body != second.body
    assert_no_shared_cache(first)
    assert_varies(first)


@pytest.mark.parametrize("quick", ["On", "Off"])
@pytest.mark.parametrize("nested", [False, True])
def test_log_on_by_condition(gateway, lab_dir, backend, nested, quick):
    """An <If> that does not match this request may match the next one, with a user."""
    conf, modules = cache(lab_dir, "socache", quick)
    around = ('<If "true">', "</If>") if nested else ("", "")
    gw = gateway(conf + f"""
<Location "/eas">
    ProxyPass "{backend.url}"
    {around[0]}
    <If "false">
        Header set X-Other "1"
    </If>
    <If "-n req('X-User')">
        AuthType EasKcd
        AuthName "Mail"
        Require valid-user
        EasKcdDelegate On
    </If>
    {around[1]}
</Location>
""" + open_location(backend.url), modules=modules)
    assert gw.get("/open").body == gw.get("/open").body, "the cache is not working"
    anybody = gw.get("/eas/public")
    assert_no_shared_cache(anybody)
    assert_varies(anybody)
    user = gw.get("/eas/public", "alice", PASSWORDS["alice"], headers=[("X-User", "1")])
    assert anybody.body.startswith(b"anybody") and user.body.startswith(b"a user")


def test_error_page_for_another_module(gateway, lab_dir, backend):
    """The page is another Location's, which knows nothing of the module."""
    conf, modules = cache(lab_dir, "socache", "On")
    gw = gateway(conf + f"""
ErrorDocument 404 /open
<Location "/eas">
    EasKcdDelegate On
    ProxyPass "{backend.url}"
    ProxyErrorOverride On
</Location>
""" + open_location(backend.url), modules=modules)
    answer = gw.get("/eas/missing")
    assert answer.body == b"anybody, request 2"
    assert_no_shared_cache(answer)
    assert_varies(answer)


def test_other_locations_are_cached(gateway, lab_dir, backend):
    """The module has no part in their headers."""
    conf, modules = cache(lab_dir, "socache", "On")
    gw = gateway(conf + location(backend.url) + open_location(backend.url), modules=modules)
    answer = gw.get("/open")
    assert answer.header("Cache-Control") == "public, max-age=600, s-maxage=600"
    assert answer.header("Vary") is None
