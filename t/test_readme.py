# SPDX-License-Identifier: Apache-2.0
"""The README says what the sources say, and its examples work."""

import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest

from lab.ad import PASSWORDS, REALM, UPN_SUFFIX
from lab.client import Client
from lab.gateway import MODULES, module_under_test
from lab.names import GATEWAY
from lab.wait import free_port

TOP = Path(__file__).parents[1]
README = (TOP / "README").read_text()
DEFINITIONS = (TOP / "auth/directives.def", TOP / "delegation/directives.def")
SOURCES = sorted(path for pattern in ("*.[ch]", "auth/*.[ch]", "delegation/*.[ch]")
                 for path in TOP.glob(pattern))


# --- as much C as is needed ------------------------------------------------------------------

STRING = r'"(?:\\.|[^"\\])*"|' r"'(?:\\.|[^'\\])*'"
COMMENT = r"/\*.*?\*/|//[^\n]*"


def code_of(path: Path) -> str:
    """A C file without its comments."""
    return re.sub(f"({STRING})|{COMMENT}", lambda match: match[1] or " ", path.read_text(),
                  flags=re.DOTALL)


def calls(code: str, name: str) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments of what looks like a call: a declaration does, too."""
    for match in re.finditer(rf"\b({name})\s*\(", code):
        yield match[1], arguments(code[match.end():])


def arguments(code: str) -> list[str]:
    """Up to the parenthesis that closes; adjacent strings become one."""
    found, depth = [""], 0
    for token in re.findall(f"{STRING}|.", code, flags=re.DOTALL):
        depth += (token == "(") - (token == ")")
        if depth < 0:
            return [re.sub(r'"\s*"', "", argument).strip() for argument in found]
        if token == "," and depth == 0:
            found.append("")
        else:
            found[-1] += token
    raise ValueError(f"no end of the arguments: {code[:80]}")


# --- directives ------------------------------------------------------------------------------

CONTEXTS = {"RSRC_CONF": "server config, virtual host",
            "RSRC_CONF | ACCESS_CONF": "server config, virtual host, directory"}


@dataclass(frozen=True)
class Directive:
    name: str
    syntax: str
    default: str
    context: str


def defined() -> list[Directive]:
    """The rows of the .def files."""
    found = []
    for path in DEFINITIONS:
        rows = [args for _, args in calls(code_of(path), "EAS_DIRECTIVE")]
        assert rows, f"no directive found in {path}"
        for name, _take, _handler, context, syntax, default, _help in rows:
            name, syntax, default = (json.loads(text) for text in (name, syntax, default))
            found.append(Directive(name, f"{name} {syntax}", default, CONTEXTS[context]))
    return found


def documented() -> list[Directive]:
    """The sections of the README that are headed by a directive."""
    sections = re.findall(r"^### (EasKcd\w+)\n(.*?)(?=^##|\Z)", README, re.DOTALL | re.MULTILINE)
    assert sections, "no directive found in the README"
    return [Directive(name, *(field(text, what) for what in ("Syntax", "Default", "Context")))
            for name, text in sections]


def field(section: str, name: str) -> str:
    found = re.findall(rf"^ *{name}: +(.*)$", section, re.MULTILINE)
    return found[0] if len(found) == 1 else f"{len(found)} lines {name}:"


def test_directives():
    """Every one, in the same order, with its syntax, default and context."""
    assert [row.name for row in documented()] == [row.name for row in defined()]
    for written, meant in zip(documented(), defined()):
        assert written == meant


# --- log tags --------------------------------------------------------------------------------

FAIL = {"eas_fail": 2, "eas_kdc_fail": 3}       # which argument is the tag


def tags_in_sources() -> Counter[str]:
    """Each EASnnnn in a string, and each four-digit argument of a function that *fails*."""
    found: Counter[str] = Counter()
    for path in SOURCES:
        code = code_of(path)
        found.update(re.findall(r"EAS(\d{4})", code))
        for name, args in calls(code, r"\w*fail\w*"):
            found.update(arg for arg in args if re.fullmatch(r"\d{4}", arg))
            if name in FAIL:
                # One that comes by a variable of another name would escape us.
                assert re.fullmatch(r"\d{4}|(int )?tag", args[FAIL[name]]), (path, name, args)
    assert found, "no tag found in the sources"
    return found


def test_every_log_tag_is_used_once():
    assert [tag for tag, times in tags_in_sources().items() if times > 1] == []


def test_every_log_tag_is_explained_once_and_in_order():
    explained = re.findall(r"^\| EAS(\d{4}) \|[^|]+\|[^|]+\|$", README, re.MULTILINE)
    used = set(tags_in_sources())
    assert sorted(used - set(explained)) == [], "in the sources, but not in the README"
    assert sorted(set(explained) - used) == [], "in the README, but not in the sources"
    assert explained == sorted(used)


# --- examples --------------------------------------------------------------------------------

BLOCKS = re.findall(r"^```apache\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
assert BLOCKS, "no example found in the README"


@pytest.fixture
def example(gateway, domain, authority, lab_dir):
    """example(block, …): a gateway with the block as its configuration, not yet started; what
    the README calls by an example's name is replaced by what is there."""
    def make(block: str, account: str = "gateway", **more: str):
        keytab = domain.export_keytab(lab_dir / f"readme-{account}.keytab", [account])
        certificate = authority.certificate(GATEWAY)
        for text, instead in {
            "/usr/lib/apache2/modules/mod_eas_kcd.so": module_under_test(),
            "/etc/eas-kcd/gateway.keytab": keytab,
            "/etc/ssl/certs/corp-ca.pem": authority.ca_file,
            "/etc/ssl/certs/mail.pem": certificate.cert,
            "/etc/ssl/private/mail.key": certificate.key,
            "CORP.EXAMPLE.COM": REALM,
            "EasKcdDomain example.com": f"EasKcdDomain {UPN_SUFFIX}",
            "ServerName mail.example.com": f"ServerName {GATEWAY}",
            **more,
        }.items():
            block = block.replace(text, str(instead))
        return gateway(block, start=False, tls=False,
                       account=None if "EasKcdKeytab" in block else account,
                       modules=[name for name in MODULES
                                if f"LoadModule {name}_module" not in block])
    return make


@pytest.fixture
def running(example, backends, authority):
    """running(block, …): the example's gateway, serving cas1, and the port of its https."""
    def start(block: str, account: str = "gateway"):
        port = free_port()
        gw = example(f"Listen 127.0.0.1:{port}\n{block}", account, **{
            "*:443": f"127.0.0.1:{port}",
            "https://cas1.corp.example.com": backends("cas1", tls=True).url})
        gw.start()
        return gw, port
    return start


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_example_is_accepted(example, block):
    code, said = example(block).check_config()
    assert code == 0, said


def test_minimal_configuration(running, authority):
    """The first example, as it is."""
    gw, port = running(BLOCKS[0])
    gw.expect("EAS1030")
    path = "/Microsoft-Server-ActiveSync"
    with Client(port, tls=True, ca_file=authority.ca_file) as client:
        for name in ("alice", r"CORP\alice"):
            answer = client.get(path, name, PASSWORDS["alice"])
            assert answer.status == 200
            assert answer.json()["remote_user"] == f"alice@{REALM}"
        assert client.get(path, "alice", "wrong").status == 401


def test_client_certificates(running, authority, lab_dir):
    """The example for users of other modules: a certificate with bob's UPN, and one without.
    S4U2Self does not canonicalize, so the name stays as it is in the certificate."""
    gw, port = running(next(block for block in BLOCKS if "SSLVerifyClient" in block), "gateway2")
    gw.expect("EAS2060")
    upn = f"otherName:1.3.6.1.4.1.311.20.2.3;UTF8:bob.builder@{UPN_SUFFIX}"
    answers = [ask_with_certificate(lab_dir / f"client-{n}.pem", san, authority.ca_file, port)
               for n, san in enumerate((upn, "DNS:nobody"))]
    assert json.loads(answers[0])["remote_user"] == rf"bob.builder\@{UPN_SUFFIX}@{REALM}"
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
