# SPDX-License-Identifier: Apache-2.0
"""Headers, statuses and bodies between phones and Exchange pass the gateway unchanged."""

import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from lab.activesync import PATH, PING, TYPE, plain
from lab.ad import PASSWORDS
from lab.client import basic
from lab.exchange import location
from lab.fake_backend import response
from lab.gateway import MODULES
from lab.sanitizer import measures_memory

CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'
MEGABYTE = 1 << 20


@pytest.fixture
def published(gateway, acceptor, fake_backends):
    """published(status, headers, body): (a gateway, a backend that gives alice this answer)."""
    def start(status: str = "200 OK", headers=(), body: bytes = b"", *, before: str = "",
              lines=(), **options):
        def answer(request):
            accepted = acceptor.accept(request.authorization)
            return response(status, [("WWW-Authenticate", accepted.www_authenticate), *headers],
                            body)
        backend = fake_backends(answer, reuse=True)
        conf = before + location(backend.url + PATH, f'ProxyPassReverse "{backend.url}{PATH}"',
                                 *lines, path=PATH)
        return gateway(conf, reuse=True, **options), backend
    return start


def ask(gw, headers=(), path: str = plain("Sync")):
    return gw.post(path, b"", "alice", PASSWORDS["alice"], headers)


# --- what comes without credentials ----------------------------------------------------------

@pytest.mark.parametrize("headers", [[], [("Authorization", "Bearer")],
                                     [("Authorization", "Bearer ")], [("Authorization", "bearer")]],
                         ids=str)
@pytest.mark.parametrize("method,path", [("OPTIONS", PATH), ("POST", plain("Sync"))])
def test_without_credentials(published, method, path, headers):
    """Some phones ask for OPTIONS first, and Outlook sends a Bearer with nothing in it."""
    gw, backend = published()
    answer = gw.request(method, path, headers=headers)
    assert (answer.status, answer.all("WWW-Authenticate")) == (401, [CHALLENGE])
    assert gw.error_log.tags() == ["EAS1062"]
    assert backend.requests == []


# --- statuses and headers --------------------------------------------------------------------

KNOWN = {449: "Retry after sending a PROVISION command", 451: "Redirect", 456: "Account Blocked",
         457: "Password Expired"}


@pytest.mark.parametrize("status", KNOWN)
@pytest.mark.parametrize("said", ["", " ", " Said by Exchange"])
def test_reason_phrases(published, status, said):
    """The backend's own; ours if it has none."""
    gw, _ = published(f"{status}{said}", body=b"x")
    answer = ask(gw)
    assert (answer.status, answer.reason) == (status, said.strip() or KNOWN[status])
    assert answer.body == b"x"


@pytest.mark.parametrize("status", KNOWN)
def test_reason_phrases_of_error_pages(published, status):
    """With ProxyErrorOverride, by httpd's own page and by one of a file's."""
    gw, _ = published(f"{status}", lines=["ProxyErrorOverride On"])
    answer = ask(gw)
    assert (answer.status, answer.reason) == (status, KNOWN[status])
    assert f"{status} {KNOWN[status]}".encode() in answer.body


def test_reason_phrases_of_error_documents(published, lab_dir):
    page = lab_dir / "error-page"
    page.mkdir(exist_ok=True)
    page.chmod(0o755)
    (page / "500.html").write_text("sorry")
    gw, _ = published("449", lines=["ProxyErrorOverride On"],
                      before=f'Alias "/error/" "{page}/"\nErrorDocument 500 /error/500.html\n'
                      f'<Directory "{page}">\nRequire all granted\n</Directory>\n')
    answer = ask(gw)
    assert (answer.status, answer.reason, answer.body) == (449, KNOWN[449], b"sorry")


def test_x_ms_location(published, gateway, fake_backends):
    """As Location: what ProxyPassReverse knows is made ours, what it does not know stays."""
    for said, mapped in (("{backend}/Microsoft-Server-ActiveSync",
                          "https://mail.example.test/Microsoft-Server-ActiveSync"),
                         ("{backend}/Microsoft-Server-ActiveSync/x?y=z",
                          "https://mail.example.test/Microsoft-Server-ActiveSync/x?y=z"),
                         ("https://cas9.corp.example.test/Microsoft-Server-ActiveSync",
                          "https://cas9.corp.example.test/Microsoft-Server-ActiveSync")):
        headers: list[tuple[str, str]] = []
        gw, backend = published("451 Redirect", headers)
        url = said.format(backend=backend.url)
        headers += [("X-MS-Location", url), ("Location", url)]
        answer = ask(gw)
        assert (answer.status, answer.reason) == (451, "Redirect")
        assert answer.header("Location") == answer.header("X-MS-Location") == mapped


def test_x_ms_location_of_a_balancers_member(gateway, fake_backends):
    headers: list[tuple[str, str]] = []
    backend = fake_backends(lambda request: response("451 Redirect", headers))
    headers.append(("X-MS-Location", backend.url + PATH))
    gw = gateway(f'<Proxy "balancer://cas">\nBalancerMember "{backend.url}"\n</Proxy>\n'
                 f'<Location "{PATH}">\nProxyPass "balancer://cas{PATH}"\n'
                 f'ProxyPassReverse "balancer://cas{PATH}"\nRequire all granted\n</Location>')
    assert gw.post(plain("Sync"), b"").header("X-MS-Location") == f"https://mail.example.test{PATH}"


def test_cookies_both_ways(published):
    """Phones since 16.0 must send back what Exchange sets; none of it is ours to keep."""
    said = ["X-BackEndCookie=S-1-5=u56Lnp2ejJqBy87; expires=Fri, 25-Dec-2026 00:00:00 GMT; "
            "path=/Microsoft-Server-ActiveSync; secure; HttpOnly", "ClientId=ABC; path=/"]
    gw, backend = published(headers=[("Set-Cookie", cookie) for cookie in said])
    answer = ask(gw, [("Cookie", "X-BackEndCookie=S-1-5=u56Lnp2ejJqBy87; ClientId=ABC")])
    assert answer.all("Set-Cookie") == said
    assert backend.requests[0].all("Cookie") == ["X-BackEndCookie=S-1-5=u56Lnp2ejJqBy87; "
                                                 "ClientId=ABC"]


def test_headers_of_exchange_pass(published):
    said = [("MS-Server-ActiveSync", "15.1"), ("X-MS-RP", "2.0,2.5"), ("X-FEServer", "CAS1"),
            ("X-MS-Credentials-Expire", "3"), ("X-MS-ASThrottle", "CommandFrequency"),
            ("request-id", "3f2504e0")]
    gw, backend = published("503 Service Unavailable", [*said, ("Retry-After", "120")])
    answer = ask(gw)
    assert answer.status == 503
    assert [(name, answer.header(name)) for name, _ in said] == said
    assert answer.header("Retry-After") == "120"


def test_empty_answers(published):
    """200 with nothing in it is an answer: nothing is new."""
    gw, backend = published()
    answer = ask(gw)
    assert (answer.status, answer.body, answer.header("Content-Length")) == (200, b"", "0")
    assert answer.header("Content-Type") is None
    assert backend.requests[0].body == b"" and backend.requests[0].all("Content-Type") == []


# --- bodies ----------------------------------------------------------------------------------

def resident(gw) -> int:
    """The most memory that a child of this server has ever had, in bytes."""
    children = Path(f"/proc/{gw.daemon.process.pid}/task/{gw.daemon.process.pid}/children")
    return max(int(line.split()[1]) << 10 for child in children.read_text().split()
               for line in Path(f"/proc/{child}/status").read_text().splitlines()
               if line.startswith("VmHWM:"))


@measures_memory
@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
def test_big_messages_are_streamed(published, framing):
    """SendMail with 50 MB, and an attachment of the same size back, and memory does not grow."""
    big = os.urandom(MEGABYTE) * 50
    gw, backend = published(body=big, processes=1)
    ask(gw, path=plain("ItemOperations"))
    before = resident(gw)
    headers = [("Content-Type", "message/rfc822")]
    if framing == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
    answer = gw.post(plain("SendMail"), big, "alice", PASSWORDS["alice"], headers)
    grown = resident(gw) - before
    print(f"{framing}: 50 MB each way, {before / MEGABYTE:.1f} MB of memory and "
          f"{grown / MEGABYTE:.2f} MB more")
    assert answer.status == 200 and answer.body == big
    assert backend.requests[-1].body == big
    assert grown < 4 * MEGABYTE


def test_an_upload_arrives_while_it_is_sent(gateway, domain, lab_dir):
    """Not only when it is complete; and the answer likewise."""
    heard = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                while stream.readline().strip():
                    pass
                while b"first" not in stream.readline():
                    pass
                heard.set()
        threading.Thread(target=serve, daemon=True).start()
        gw = gateway(f'<Location "{PATH}">\nRequire all granted\n'
                     f'ProxyPass "http://127.0.0.1:{listener.getsockname()[1]}{PATH}"\n'
                     "</Location>\n")
        gw.expect("AH02608", "AH01097")     # the client leaves in the middle
        with raw(gw) as sent:
            sent.sendall(f"POST {plain('SendMail')} HTTP/1.1\r\nHost: x\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n".encode())
            sent.sendall(b"%x\r\n%s\r\n" % (65536 + 6, b"x" * 65536 + b"first\n"))
            assert heard.wait(15)


def raw(gw) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", gw.port), timeout=15))


@pytest.mark.parametrize("lines", [(), ("Proxy100Continue Off",)], ids=["as it is", "Off"])
@pytest.mark.parametrize("size", [len(PING), 300_000])
def test_expect_100_continue(gateway, backends, lines, size):
    """The client is told to go on, and what it then sends arrives."""
    cas1 = backends("cas1")
    gw = gateway("\n".join(lines) + location(cas1.url + PATH, path=PATH))
    with raw(gw) as sent:
        sent.sendall((f"POST {plain('SendMail')} HTTP/1.1\r\nHost: mail.example.test\r\n"
                      f"Authorization: {basic('alice', PASSWORDS['alice'])}\r\n"
                      f"Content-Length: {size}\r\nExpect: 100-continue\r\nConnection: close\r\n"
                      "\r\n").encode())
        answer = sent.makefile("rb")
        assert answer.readline().startswith(b"HTTP/1.1 100 ")
        sent.sendall(b"x" * size)
        rest = answer.read()
    assert b"HTTP/1.1 200 OK" in rest and f'"body_length":{size},'.encode() in rest


@pytest.mark.parametrize("user,password", [(None, None), ("alice", "wrong")])
def test_expect_is_not_answered_before_the_credentials(gateway, backends, user, password):
    """A phone with a bad password need not upload its message first."""
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url + PATH, path=PATH))
    sent_by = f"Authorization: {basic(user, password)}\r\n" if user else ""
    with raw(gw) as sent:
        sent.sendall((f"POST {plain('SendMail')} HTTP/1.1\r\nHost: mail.example.test\r\n{sent_by}"
                      "Content-Length: 50000000\r\nExpect: 100-continue\r\n\r\n").encode())
        assert sent.makefile("rb").readline().startswith(b"HTTP/1.1 401 ")
    assert cas1.requests() == []


# --- paths -----------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/Microsoft-Server-ActiveSync", "/microsoft-server-activesync",
                                  "/MICROSOFT-SERVER-ACTIVESYNC/default.eas"])
def test_path_in_any_letter_case(gateway, backends, path):
    """The README's LocationMatch: IIS does not tell cases apart, and httpd does."""
    gw = gateway(f"""
<LocationMatch "(?i)^{PATH}(/.*)?$">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    EasKcdDelegate On
    ProxyPassMatch "{backends("cas1").url}{PATH}$1"
</LocationMatch>
""")
    assert gw.request("OPTIONS", path).header("WWW-Authenticate") == CHALLENGE
    answer = gw.post(f"{path}?Cmd=Sync", b"x", "alice", PASSWORDS["alice"],
                     [("Content-Type", TYPE)])
    assert answer.json()["uri"] == PATH + path[len(PATH):] + "?Cmd=Sync"


# --- what httpd -t says of a Ping ------------------------------------------------------------

TARGET = "http://cas1.corp.example.test:8000/Microsoft-Server-ActiveSync"
SECTION = '<Location "{}">\nProxyPass "{}" {}\n{}\n</Location>\n'
BALANCER = '<Proxy "balancer://cas">\n' \
    'BalancerMember "http://cas1.corp.example.test" timeout=3600\n' \
    'BalancerMember "http://cas2.corp.example.test" {}\n</Proxy>\n'
OFF = "EasKcdParseEas Off"

WARNED = {
    "as it is": (SECTION.format(PATH, TARGET, "", ""), None),
    "Timeout and the worker do not count": (
        "Timeout 5\nProxyTimeout 5\n" + SECTION.format(PATH, TARGET, "timeout=5", ""), None),
    "short Ping": (SECTION.format(PATH, TARGET, "", "EasKcdCommandTimeout Ping 900s"),
                   "EasKcdCommandTimeout Ping 900s"),
    "short Sync": ("EasKcdCommandTimeout Sync 1m\n" + SECTION.format(PATH, TARGET, "", ""),
                   "EasKcdCommandTimeout Sync 60s"),
    "other commands": (SECTION.format(PATH, TARGET, "", "EasKcdCommandTimeout * 1s"), None),
    "other paths": (SECTION.format("/owa", TARGET, "", "EasKcdCommandTimeout Ping 900s"), None),
    "read elsewhere": (SECTION.format("/mail", TARGET, "",
                                      "EasKcdParseEas On\nEasKcdCommandTimeout Ping 9s"),
                       "EasKcdCommandTimeout Ping 9s"),
    "any letter case": (f'<LocationMatch "(?i)^{PATH}">\nProxyPassMatch "{TARGET}"\n{OFF}\n'
                        "</LocationMatch>\n", "silent for 60 s"),
    "off, Timeout": ("Timeout 77\n" + SECTION.format(PATH, TARGET, "", OFF), "silent for 77 s"),
    "off, ProxyTimeout": ("ProxyTimeout 78\n" + SECTION.format(PATH, TARGET, "", OFF),
                          "silent for 78 s"),
    "off, worker": ("Timeout 3600\n" + SECTION.format(PATH, TARGET, "timeout=79", OFF),
                    "silent for 79 s"),
    "off, worker long": (SECTION.format(PATH, TARGET, "timeout=3600", OFF), None),
    "off, Timeout long": ("Timeout 3600\n" + SECTION.format(PATH, TARGET, "", OFF), None),
    "off, balancer": (BALANCER.format("timeout=80")
                      + SECTION.format(PATH, "balancer://cas", "", OFF), "silent for 80 s"),
    "off, balancer long": (BALANCER.format("timeout=3600")
                           + SECTION.format(PATH, "balancer://cas", "", OFF), None),
    "off, outside of sections": (f'{OFF}\nProxyPass "{PATH}" "{TARGET}" timeout=81\n',
                                 "silent for 81 s"),
    "off, everything": (f'{OFF}\nProxyPass "/" "http://cas1.corp.example.test/" timeout=82\n',
                        "silent for 82 s"),
    "off, by a pattern": (f'{OFF}\nProxyPassMatch "(?i)^/(owa|microsoft-server-activesync)(/.*)?$" '
                          '"http://cas1.corp.example.test/$1$2" timeout=83\n', "silent for 83 s"),
    "off, in a section without ProxyPass": (
        f'ProxyPass "/" "http://cas1.corp.example.test/" timeout=84\n<Location "{PATH}">\n{OFF}\n'
        "</Location>\n", "silent for 84 s"),
    "off, elsewhere": (f'{OFF}\nProxyPass "/owa" "http://cas1.corp.example.test/owa" timeout=5\n',
                       None),
    "off, off again": (f'{OFF}\n' + SECTION.format(PATH, TARGET, "", "EasKcdParseEas auto"), None),
}


@pytest.mark.parametrize("what", WARNED)
def test_warnings(gateway, what):
    conf, warning = WARNED[what]
    code, said = gateway(conf, start=False).check_config()
    assert code == 0, said
    tags = [tag for tag in ("EAS3050", "EAS3051") if tag in said]
    assert (tags, warning) == ([], None) or (len(tags) == 1 and warning in said), said


def test_warnings_need_no_mod_proxy(gateway):
    modules = [name for name in MODULES if not name.startswith(("proxy", "lbmethod"))]
    code, said = gateway(f'<Location "{PATH}">\n{OFF}\n</Location>', modules=modules,
                         start=False).check_config()
    assert code == 0 and "EAS305" not in said
