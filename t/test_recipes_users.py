# SPDX-License-Identifier: Apache-2.0
"""Recipes for users whom other modules know: OpenID Connect."""

import pytest

from lab.ad import REALM, UPN_SUFFIX
from lab.client import Client
from lab.examples import block_with, in_a_host
from lab.frontdoor import BROWSER
from lab.idp import SECRETS, Provider
from lab.names import GATEWAY

BOB = f"bob.builder@{UPN_SUFFIX}"


# --- OpenID Connect ----------------------------------------------------------------------------

class Browser:
    """With a jar for mod_auth_openidc's cookies."""

    def __init__(self, port: int, authority) -> None:
        self.port, self.ca_file = port, authority.ca_file
        self.jar: dict[str, str] = {}

    def get(self, path: str, *headers):
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        with Client(self.port, True, self.ca_file) as client:
            answer = client.get(path, headers=[*BROWSER, ("Cookie", cookies), *headers])
        for line in answer.all("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.jar[name] = value
        return answer

    def log_on(self, provider: Provider):
        """What mod_auth_openidc answers to the code of the log-on that a page leads to."""
        sent = self.get("/owa/")
        assert sent.status == 302
        back = provider.log_on(sent.header("Location"))
        return self.get(back.removeprefix(f"https://{GATEWAY}"))

    def mail(self):
        """With a lie, and with a header of its own."""
        return self.get("/owa/", ("OIDC_CLAIM_upn", f"alice@{REALM}"), ("X-Own", "1"))


@pytest.fixture
def openid(running, fake_backends, authority):
    """openid(block, **claims): the gateway, a user's browser, and the answer to the log-on."""
    def make(block, **claims):
        provider = Provider("mail")
        provider.url = fake_backends(provider, "cas3", tls=True, proves=False).url
        provider.claims = {"sub": "1"} | claims
        gw, port = running(in_a_host(block), "gateway2", more={
            "https://login.example.com": provider.url,
            "https://mail.example.com": f"https://{GATEWAY}",
            "/etc/ssl/certs/ca-certificates.crt": authority.ca_file,
            "exec:/bin/cat /etc/eas-kcd/oidc-secret": "a-secret",
            "exec:/bin/cat /etc/eas-kcd/oidc-passphrase": "a-passphrase"})
        browser = Browser(port, authority)
        return gw, browser, browser.log_on(provider)
    return make


OPENID = block_with("OIDCClientID")


def test_openid_user_is_delegated_and_nothing_leaks(openid):
    _, browser, done = openid(OPENID, upn=BOB)
    assert done.status == 302 and browser.jar["mod_auth_openidc_session"]
    answer = browser.mail()
    assert answer.status == 200
    echo = answer.json()
    assert echo["remote_user"] == f"bob@{REALM}"
    headers = {name: value for name, value in echo["headers"]}
    assert headers.pop("Authorization").startswith("Negotiate ") and headers["X-Own"] == "1"
    seen = str(headers).lower()
    assert not [word for word in ("oidc", "openid", "bob", *SECRETS.values())
                if word.lower() in seen]


def test_openid_leaks_unless_told(openid):
    """Why the recipe has these two lines."""
    block = "".join(line for line in OPENID.splitlines(keepends=True)
                    if "OIDCPassClaimsAs" not in line and "RequestHeader" not in line)
    assert len(block.splitlines()) == len(OPENID.splitlines()) - 2
    _, browser, _ = openid(block, upn=BOB)
    headers = dict(browser.mail().json()["headers"])
    assert headers["OIDC_CLAIM_upn"] == BOB
    assert headers["OIDC_access_token"] == SECRETS["access_token"]
    assert "mod_auth_openidc_session=" in headers["Cookie"]


def test_openid_user_of_another_domain(openid, backends):
    gw, browser, _ = openid(OPENID, upn="bob@elsewhere.example")
    gw.expect("EAS1008")
    cas1 = backends("cas1", tls=True)
    assert browser.mail().status == 403
    assert cas1.requests() == []
