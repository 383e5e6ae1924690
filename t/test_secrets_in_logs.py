# SPDX-License-Identifier: Apache-2.0
"""No password and no token in any log, at trace8, whatever becomes of the request."""

import base64
from urllib.parse import quote, urlencode

import pytest

from lab.ad import PASSWORDS
from lab.client import basic
from lab.exchange import location
from lab.frontdoor import Visitor
from lab.login_form import LIMIT, fields_of, post
from lab.raw_form import post_raw, shut_down


def test_no_password_in_any_log(gateway, ok_backend, domain):
    """At trace8, whatever becomes of the form."""
    secret = "Kanarien+Vogel im Käfig&1"
    domain.set_password("carol", secret)
    gw = gateway("EasKcdRequireTLS Off\nTimeout 2\n" + location(ok_backend.url, path="/owa"),
                 tls=False, log_level="notice eas_kcd:trace8 authz_core:trace8")
    gw.expect("EAS1091")
    visitor = Visitor(gw)
    assert visitor.log_on("carol", secret).header("Location") == "/"
    assert "?reason=wrong" in visitor.log_on("carol", secret + "x").header("Location")
    assert visitor.log_on("dirk", secret).status == 303
    assert visitor.log_on(secret, secret).status == 303
    assert visitor.log_on("", secret).status == 303
    fields = fields_of(visitor, username="carol", password=secret)
    for more in (b"&username=bob", b"&password=x", b"&x=%0", b"&username=%ff", 60 * b"&x=1",
                 b"&trusted=1", LIMIT * b"y"):
        assert post(visitor, urlencode(fields).encode() + more).status == 400
    assert visitor.submit(fields, [("Origin", "https://evil.example")]).status == 403
    assert visitor.submit(fields | {"destination": "//x"}).status == 400
    assert post(visitor, urlencode(fields).encode(), [("Content-Type", "text/plain")]).status == 400
    post_raw(gw, ["Content-Length: 5000"], urlencode(fields).encode(), shut_down)
    text = "".join((gw.root / name).read_text(errors="replace")
                   for name in ("error.log", "access.log", "output.log"))
    assert "EAS1030" in text and "EAS1103" in text
    # As a user name it is the name that was typed; there it may be.
    text = "\n".join(line for line in text.splitlines() if "EAS1031" not in line)
    spellings = {secret, quote(secret), quote(secret, safe=""), urlencode({"": secret})[1:],
                 base64.b64encode(secret.encode()).decode(), secret.encode().hex(), "Kanarien"}
    assert [spelling for spelling in spellings if spelling in text] == []
    domain.set_password("carol", PASSWORDS["carol"])


@pytest.mark.smoke
def test_no_secret_in_the_log(gateway, backends):
    """Not at our trace8, not on success and not on failure; also not in base64."""
    gw = gateway(location(backends("cas1").url), log_level="notice eas_kcd:trace8 proxy:debug")
    wrong = "canary-for-the-log"
    gw.get("/eas", "alice", wrong)
    gw.get("/eas", "alice", PASSWORDS["alice"])
    text = gw.error_log.text()
    for password in (wrong, PASSWORDS["alice"]):
        assert password not in text
        assert basic("alice", password)[len("Basic "):-4] not in text
    assert "Negotiate Y" not in text
