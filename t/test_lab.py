# SPDX-License-Identifier: Apache-2.0
"""The lab itself, without the module: what the other tests take for granted."""

import hashlib
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable

import gssapi
import pytest

from lab.ad import CAS1, CAS3, PASSWORDS, REALM, Domain
from lab.backend import GssBackend
from lab.between import Between
from lab.client import Client, basic, get
from lab.errorlog import ErrorLog
from lab.fake_backend import FakeBackend, Request, always_401, response
from lab.httpd import Httpd
from lab.kerberos import (KRB5, Acceptor, authorization, from_ccache, initiate, kinit, login,
                          token_of)
from lab.relay import Relay
from lab.simulated import Bound, FirstUser, Keeper, PerRequest
from lab.tls import Authority
from lab.wait import answers, until

GATEWAY_SPN = "HTTP/gateway.corp.example.test"


# --- the domain ------------------------------------------------------------------------------

@pytest.mark.parametrize("user, password, says", [
    ("alice", None, ""),
    ("bob", None, ""),
    ("sandra", None, ""),
    ("alice", "wrong", "Password incorrect"),
    ("dirk", None, "Client's credentials have been revoked"),
    ("dirk", "wrong", "Password incorrect"),
    ("ernst", "wrong", "Password incorrect"),
    ("ernst", None, "Client's credentials have been revoked"),
    ("mike", "wrong", "Password incorrect"),
    ("nobody", "any", "not found in Kerberos database"),
    (GATEWAY_SPN, "any", "not found in Kerberos database"),
])
def test_password(domain: Domain, tmp_path: Path, user: str, password: str | None,
                  says: str) -> None:
    if user in ("dirk", "ernst") and domain.checks_account_first:
        says = "Client's credentials have been revoked"
    done = kinit(domain.krb5_conf, tmp_path / "cc", user, password or PASSWORDS[user])
    assert says in done.stderr
    assert (done.returncode == 0) is (says == "")


def test_upn_is_an_enterprise_name(domain: Domain, tmp_path: Path) -> None:
    ccache = tmp_path / "cc"
    done = kinit(domain.krb5_conf, ccache, "bob.builder@mail.example.test", PASSWORDS["bob"], None,
                 "-E", "-C")
    assert done.returncode == 0, done.stderr
    assert str(from_ccache(ccache).name) == f"bob@{REALM}"


def test_lockout(domain: Domain, tmp_path: Path) -> None:
    domain.add_user("lotte", "Right-1")
    domain.lockout_policy(threshold=2)
    try:
        for bad in (1, 2):
            kinit(domain.krb5_conf, tmp_path / "cc", "lotte", "wrong")
            assert domain.bad_pwd_count("lotte") == bad
        assert domain.is_locked("lotte")
        done = kinit(domain.krb5_conf, tmp_path / "cc", "lotte", "Right-1")
        assert "revoked" in done.stderr
        domain.unlock("lotte")
        assert kinit(domain.krb5_conf, tmp_path / "cc", "lotte", "Right-1").returncode == 0
    finally:
        domain.lockout_policy(0)


def test_rotated_keys_are_added_to_a_keytab(domain: Domain, tmp_path: Path) -> None:
    domain.add_service("rotor", "HTTP/rotor.corp.example.test")
    keytab = domain.export_keytab(tmp_path / "keytab", ["rotor"])
    domain.rotate_key("rotor")
    assert kinit(domain.krb5_conf, tmp_path / "cc", "rotor", keytab=keytab).returncode != 0
    domain.export_keytab(keytab, ["rotor"])
    assert kinit(domain.krb5_conf, tmp_path / "cc", "rotor", keytab=keytab).returncode == 0


def test_kdc_stops_and_starts(domain: Domain, tmp_path: Path) -> None:
    domain.stop()
    try:
        done = kinit(domain.krb5_conf, tmp_path / "cc", "alice", PASSWORDS["alice"])
        assert "Cannot contact any KDC" in done.stderr
    finally:
        domain.start()
    assert kinit(domain.krb5_conf, tmp_path / "cc", "alice", PASSWORDS["alice"]).returncode == 0


def test_rogue_domain_has_other_keys(domain: Domain, rogue_domain: Domain,
                                     tmp_path: Path) -> None:
    """It knows an alice, and its ticket for the gateway is worth nothing at the gateway."""
    ccache = tmp_path / "cc"
    assert kinit(rogue_domain.krb5_conf, ccache, "alice", "Attackers-choice-1").returncode == 0
    keytab = domain.export_keytab(tmp_path / "keytab", [GATEWAY_SPN])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", str(rogue_domain.krb5_conf))
        token = authorization(initiate(from_ccache(ccache), GATEWAY_SPN))
    with pytest.raises(gssapi.exceptions.GSSError):
        Acceptor(keytab).accept(token)


# --- constrained delegation ------------------------------------------------------------------

def evidence(domain: Domain, path: Path, user: str, gateway: str = "gateway",
             ) -> gssapi.Credentials:
    """The credentials that the gateway holds after *user* has sent a password."""
    spn = f"HTTP/{gateway}.corp.example.test"
    keytab = domain.export_keytab(path / "gateway.keytab", [gateway, spn])
    assert kinit(domain.krb5_conf, path / "user", user, PASSWORDS[user]).returncode == 0
    assert kinit(domain.krb5_conf, path / "own", gateway, keytab=keytab).returncode == 0
    context = initiate(from_ccache(path / "user"), spn)
    acceptor = gssapi.SecurityContext(creds=from_ccache(path / "own", keytab), usage="accept")
    acceptor.step(context.step())
    return acceptor.delegated_creds


def test_s4u2proxy_with_the_password_as_evidence(
        domain: Domain, tmp_path: Path, backends: Callable[..., GssBackend]) -> None:
    """With "Use Kerberos only": delegated, and the backend sees the user."""
    backend = backends("cas1")
    token = authorization(initiate(evidence(domain, tmp_path, "alice"), CAS1, mech=KRB5))
    answer = get(backend.port, "/", headers=[("Authorization", token)])
    assert answer.json()["remote_user"] == f"alice@{REALM}"


@pytest.mark.parametrize("user, spn", [("alice", CAS3), ("sandra", CAS1)])
def test_s4u2proxy_is_refused(domain: Domain, tmp_path: Path, user: str, spn: str) -> None:
    with pytest.raises(gssapi.exceptions.GSSError):
        initiate(evidence(domain, tmp_path, user), spn, mech=KRB5).step()


@pytest.mark.parametrize("gateway, works", [("gateway", False), ("gateway2", True)])
def test_protocol_transition(domain: Domain, tmp_path: Path, gateway: str, works: bool) -> None:
    """S4U2Self then S4U2Proxy by kvno: the evidence of one who never typed a password."""
    keytab = domain.export_keytab(tmp_path / "keytab",
                                  [gateway, f"HTTP/{gateway}.corp.example.test"])
    kinit(domain.krb5_conf, tmp_path / "cc", gateway, keytab=keytab)
    done = subprocess.run(["kvno", "-c", tmp_path / "cc", "-k", keytab, "-U", "alice", "-P", CAS1],
                          env=os.environ, capture_output=True, text=True)
    assert (done.returncode == 0) is works, done.stderr


def test_delegation_can_be_allowed_and_revoked(domain: Domain, tmp_path: Path) -> None:
    domain.add_gateway("portal", "HTTP/portal.corp.example.test")
    domain.allow_delegation("portal", [CAS3])
    initiate(evidence(domain, tmp_path, "alice", "portal"), CAS3, mech=KRB5).step()
    domain.revoke_delegation("portal")
    with pytest.raises(gssapi.exceptions.GSSError):
        initiate(evidence(domain, tmp_path, "alice", "portal"), CAS3, mech=KRB5).step()


# --- the backends ----------------------------------------------------------------------------

def test_backend_echoes(domain: Domain, backends: Callable[..., GssBackend]) -> None:
    backend = backends("cas1")
    token = authorization(initiate(login("alice", PASSWORDS["alice"]), CAS1))
    body = os.urandom(1 << 20)
    with Client(backend.port) as client:
        answer = client.post("/mail?x=1&pad=10", body,
                             headers=[("Authorization", token), ("X-Odd", 'a "b"\\c\xe9')])
        seen = answer.json()
        again = client.get("/open/sesame").json()
    assert (seen["method"], seen["uri"]) == ("POST", "/mail?x=1&pad=10")
    assert seen["remote_user"] == f"alice@{REALM}"
    assert ["Authorization", token] in seen["headers"]
    assert ["X-Odd", 'a "b"\\c\xe9'] in seen["headers"]
    assert (seen["body_length"], seen["pad"]) == (len(body), "x" * 10)
    assert seen["body_sha1"] == hashlib.sha1(body).hexdigest()
    assert (again["connection"], again["remote_user"]) == (seen["connection"], None)
    until(lambda: len(backend.requests()) == 2, 5, "the access log")
    assert [(r["user"], r["uri"], r["status"]) for r in backend.requests()] == [
        (f"alice@{REALM}", "/mail?x=1&pad=10", "200"), ("-", "/open/sesame", "200")]
    assert {r["port"] for r in backend.requests()} == {str(seen["connection"])}


@pytest.mark.parametrize("tls", [False, True])
def test_backend_authenticates_the_connection_if_asked_to(
        domain: Domain, authority: Authority, backends: Callable[..., GssBackend],
        tls: bool) -> None:
    token = authorization(initiate(login("alice", PASSWORDS["alice"]), CAS1))
    for bound, status in ((False, 401), (True, 200)):
        backend = backends("cas1", tls=tls, connection_bound=bound)
        with Client(backend.port, tls, authority.ca_file, host=backend.host) as client:
            assert client.get("/", headers=[("Authorization", token)]).status == 200
            assert client.get("/").status == status
        token = authorization(initiate(login("alice", PASSWORDS["alice"]), CAS1))


def test_backend_answers_as_the_query_says(backends: Callable[..., GssBackend]) -> None:
    backend = backends("cas2")
    began = time.monotonic()
    assert get(backend.port, "/open/?status=503&sleep=0.2").status == 503
    assert time.monotonic() - began >= 0.2
    assert get(backend.port, "/").header("WWW-Authenticate") == "Negotiate"


@pytest.mark.parametrize("tls", [False, True])
def test_fake_backend(domain: Domain, tmp_path: Path, authority: Authority,
                      fake_backends: Callable[..., FakeBackend], tls: bool) -> None:
    """A scripted acceptor: proves itself, sees repeated headers, then gets nasty."""
    acceptor = Acceptor(domain.export_keytab(tmp_path / "keytab", [CAS1]))

    def accept(request: Request) -> bytes:
        accepted = acceptor.accept(request.authorization)
        return response("200 OK", [("WWW-Authenticate", accepted.www_authenticate)],
                        accepted.user.encode())

    backend = fake_backends(accept, "cas1", tls=tls, proves=False)
    context = initiate(login("carol", PASSWORDS["carol"]), CAS1)
    with Client(backend.port, tls, authority.ca_file, host=backend.host) as client:
        answer = client.get("/", headers=[("Authorization", authorization(context)),
                                          ("X-Twice", "1"), ("X-Twice", "2")])
        context.step(token_of(answer.header("WWW-Authenticate")))
        backend.script = always_401
        refused = client.request("POST", "/", body=b"hello",
                                 headers=[("Transfer-Encoding", "chunked")])
    assert context.complete
    assert answer.body.decode() == f"carol@{REALM}"
    assert backend.requests[0].all("x-twice") == ["1", "2"]
    assert (refused.status, backend.requests[1].body) == (401, b"hello")
    assert [request.connection for request in backend.requests] == [1, 1]


@pytest.mark.parametrize("told, accepted", [(b"", True), (b"other", False)])
def test_channel_binding(domain: Domain, tmp_path: Path, authority: Authority, told: bytes,
                         accepted: bool) -> None:
    acceptor = Acceptor(domain.export_keytab(tmp_path / "keytab", [CAS1]))
    binding = authority.certificate("cas1.corp.example.test").channel_binding()
    token = authorization(initiate(login("alice", PASSWORDS["alice"]), CAS1, binding))
    if accepted:
        assert acceptor.accept(token, binding + told).bound
    else:
        with pytest.raises(gssapi.exceptions.GSSError, match="bindings"):
            acceptor.accept(token, binding + told)


@pytest.mark.parametrize("kind, statuses, users", [
    (PerRequest, [401, 200, 200, 401], ["alice", "bob"]),
    (FirstUser, [200, 200, 200, 200], [None, "alice", "alice", "alice"]),
])
def test_simulated_backends(keeper: Keeper, fake_backends: Callable[..., FakeBackend],
                            kind: type[Keeper], statuses: list[int],
                            users: list[str | None]) -> None:
    """No user, alice, bob and no user again on one connection."""
    script = kind(keeper.acceptor)
    backend = fake_backends(script, proves=False)
    with Client(backend.port) as client:
        seen = [client.get("/", headers=[("Authorization", authorization(initiate(
            login(user, PASSWORDS[user]), CAS1)))] if user else [])
                for user in (None, "alice", "bob", None)]
    assert [answer.status for answer in seen] == statuses
    assert [answer.json()["remote_user"] for answer in seen if answer.status == 200] == [
        user and f"{user}@{REALM}" for user in users]
    assert backend.connections == 1


def test_bound_tokens_are_demanded(keeper: Keeper, fake_backends: Callable[..., FakeBackend],
                                   authority: Authority) -> None:
    """Right, missing and wrong; and what is right toward the one in between is wrong behind."""
    script = Bound(keeper.acceptor)
    backend = fake_backends(script, tls=True, proves=False)
    between = Between(backend, authority.certificate(backend.host, number=2)).start()
    right = authority.certificate(backend.host).channel_binding()
    other = authority.certificate(backend.host, number=2).channel_binding()
    assert right != other
    try:
        for port, binding, status in ((backend.port, right, 200), (backend.port, None, 401),
                                      (backend.port, other, 401), (between.port, other, 401)):
            token = authorization(initiate(login("alice", PASSWORDS["alice"]), CAS1, binding))
            assert get(port, "/", headers=[("Authorization", token)], tls=True).status == status
    finally:
        between.stop()
    assert script.seen == {"accepted": 2, "unbound": 1, "refused": 2}


def test_answers_before_their_time(fake_backends: Callable[..., FakeBackend]) -> None:
    early = fake_backends(lambda _: b"", early=lambda _: response("413 Content Too Large"))
    with socket.create_connection(("127.0.0.1", early.port), 5) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 413")
    greeting = fake_backends(lambda _: b"", greeting=b"HTTP/1.1 200 OK\r\n\r\n")
    with socket.create_connection(("127.0.0.1", greeting.port), 5) as client:
        assert client.recv(1000) == b"HTTP/1.1 200 OK\r\n\r\n"
    greeting.stop()
    assert not answers(greeting.port)
    greeting.resume()
    assert answers(greeting.port)


# --- the relay -------------------------------------------------------------------------------

def test_relay_counts(relay: Relay, domain: Domain, tmp_path: Path) -> None:
    ccache = tmp_path / "cc"
    kinit(relay.krb5_conf, ccache, "alice", "wrong")
    assert relay.counts["AS-REQ/timestamp"] == 1
    assert relay.counts["KRB-ERROR/25"] == 1     # pre-authentication required
    assert relay.counts["KRB-ERROR/24"] == 1     # pre-authentication failed
    relay.reset()
    kinit(relay.krb5_conf, ccache, "alice", PASSWORDS["alice"])
    subprocess.run(["kvno", "-c", ccache, CAS1], check=True, capture_output=True,
                   env=os.environ | {"KRB5_CONFIG": str(relay.krb5_conf)})
    assert relay.counts == {"AS-REQ": 2, "AS-REQ/timestamp": 1, "KRB-ERROR": 1,
                            "KRB-ERROR/25": 1, "AS-REP": 1, "TGS-REQ": 1, "TGS-REP": 1}
    assert [m.service for m in relay.messages if m.kind == "TGS-REQ"] == [CAS1]
    assert {m.client for m in relay.messages if m.kind == "AS-REQ"} == {"alice"}


def test_relay_speaks_udp(relay: Relay, domain: Domain, tmp_path: Path) -> None:
    krb5_conf = domain.write_krb5_conf(tmp_path / "udp.conf", relay.port,
                                       "udp_preference_limit = 1465")
    assert kinit(krb5_conf, tmp_path / "cc", "alice", PASSWORDS["alice"]).returncode == 0
    assert relay.counts["AS-REP"] == 1


def test_relay_misbehaves_and_recovers(relay: Relay, domain: Domain, tmp_path: Path) -> None:
    def attempt() -> bool:
        return kinit(relay.krb5_conf, tmp_path / "cc", "alice", PASSWORDS["alice"]).returncode == 0

    relay.refuse()
    assert not attempt()
    assert relay.counts == {}
    relay.delay(0.2)
    began = time.monotonic()
    assert attempt()
    assert time.monotonic() - began >= 0.4
    relay.relay()
    assert attempt()


def test_relay_swallows(relay: Relay, domain: Domain, tmp_path: Path) -> None:
    relay.blackhole()
    kinit_process = subprocess.Popen(
        ["kinit", "-c", tmp_path / "cc", "alice"], stdin=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL, env=os.environ | {"KRB5_CONFIG": str(relay.krb5_conf)})
    try:
        until(lambda: relay.counts["AS-REQ"], 5, "kinit to ask")
        assert kinit_process.poll() is None
    finally:
        kinit_process.kill()
        kinit_process.communicate()


# --- httpd and its log -----------------------------------------------------------------------

def server(path: Path, conf: str = "", **options: object) -> Httpd:
    return Httpd(path, f"DocumentRoot {path}\nAlias /hello {path}/httpd.pid\n"
                       f"<Directory {path}>\nRequire all granted\n</Directory>\n{conf}", **options)


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_httpd_starts_restarts_and_stops(lab_dir: Path, authority: Authority, mpm: str) -> None:
    httpd = server(lab_dir / f"plain-{mpm}", mpm=mpm,
                   tls=authority.certificate("localhost"))
    assert httpd.check_config() == (0, "Syntax OK\n")
    httpd.start()
    try:
        httpd.graceful()
        assert get(httpd.port, "/hello", tls=True).status == 200
        until(httpd.requests, 5, "the access log")
        httpd.mark()
        assert get(httpd.port, "/nothing", tls=True).status == 404
        until(httpd.requests, 5, "the access log")
    finally:
        assert httpd.stop() == 0
    assert [(r["uri"], r["status"]) for r in httpd.requests()] == [("/nothing", "404")]
    httpd.error_log.assert_only_tags()


def test_httpd_refuses(lab_dir: Path) -> None:
    httpd = server(lab_dir / "refusing", "KeepAlive maybe")
    code, output = httpd.check_config()
    assert code != 0 and "KeepAlive" in output
    assert "KeepAlive" in httpd.refusal()


def test_httpd_clock_can_be_moved(lab_dir: Path) -> None:
    httpd = server(lab_dir / "clock", 'Header set X-Year "expr=%{TIME_YEAR}"', clock=True)
    httpd.start()
    try:
        this_year = time.gmtime().tm_year
        assert abs(int(get(httpd.port, "/hello").header("X-Year")) - this_year) <= 1
        httpd.set_clock("+3650d")
        year = int(get(httpd.port, "/hello").header("X-Year"))
        assert year - this_year in (9, 10)
    finally:
        httpd.stop()


def test_error_log_wants_names(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    path.write_text("[now] [eas_kcd:error] [pid 1:tid 2] EAS1999: before the mark\n")
    log = ErrorLog(path)
    log.mark()
    log.assert_only_tags()
    with path.open("a") as lines:
        lines.write("[now] [eas_kcd:info] [pid 1] EAS1001: fine\n"
                    "[now] [eas_kcd:warn] [pid 1] EAS1003: hm\n"
                    "[now] [proxy:warn] [pid 1] AH01111: never mind\n"
                    "[now] [proxy:error] [pid 1] AH01102: oh\n")
    assert log.tags() == ["EAS1001", "EAS1003"]
    log.assert_only_tags("EAS1003", "AH01102")
    for named in ("EAS1003", "AH01102"):
        with pytest.raises(AssertionError):
            log.assert_only_tags(named)
    with path.open("a") as lines:
        lines.write("EAS3053: advice, without time and level\n")
    log.assert_only_tags("EAS1003", "AH01102")
    with path.open("a") as lines:
        lines.write("[now] [eas_kcd:warn] [pid 1] EAS3091: while it runs\n")
    with pytest.raises(AssertionError, match="EAS3091"):
        log.assert_only_tags("EAS1003", "AH01102")
    with path.open("a") as lines:
        lines.write("[now] [core:notice] [pid 1] AH00052: child pid 7 exit signal Aborted (6)\n")
    with pytest.raises(AssertionError, match="exit signal"):
        log.assert_only_tags("EAS1003", "AH01102", "EAS3091", "AH00052")


def test_basic_header() -> None:
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
