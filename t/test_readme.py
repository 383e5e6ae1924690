# SPDX-License-Identifier: Apache-2.0
"""The README says what the sources say, and its examples work."""

import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Iterator

import pytest

from lab.ad import PASSWORDS, REALM, UPN_SUFFIX
from lab.client import Client
from lab.frontdoor import BROWSER, FORM, Visitor
from lab.gateway import MODULES, module_under_test
from lab.names import GATEWAY
from lab.wait import free_port, until
from test_precedence import HOW_TO_ASK, OUTCOMES

TOP = Path(__file__).parents[1]
README = (TOP / "README").read_text()
DEFINITIONS = (TOP / "auth/directives.def", TOP / "delegation/directives.def")
SOURCES = sorted(path for pattern in ("*.[ch]", "auth/**/*.[ch]", "delegation/**/*.[ch]")
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
GLOBAL = "server config"        # which a handler sees to, since a row cannot say it


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
        for name, _take, handler, context, syntax, default, _help in rows:
            name, syntax, default = (json.loads(text) for text in (name, syntax, default))
            where = GLOBAL if "GLOBAL_ONLY" in body_of(handler) else CONTEXTS[context]
            found.append(Directive(name, f"{name} {syntax}", default, where))
    return found


def body_of(function: str) -> str:
    """The definition of a function, by the way that our C is formatted."""
    found = [match[0] for path in SOURCES if path.suffix == ".c" for match in re.finditer(
        rf"^[\w *]+\b{function}\([^;{{]*\n{{\n.*?^}}\n", code_of(path), re.DOTALL | re.MULTILINE)]
    assert len(found) == 1, (function, found)
    return found[0]


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
                assert re.fullmatch(r"\d{4}|(int )?tag|err->tag", args[FAIL[name]]), (path, name,
                                                                                     args)
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


# --- what the sources say elsewhere ----------------------------------------------------------

def table(corner: str) -> dict[str, dict[str, str]]:
    """{row: {column: cell}} of the one table whose first cell this is."""
    found = re.findall(rf"^\| {corner} \|.*\n(?:\|.*\n)+", README, re.MULTILINE)
    assert len(found) == 1, (corner, found)
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")]
                      for line in found[0].splitlines()]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def renamed(rows: dict[str, dict[str, str]], words: dict[str, str]) -> dict[str, dict[str, str]]:
    """In the README's words."""
    def say(word: str) -> str:
        return words.get(word, word)
    return {say(row): {say(column): say(cell) for column, cell in cells.items()}
            for row, cells in rows.items()}


def test_precedence_is_that_of_the_tests():
    """test_precedence.py plays each cell; here they are in words."""
    rows = {"no": "none", "bad": "damaged, another host's, or two",
            "expired": "idle too long, or at its end", "revoked": "signed out", "good": "live"}
    columns = {"no": "no Basic", "user-only": "a name without a colon", "wrong": "wrong password",
               "empty": "empty password", "good": "alice's password", "other": "bob's password"}
    assert table("cookie") == {rows[row]: {columns[column]: cell for column, cell in cells.items()}
                               for row, cells in OUTCOMES.items()}


def test_challenges_are_those_of_the_tests():
    words = {"browser": "a person in a browser", "phone": "a phone",
             "none": "a client that says nothing of itself", "no cookie": "without a cookie",
             "dead cookie": "with a cookie that is no live session",
             "below an EAS path": "below a path of Exchange's programs",
             "basic": "Basic", "script": "440"}
    written = table("who")
    script = written.pop("a script in a browser")
    assert written == renamed(HOW_TO_ASK, words)
    assert list(script.values()) == ["440", "440", "Basic"]


def strings_of(name: str, path: str) -> str:
    """A C string that is made of literals and of macros in the same file."""
    code = code_of(TOP / path)
    macros = dict(re.findall(r'^#define (\w+) ("[^\n]*")$', code, re.MULTILINE))
    value, = re.findall(rf"\b{name}\[\] =(.*?);$", code, re.DOTALL | re.MULTILINE)
    return "".join(json.loads(macros.get(token, token))
                   for token in re.findall(f"{STRING}|\\w+", value))


def test_built_in_rule_of_form_for():
    """To the letter, but for where the lines end."""
    section = README[README.index("### EasKcdFormFor"):]
    printed, = re.findall(r'\A[^`]*```apache\nEasKcdFormFor "([^"]*)"\n```', section)
    rule = strings_of("eas_challenge_form_rule", "auth/login/challenge_httpd.c")
    assert re.sub(r" \\\n *", " ", printed) == rule


def test_minutes_that_a_disabled_account_has():
    factors, = re.findall(r"^#define ALIVE_FOR apr_time_from_sec\(([\d *]+)\)$",
                          code_of(TOP / "auth/login/session_httpd.c"), re.MULTILINE)
    minutes, = re.findall(r"^- within (\d+) minutes after the account was disabled", README,
                          re.MULTILINE)
    assert prod(map(int, factors.split("*"))) == int(minutes) * 60


def test_placeholders():
    """Each is explained, and marked where it must be there."""
    code = code_of(TOP / "auth/login/page.c")
    meant = {f"`{{{{{name}}}}}`": required == "true" for name, required in
             re.findall(r'\{ "(\w+)", (true|false) \}', code)}
    assert len(meant) > 5
    assert {name: "must be there" in cells["value"]
            for name, cells in table("placeholder").items()} == meant


# --- examples --------------------------------------------------------------------------------

BLOCKS = re.findall(r"^```apache\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
assert BLOCKS, "no example found in the README"
LOGIN_PAGE, = re.findall(r"^```html\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def example(gateway, domain, authority, lab_dir):
    """example(block, …): a gateway with the block as its configuration, not yet started; what
    the README calls by an example's name is replaced by what is there."""
    def make(block: str, account: str = "gateway", tls: bool = False, **more: str):
        keytab = domain.export_keytab(lab_dir / f"readme-{account}.keytab", [account])
        certificate = authority.certificate(GATEWAY)
        secrets = [make_secret(lab_dir / f"readme-secret-{n}") for n in (1, 2)]
        (lab_dir / "readme-login.html").write_text(LOGIN_PAGE)
        for text, instead in {
            "/usr/lib/apache2/modules/mod_eas_kcd.so": module_under_test(),
            "/etc/eas-kcd/gateway.keytab": keytab,
            "/etc/eas-kcd/cas1.keytab": keytab,
            "/etc/eas-kcd/secret-1": secrets[0],
            "/etc/eas-kcd/secret-2": secrets[1],
            "/etc/eas-kcd/login.html": lab_dir / "readme-login.html",
            "/etc/eas-kcd/htpasswd": lab_dir / "readme-htpasswd",
            "/etc/ssl/certs/corp-ca.pem": authority.ca_file,
            "/etc/ssl/certs/mail.pem": certificate.cert,
            "/etc/ssl/private/mail.key": certificate.key,
            "CORP.EXAMPLE.COM": REALM,
            "EasKcdDomain example.com": f"EasKcdDomain {UPN_SUFFIX}",
            "ServerName mail.example.com": f"ServerName {GATEWAY}",
            **more,
        }.items():
            block = block.replace(text, str(instead))
        return gateway(block, start=False, tls=tls,
                       account=None if "EasKcdKeytab" in block else account,
                       modules=[name for name in (*MODULES, *modules_for(block))
                                if f"LoadModule {name}_module" not in block])
    return make


def modules_for(block: str) -> list[str]:
    """What few examples need; mod_auth_gssapi is not loaded where it is not wanted."""
    return [name for text, name in (("Substitute ", "substitute"), ("GssapiCredStore", "auth_gssapi"))
            if text in block]


def make_secret(path: Path) -> Path:
    """By the README's command."""
    if not path.exists():
        command, = re.findall(r"^    (\(umask .*/etc/eas-kcd/secret-1.*\))$", README, re.MULTILINE)
        subprocess.run(command.replace("/etc/eas-kcd/secret-1", str(path)), shell=True, check=True)
    return path


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


def block_with(text: str) -> str:
    return next(block for block in BLOCKS if text in block)


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
                 **{"https://cas1.corp.example.com": cas1.url})
    gw.start()
    gw.expect("EAS1062")
    visitor = browse(gw, "/owa/", "alice", PASSWORDS["alice"])
    assert visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}"
    assert visitor.get("/ecp/").json()["remote_user"] == f"alice@{REALM}"
    form = visitor.get(FORM).body.decode()
    assert ("Anmelden - Mail" in form) == (page != "builtin")
    away = visitor.get("/owa/logoff.owa")
    assert away.status == 302 and away.header("Location").endswith("/eas-kcd/logout")
    assert visitor.get("/eas-kcd/logout").status == 303
    assert visitor.get("/owa/").status == 302


def test_password_providers(example, lab_dir):
    """Whom AD does not know, the file may; whom AD knows, it does not shadow."""
    digest = subprocess.run(["openssl", "passwd", "-apr1", "house-9"], check=True,
                            capture_output=True, text=True).stdout.strip()
    (lab_dir / "readme-htpasswd").write_text(f"porter:{digest}\nalice:{digest}\n")
    gw = example(block_with("EasKcdPasswordProvider") + """
<Location "/intern">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
</Location>
""", tls=True)
    gw.start()
    gw.expect("EAS1030", "EAS1062", "AH00128")
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
    """The example for users of other modules: a certificate with bob's UPN, and one without.
    S4U2Self does not canonicalize, so the name stays as it is in the certificate."""
    gw, port = running(block_with("SSLVerifyClient"), "gateway2")
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
