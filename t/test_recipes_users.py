# SPDX-License-Identifier: Apache-2.0
"""Recipes for users whom other modules know: OpenID Connect, client certificates."""

import re
import socket
import ssl

import pytest

from lab.ad import PASSWORDS, REALM, UPN_SUFFIX
from lab.client import Client
from lab.examples import BLOCKS, block_with, in_a_host
from lab.frontdoor import BROWSER
from lab.idp import SECRETS, Provider
from lab.names import GATEWAY
from lab.revocation import DAY, Revocation
from lab.tls import Authority, Certificate
from lab.unique import unique_number
from lab.wait import until

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
        self.jar = {name: value for name, value in self.jar.items() if value}
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


def test_openid_user_signs_out(openid):
    """By OWA's own "Sign out": a copy of the cookie is worth nothing, too."""
    _, browser, _ = openid(OPENID, upn=BOB)
    assert browser.mail().status == 200
    copy = dict(browser.jar)
    away = browser.get("/owa/logoff.owa")
    assert (away.status, away.header("Location")) == (302, f"https://{GATEWAY}/oidc?logout=")
    done = browser.get("/oidc?logout=")
    assert (done.status, done.header("Location")) == (302, f"https://{GATEWAY}/")
    assert browser.mail().status == 302
    browser.jar = copy
    assert browser.mail().status == 302


def test_openid_user_of_another_domain(openid, backends):
    gw, browser, _ = openid(OPENID, upn="bob@elsewhere.example")
    gw.expect("EAS1008")
    cas1 = backends("cas1", tls=True)
    assert browser.mail().status == 403
    assert cas1.requests() == []


# --- certificate or password -------------------------------------------------------------------

PATH = "/Microsoft-Server-ActiveSync"
CERTIFICATE = block_with("SSLCARevocationFile")
ALICE = ("alice", PASSWORDS["alice"])
LIES = [(name, value) for prefix in ("", "X-", "HTTP_") for name, value in (
    ("SSL_CLIENT_VERIFY", "SUCCESS"), ("SSL-Client-Verify", "SUCCESS"), ("SSL_CLIENT_CERT", "x"),
    ("SSL_CLIENT_SAN_OTHER_msUPN_0", f"alice@{REALM}"), ("REMOTE_USER", f"alice@{REALM}"))]
LIST = "".join(line for line in CERTIFICATE.splitlines(True) if "SSLCARevocation" in line)


@pytest.fixture
def devices(running, authority):
    """devices(crl=path, …): the gateway, and ask(certificate, *pair, headers=…)."""
    def make(crl, block=CERTIFICATE, **more):
        gw, port = running(block, "gateway2", more={"/etc/ssl/certs/devices.crl": crl} | more,
                           log_level="notice eas_kcd:trace8 ssl:info")

        def ask(certificate, *pair, headers=()):
            with Client(port, True, authority.ca_file, certificate=certificate) as phone:
                return phone.get(PATH, *pair, headers=headers)
        ask.port = port
        return gw, ask
    return make


def test_certificate_whose_user_the_kdc_names(devices, authority, backends):
    """Samba names none. t/test_certificates.py has a KDC that does."""
    by_name, = re.findall(r"EasKcdDelegateUser .*", CERTIFICATE)
    by_kdc, = (block.strip() for block in BLOCKS if block.startswith("    EasKcdDelegateCertificate"))
    gw, ask = devices(Revocation(authority).crl(), CERTIFICATE.replace(by_name, by_kdc))
    assert ask(None, *ALICE).json()["remote_user"] == f"alice@{REALM}"
    gw.expect("EAS2096")
    for pair in ((), ALICE):
        assert ask(authority.user("bob", BOB), *pair).status == 403


def test_certificate_or_password(devices, authority, backends):
    gw, ask = devices(Revocation(authority).crl())
    cas1 = backends("cas1", tls=True)
    bob = authority.user("bob", BOB)
    asked = [((bob,), f"bob@{REALM}"), ((bob, *ALICE), f"bob@{REALM}"),
             ((bob, "alice", "wrong"), f"bob@{REALM}"), ((None, *ALICE), f"alice@{REALM}")]
    for arguments, user in asked:
        for headers in ((), LIES):
            answer = ask(*arguments, headers=headers)
            assert answer.status == 200
            echo = answer.json()
            assert echo["remote_user"] == user
            sent, = [value for name, value in echo["headers"] if name == "Authorization"]
            assert sent.startswith("Negotiate ")
    assert gw.error_log.tags().count("EAS1030") == 0
    for headers in ((), LIES):
        answer = ask(None, headers=headers)
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, 'Basic realm="Mail", charset="UTF-8"')
    assert "EAS1062" in gw.error_log.tags()
    until(lambda: len(cas1.requests()) == 2 * len(asked), 5, "the backend's log")


def test_certificate_without_a_upn(devices, authority):
    """Its password does not count."""
    gw, ask = devices(Revocation(authority).crl())
    gw.expect("EAS2060")
    assert ask(authority.certificate("nobody"), *ALICE).status == 403


def test_condition_that_holds_for_all(devices, authority, backends):
    """A mistake in the <If>: the certificate decides about everybody, and no other one opens."""
    condition = "%{SSL_CLIENT_VERIFY} == 'SUCCESS'"
    assert condition in CERTIFICATE
    gw, ask = devices(Revocation(authority).crl(), CERTIFICATE.replace(condition, "true"))
    gw.expect("AH01630")
    cas1 = backends("cas1", tls=True)
    for pair in ((), ALICE):
        answer = ask(None, *pair, headers=LIES)
        assert (answer.status, answer.header("WWW-Authenticate")) == (403, None)
    assert ask(authority.user("bob", BOB)).json()["remote_user"] == f"bob@{REALM}"
    assert len(until(cas1.requests, 5, "the backend's log")) == 1


REASONS = {"list": "certificate revoked", "old-list": "CRL has expired",
           "ocsp": "certificate revoked", "ocsp-down": "application verification failure",
           "stranger": "unable to get local issuer certificate"}
ERRORS = {"ocsp": ["AH03239"], "ocsp-down": ["AH01974"]}


@pytest.mark.parametrize("by", REASONS)
def test_refused_certificate(devices, authority, fake_backends, backends, lab_dir, by):
    """Within TLS, so that no request comes; without one, the password counts."""
    bob, old = authority.user("bob", BOB), authority.user("bob-old", BOB)
    revocation = Revocation(authority, old).knows(bob, old)
    responder = fake_backends(revocation, "cas3", proves=False)
    if by == "stranger":
        old = Authority(lab_dir / f"strangers-{unique_number()}").user("bob", BOB)
    gw, ask = devices(
        revocation.crl(-DAY if by == "old-list" else DAY),
        CERTIFICATE.replace(LIST, block_with("SSLOCSPEnable")) if "ocsp" in by else CERTIFICATE,
        **{"http://ocsp.example.com": responder.url})
    if by == "ocsp-down":
        responder.stop()
    gw.expect(*ERRORS.get(by, ()))
    cas1 = backends("cas1", tls=True)
    assert refusal(ask.port, authority, old)
    assert re.search(rf"AH02276: Certificate Verification: Error \(\d+\): {REASONS[by]}",
                     gw.error_log.text())
    assert ask(None, *ALICE).status == 200
    if by in ("old-list", "ocsp-down"):
        assert refusal(ask.port, authority, bob)
        users = {f"alice@{REALM}"}
    else:
        assert ask(bob).status == 200
        users = {f"alice@{REALM}", f"bob@{REALM}"}
    until(lambda: {entry["user"] for entry in cas1.requests()} == users, 5, "the backend's log")
    assert len(cas1.requests()) == len(users)


def refusal(port: int, authority: Authority, certificate: Certificate) -> str:
    """The alert that the client gets after its part of the handshake."""
    context = ssl.create_default_context(cafile=authority.ca_file)
    context.load_cert_chain(certificate.cert, certificate.key)
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        with pytest.raises(ssl.SSLError) as refused:
            with context.wrap_socket(plain, server_hostname=GATEWAY) as secure:
                secure.recv(1)
    return refused.value.reason
