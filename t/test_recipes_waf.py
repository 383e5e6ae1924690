# SPDX-License-Identifier: Apache-2.0
"""Recipe for mod_security and the Core Rule Set: clients work, attacks do not, and no log has a
password."""

import json
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Iterator
from urllib.parse import quote, quote_plus

import pytest

from lab.activesync import FOLDER_SYNC, PATH, PING, TYPE, blob, plain
from lab.ad import PASSWORDS
from lab.client import basic, connect
from lab.examples import block_with
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, COOKIE, FORM_COOKIE, PHONE, Visitor
from lab.gateway import MODULES
from lab.unique import unique_path
from lab.wait import until

WAF = (*MODULES, "unique_id", "security2")
ALICE = "alice", PASSWORDS["alice"]
RECIPE = block_with("SecRule")
RECOMMENDED = Path("/etc/modsecurity/modsecurity.conf-recommended")
DEBIAN = Path("/etc/apache2/mods-available/security2.conf")
ATTACK = "<script>alert(1)</script> ' or 1=1 --"
FOUND = "941100", "941110", "941160", "949110", "980130"     # rules, of an attack
SOAP = ('<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        "<s:Body>&lt;script&gt;alert(1)&lt;/script&gt;</s:Body></s:Envelope>").encode()


def waf(lab_dir: Path, text: str, name: str) -> str:
    """Debian's configuration of the module, with this text as /etc/modsecurity/modsecurity.conf."""
    path = lab_dir / f"waf-{name}"
    if not path.exists():
        path.mkdir()
        path.chmod(0o777)
        (path / "modsecurity.conf").write_text(
            text.replace("${APACHE_LOG_DIR}", str(path)).replace("/var/log/apache2", str(path)))
    conf = DEBIAN.read_text()
    for line, instead in (("SecDataDir /var/cache/modsecurity", f"SecDataDir {path}"),
                          ("/etc/modsecurity/*.conf", f"{path}/*.conf")):
        assert line in conf
        conf = conf.replace(line, instead)
    return conf


class Server:
    """A script for a FakeBackend: accepts each user. A Ping waits for go(), as does the second part
    of a stream."""

    def __init__(self, acceptor) -> None:
        self._acceptor = acceptor
        self._go = threading.Event()

    def go(self) -> None:
        self._go.set()

    def __call__(self, request):
        proof = self._acceptor.accept(request.authorization).www_authenticate
        if "stream" in request.path:
            return self._stream(proof)
        if "Cmd=Ping" in request.path:
            self._go.wait(20)
        return response("200 OK", [("WWW-Authenticate", proof)])

    def _stream(self, proof: str) -> Iterator[bytes]:
        head = response("200 OK", [("WWW-Authenticate", proof), ("Content-Type", "text/xml")])
        yield head.replace(b"Content-Length: 0", b"Content-Length: 10") + b"first"
        self._go.wait(20)
        yield b"later"


@pytest.fixture
def server(acceptor):
    made = Server(acceptor)
    yield made
    made.go()


@pytest.fixture
def exchange(fake_backends, server):
    return fake_backends(server, reuse=True)


@pytest.fixture
def behind(gateway, exchange, lab_dir):
    """behind(text, name): a gateway with the module, and its audit log."""
    def start(text: str = RECIPE, name: str = "AHZ", **options):
        gw = gateway(waf(lab_dir, text, name) + location(exchange.url + "/", "EasKcdPark On", path="/"),
                     modules=WAF, reuse=True, **options)
        return gw, lab_dir / f"waf-{name}/modsec_audit.log"
    return start


@pytest.fixture
def debian(behind):
    """The same with the recommended file, but for its DetectionOnly."""
    text = RECOMMENDED.read_text()
    for word, instead in (("SecRuleEngine DetectionOnly", "SecRuleEngine On"),
                          ("SecUnicodeMapFile ", "SecUnicodeMapFile /etc/modsecurity/")):
        assert word in text
        text = text.replace(word, instead)
    gw, audit = behind(text, "debian", log_level="notice eas_kcd:info security2:emerg")
    gw.allow("EAS1030", "EAS1031", "EAS1062", because="wrong passwords")
    return gw, audit


def warnings(gw) -> set[str]:
    """The rules that the error log names."""
    return set(re.findall(r'ModSecurity: .*\[id "(\d+)"\]', gw.error_log.text()))


def phone(kind: str | None = TYPE) -> list[tuple[str, str]]:
    return [*PHONE, ("MS-ASProtocolVersion", "14.1"), *([("Content-Type", kind)] if kind else [])]


REQUESTS = {
    "options": ("OPTIONS", PATH, None, None),
    "foldersync": ("POST", plain("FolderSync"), TYPE, FOLDER_SYNC),
    "base64": ("POST", blob("Sync", os.urandom(8).hex().encode(), policy_key=0x92837465), TYPE, b""),
    "mail of 14 MB": ("POST", plain("SendMail"), TYPE, os.urandom(1 << 20) * 14),
    "old mail": ("POST", plain("SendMail"), "message/rfc822", b"Subject: x\r\n\r\n" + ATTACK.encode()),
    "ews": ("POST", "/EWS/Exchange.asmx", "text/xml; charset=utf-8", SOAP),
    "ews of 1 MB": ("POST", "/EWS/Exchange.asmx", "text/xml; charset=utf-8", SOAP + b" " * (1 << 20)),
    "autodiscover": ("POST", "/Autodiscover/Autodiscover.xml", "text/xml", SOAP),
    "mapi": ("POST", "/mapi/emsmdb/?MailboxId=1@example.com", "application/mapi-http", b"\0\1'--"),
    "owa": ("POST", "/owa/service.svc?action=CreateItem&EP=1", "application/json; charset=utf-8",
            json.dumps({"Body": ATTACK}).encode()),
    "ecp": ("GET", "/ecp/ScriptResource.axd?d=x", None, None),
}


def test_clients_work(behind, exchange):
    """No rule has anything to say about what they send."""
    gw, _ = behind()
    for name, (method, path, kind, body) in REQUESTS.items():
        exchange.requests.clear()
        assert gw.request(method, path, *ALICE, phone(kind), body).status == 200, name
        request, = exchange.requests
        assert (request.path, request.body) == (path, body or b""), name
    visitor = Visitor(gw)
    destination = "/owa/?path=/mail/inbox&x=https://a.example/"
    assert visitor.log_on(*ALICE, destination).header("Location") == destination
    assert visitor.get("/owa/").status == 200
    assert warnings(gw) == set()


def first_part(gw, seconds: float) -> bool:
    """Whether a part of a response comes in this time, long before its end."""
    with connect(gw.port) as client:
        client.sendall(b"POST /EWS/stream HTTP/1.1\r\nHost: mail.example.test\r\nUser-Agent: x\r\n"
                       b"Accept: */*\r\nContent-Type: text/xml\r\nContent-Length: 0\r\n"
                       b"Authorization: %s\r\n\r\n" % basic(*ALICE).encode())
        client.settimeout(seconds)
        got = b""
        with suppress(TimeoutError):
            while b"first" not in got and (more := client.recv(4096)):
                got += more
    return b"first" in got


def test_long_polls_and_streams(behind, exchange, server):
    """A Ping waits without a thread, and a stream is not held back."""
    gw, _ = behind()
    assert first_part(gw, 20)
    with gw.client() as client:
        client.send("POST", plain("Ping"), *ALICE, phone(), PING)
        until(lambda: "parks: waits without a thread" in gw.error_log.text(), 10, "it to park")
        server.go()
        assert client.receive().status == 200
    assert warnings(gw) == set()


def test_attacks_are_refused(behind, exchange):
    """After the log-on: before it, the answer is the challenge, and no rule is asked."""
    gw, _ = behind()
    gw.expect("EAS1062", "911100", "920100", *FOUND)
    gw.allow("942100", because="a part of the attack")
    path = unique_path("/owa") + "?x=" + quote(ATTACK)
    assert gw.get(path, headers=PHONE).status == 401
    assert warnings(gw) == set()
    assert gw.get(path, *ALICE, PHONE).status == 403
    for method in ("PROPFIND", "SEARCH", "RPC_IN_DATA"):
        assert gw.request(method, "/EWS/", *ALICE, PHONE).status == 403
    assert gw.get("/eas-kcd/login?x=" + quote(ATTACK), headers=BROWSER).status == 403
    assert exchange.requests == []


def secrets_of(gw) -> dict[str, str]:
    """Send each kind of secret in requests that the rules refuse, and in others; all of them, as
    they could stand in a log."""
    attack = "/owa/x?x=" + quote(ATTACK)
    visitor = Visitor(gw)
    visitor.log_on(*ALICE)
    visitor.get(attack)
    cookies = {name: visitor.jar[name] for name in (COOKIE, FORM_COOKIE) if name in visitor.jar}
    guess = f"guess {ATTACK}"
    visitor.submit(visitor.fields() | {"username": "alice", "password": guess})
    stranger = Visitor(gw)
    stranger.submit(stranger.fields() | {"username": "nobody", "password": guess})
    for path in (attack, "/owa/x"):
        gw.get(path, *ALICE, PHONE)
        gw.get(path, "alice", guess, PHONE)
    for line in (b"no header", b"X: " + b"x" * 9000, b"Transfer-Encoding: x\r\nContent-Length: 1"):
        with connect(gw.port) as bad:
            bad.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n%s\r\n\r\n" % (
                basic(*ALICE).encode(), line))
            assert bad.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 501")
    return cookies | {"password": ALICE[1], "guess": guess, "Basic": basic(*ALICE)[6:],
                      "Basic guess": basic("alice", guess)[6:], "form": quote_plus(guess)}


@pytest.mark.parametrize("parts", ["AHZ", "ABFHZ"])
def test_no_secret_in_logs(behind, parts):
    """With headers in the audit log, too, which the recipe leaves out."""
    gw, audit = behind(RECIPE.replace("AHZ", parts), parts)
    gw.allow(*FOUND, "942100", "EAS1030", "EAS1031", "EAS1062", because="attacks and wrong passwords")
    secrets = secrets_of(gw)
    until(lambda: audit.read_text().count("941100") >= 2, 5, "the audit log")
    for text in (audit.read_text(errors="replace"), gw.error_log.path.read_text(errors="replace")):
        assert "941100" in text
        assert {name for name, secret in secrets.items() if secret in text} == set()


def test_without_the_recipe(debian, exchange):
    """Why it has its lines: what is refused, held back, and logged."""
    gw, audit = debian
    assert {name: gw.request(method, path, *ALICE, phone(kind), body).status
            for name, (method, path, kind, body) in REQUESTS.items()} == {
        name: 200 if name == "options" else 413 if "MB" in name else 403 for name in REQUESTS}
    assert not first_part(gw, 0.5)
    secrets = secrets_of(gw)
    text = audit.read_text(errors="replace")
    assert {name for name, secret in secrets.items() if secret in text} == {
        "Basic", "Basic guess", "guess", "form", COOKIE, FORM_COOKIE}
