# SPDX-License-Identifier: Apache-2.0
"""Backends that cannot be reached, or refuse what any server of theirs would: the answer and the
line of the log name the cause."""

import pytest

from lab.ad import CAS1, PASSWORDS, REALM
from lab.client import assert_unavailable
from lab.exchange import location, trusting
from lab.fake_backend import response
from lab.simulated import PerRequest
from lab.tls import Authority
from lab.unique import unique_number

CAS = "cas1.corp.example.test"


@pytest.fixture
def certificates(authority, lab_dir):
    """How the backend's certificate is wrong: the certificate, and the log's words."""
    return {
        "name": (lambda: authority.certificate("cas9.corp.example.test"),
                 "it is not for this name, but for cas9.corp.example.test"),
        "issuer": (lambda: Authority(lab_dir / f"strangers-ca-{unique_number()}").certificate(CAS), "its issuer is CN=lab CA"),
        "expired": (lambda: authority.expired(CAS), "certificate has expired; it ended at "),
    }


@pytest.mark.parametrize("user", ["alice", None])
@pytest.mark.parametrize("what", ["name", "issuer", "expired"])
def test_refused_certificate(gateway, fake_backends, authority, certificates, what, user):
    make, words = certificates[what]
    backend = fake_backends(lambda _: response("200 OK"), tls=make())
    gw = gateway(trusting(authority) + location(backend.url, require="Require all granted"))
    gw.expect("EAS2088")
    gw.allow("AH01084", "AH01097", "AH00898", "AH02039", because="mod_proxy and mod_ssl complain, too")
    answer = gw.get("/eas", user, PASSWORDS.get(user))
    assert answer.status == 502 and b"SSL" not in answer.body and CAS.encode() not in answer.body
    line, = [entry for entry in gw.error_log.entries() if entry.tag == "EAS2088"]
    assert line.level == "error" and words in line.text
    assert gw.logged("/eas")["EAS_KCD_ERROR"] == "EAS2088"
    assert backend.requests == []


def test_backend_without_tls(gateway, fake_backends, authority):
    backend = fake_backends(lambda _: response("200 OK"), greeting=response("400 Bad Request"))
    gw = gateway(trusting(authority) + location(backend.url.replace("http:", "https:")))
    gw.expect("EAS2089")
    gw.allow("AH01084", "AH01097", "AH00898", because="mod_proxy and mod_ssl complain, too")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 502
    # Its parser finds a request in the handshake.
    assert [request for request in backend.requests if "/eas" in request.line] == []


@pytest.mark.parametrize("user", ["alice", None])
def test_unknown_name(gateway, user):
    gw = gateway(location("http://nowhere.invalid", f"EasKcdSPN {CAS1}",
                          require="Require all granted"))
    gw.expect("EAS2087", "AH00898")
    answer = gw.get("/eas", user, PASSWORDS.get(user))
    assert_unavailable(answer)
    assert b"nowhere" not in answer.body
    assert "no address of the backend nowhere.invalid" in gw.error_log.text()


def test_header_is_too_long_for_the_backend(gateway, fake_backends):
    backend = fake_backends(lambda _: response("431 Request Header Fields Too Large"), proves=False)
    gw = gateway(location(backend.url))
    gw.expect("EAS2090")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 431
    line, = [entry for entry in gw.error_log.entries() if entry.tag == "EAS2090"]
    assert line.level == "error"
    header = len(backend.requests[0].authorization)
    assert f"a request whose Authorization header has {header} bytes" in line.text
    assert line.text.endswith(f" (user alice@{REALM}, service {CAS1})")
    assert "MaxFieldLength" in line.text and "LimitRequestFieldSize" in line.text


def test_other_errors_are_not_taken_for_that(gateway, fake_backends):
    backend = fake_backends(lambda _: response("400 Bad Request"), proves=False)
    gw = gateway(location(backend.url))
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 400
    assert "EAS2090" not in gw.error_log.tags()


def test_address_of_ipv6_with_a_name_for_kerberos(gateway, fake_backends, acceptor):
    backend = fake_backends(PerRequest(acceptor), address="::1")
    gw = gateway(location(f"http://[::1]:{backend.port}", f"EasKcdSPN {CAS1}"))
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.status == 200 and answer.json()["remote_user"] == f"alice@{REALM}"


def test_address_of_ipv6_without_one(gateway, fake_backends, acceptor):
    backend = fake_backends(PerRequest(acceptor), address="::1")
    gw = gateway(location(f"http://[::1]:{backend.port}"))
    gw.expect("EAS2001")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert backend.requests == []
