# SPDX-License-Identifier: Apache-2.0
"""The examples of README and its pages work, as they are printed."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from lab.ad import PASSWORDS, REALM, UPN_SUFFIX
from lab.client import Client
from lab.examples import BLOCKS, block_with
from lab.frontdoor import BROWSER, FORM, Visitor
from lab.names import GATEWAY
from lab.wait import until


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_example_is_accepted(example, block):
    code, said = example(block).check_config()
    assert code == 0, said
    if "SSLProxyEngine" in block:       # others are a part of a virtual host
        assert re.findall(r"\bEAS30[56]\d\b", said) == []


def test_minimal_configuration(running, authority):
    """The first example, as it is. Its own LogLevel shows the reasons of refusals."""
    gw, port = running(BLOCKS[0], log_level="warn")
    gw.expect("EAS1030")
    path = "/Microsoft-Server-ActiveSync"
    with Client(port, tls=True, ca_file=authority.ca_file) as client:
        for name in ("alice", r"CORP\alice"):
            answer = client.get(path, name, PASSWORDS["alice"])
            assert answer.status == 200
            assert answer.json()["remote_user"] == f"alice@{REALM}"
        assert client.get(path, "alice", "wrong").status == 401


def browse(gw, path: str, name: str, password: str) -> Visitor:
    """A browser that goes to the path, is sent to the form, and fills it in."""
    visitor = Visitor(gw)
    assert visitor.get(path).header("Location").startswith(FORM + "?")
    done = visitor.log_on(name, password, path)
    assert (done.status, done.header("Location")) == (303, path)
    return visitor


@pytest.mark.parametrize("page", ["builtin", "of one's own"])
def test_browsers(gateway, backends, example, page):
    """OWA: to the form, in, out by OWA's own address; with the built-in page and the other."""
    cas1 = backends("cas1", tls=True)
    block = block_with('<Location "/owa">')
    if page != "builtin":
        block += block_with("EasKcdLoginPage")
    gw = example("SSLProxyEngine On\nSSLProxyVerify require\n"
                 'SSLProxyCACertificateFile "/etc/ssl/certs/corp-ca.pem"\n' + block, tls=True,
                 more={"https://cas1.corp.example.com": cas1.url})
    gw.start()
    gw.expect("EAS1062")
    visitor = browse(gw, "/owa/", "alice", PASSWORDS["alice"])
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    assert visitor.get("/ecp/").json()["remote_user"] == f"alice@{REALM}"
    form = visitor.get(FORM).body.decode()
    assert ("Anmelden - Mail" in form) == (page != "builtin")
    away = visitor.get("/owa/logoff.owa")
    assert away.status == 302 and away.header("Location").endswith("/eas-kcd/logout")
    asked = visitor.get("/eas-kcd/logout")
    assert asked.status == 200 and b'action="/eas-kcd/logout"' in asked.body
    assert visitor.sign_out().status == 303
    assert visitor.get("/owa/").status == 302


def test_password_providers(example, lab_dir):
    """Whom AD does not know, the file may; whom AD knows, it does not shadow."""
    digest = subprocess.run(["openssl", "passwd", "-apr1", "house-9"], check=True,
                            capture_output=True, text=True).stdout.strip()
    (lab_dir / "pages-htpasswd").write_text(f"porter:{digest}\nalice:{digest}\n")
    gw = example(block_with("EasKcdPasswordProvider") + """
<Location "/intern">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
</Location>
""", tls=True)
    gw.start()
    gw.expect("EAS1030", "EAS1062")
    answer = browse(gw, "/intern", "porter", "house-9").get("/intern")
    assert answer.status == 404         # in, and nothing is there
    served = until(lambda: [entry for entry in gw.requests() if entry["status"] == "404"], 5,
                   "the access log")
    assert served[0]["user"] == "porter"
    assert gw.get("/intern", "porter", "house-9").status == 404
    assert gw.get("/intern", "alice", PASSWORDS["alice"]).status == 404
    assert gw.get("/intern", "alice", "house-9").status == 401


def test_basic_provider(example):
    gw = example(block_with("AuthBasicProvider kdc"), tls=True)
    gw.start()
    gw.expect("EAS1030", "AH01617")
    assert gw.get("/intranet", "alice", PASSWORDS["alice"]).status == 404
    assert gw.logged()["user"] == f"alice@{REALM}"
    refused = gw.get("/intranet", "alice", "wrong", headers=BROWSER)
    assert (refused.status, refused.header("WWW-Authenticate")) == (401, 'Basic realm="Intranet"')


def test_client_certificates(running, authority, lab_dir):
    """The example for users of other modules: a certificate with bob's UPN, and one without."""
    gw, port = running(block_with("SSLVerifyClient"), "gateway2")
    gw.expect("EAS2060")
    upn = f"otherName:1.3.6.1.4.1.311.20.2.3;UTF8:bob.builder@{UPN_SUFFIX}"
    answers = [ask_with_certificate(lab_dir / f"client-{n}.pem", san, authority.ca_file, port)
               for n, san in enumerate((upn, "DNS:nobody"))]
    assert json.loads(answers[0])["remote_user"] == f"bob@{REALM}"
    assert "403 Forbidden" in answers[1]


def ask_with_certificate(path: Path, san: str, ca_file: Path, port: int) -> str:
    """What curl gets that shows a new certificate with this subjectAltName."""
    subprocess.run(["openssl", "req", "-x509", "-config", "/dev/null", "-newkey", "rsa:2048",
                    "-nodes", "-subj", "/CN=client", "-addext", f"subjectAltName={san}",
                    "-CA", ca_file, "-CAkey", ca_file.with_suffix(".key"),
                    "-out", path, "-keyout", path.with_suffix(".key")],
                   check=True, capture_output=True)
    return subprocess.run(["curl", "--silent", "--cacert", ca_file, "--cert", path,
                           "--key", path.with_suffix(".key"),
                           "--resolve", f"{GATEWAY}:{port}:127.0.0.1",
                           f"https://{GATEWAY}:{port}/Microsoft-Server-ActiveSync"],
                          check=True, capture_output=True, text=True).stdout
