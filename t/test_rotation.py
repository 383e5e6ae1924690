# SPDX-License-Identifier: Apache-2.0
"""New keys in the keytab, which is root's alone, without a reload."""

import subprocess

import pytest

from lab.ad import CAS1, PASSWORDS, REALM
from lab.exchange import location
from lab.frontdoor import Visitor
from lab.unique import unique_number, unique_path
from lab.wait import until

WAIT = 60           # httpd's parent looks every ten seconds


@pytest.fixture
def account(domain):
    name = f"turning{unique_number()}"
    domain.add_gateway(name, f"HTTP/{name}.corp.example.test")
    domain.allow_delegation(name, [CAS1])
    return name


@pytest.fixture
def turning(gateway, backends, account):
    """A gateway whose processes may not read its keytab, and which remembers no passwords."""
    gw = gateway("EasKcdPasswordCache off\n" + location(backends("cas1").url), account=account)
    gw.keytab.chmod(0o600)
    assert gw.keytab.stat().st_uid == 0
    return gw


def served(gw, user="alice"):
    path = unique_path("/eas")
    answer = gw.get(path, user, PASSWORDS[user])
    assert answer.status == 200, gw.logged(path)
    assert answer.json()["remote_user"] == f"{user}@{REALM}"


def lines(gw, tag):
    return [entry for entry in gw.error_log.entries() if entry.tag == tag]


def await_line(gw, tag, count=1):
    until(lambda: len(lines(gw, tag)) >= count, WAIT, f"{tag} in the log")
    return lines(gw, tag)[-1].text


def add_future_key(path, account, kvno, password):
    """The key that a password will have (ktutil, or ktpass /in on Windows)."""
    for enctype in ("aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96"):
        subprocess.run(["ktutil"], check=True, text=True, stdout=subprocess.DEVNULL, input=(
            f"addent -password -p {account}@{REALM} -k {kvno} -e {enctype}\n{password}\n"
            f"wkt {path}\n"))


@pytest.mark.smoke
def test_rotation(turning, domain, account):
    """The password is changed, then the file gets the new key beside the old one. Sessions from
    before go on, and log-ons are served again, by the same processes."""
    visitor = Visitor(turning)
    assert visitor.log_on("bob", PASSWORDS["bob"]).status == 303
    assert visitor.get(unique_path("/eas")).status == 200
    children = turning.children()
    domain.rotate_key(account)
    turning.expect("EAS1043")
    assert turning.get("/eas/x", "carol", PASSWORDS["carol"]).status == 503
    domain.export_keytab(turning.keytab, [account])
    turning.keytab.chmod(0o600)
    assert "kvno" in await_line(turning, "EAS1325")
    served(turning, "carol")
    served(turning)
    assert visitor.get(unique_path("/eas")).json()["remote_user"] == f"bob@{REALM}"
    assert turning.children() == children
    assert len(lines(turning, "EAS1325")) == 1


def test_keytab_after_a_refused_log_on(gateway, backends, domain, account):
    """A refusal of the gateway's own log-on is remembered for as long as the keys are the same."""
    gw = gateway("EasKcdPasswordCache off\n" + location(backends("cas1").url), account=account,
                 processes=1)
    domain.rotate_key(account)
    gw.expect("EAS1043")
    assert gw.get("/eas/x", "carol", PASSWORDS["carol"]).status == 503
    domain.export_keytab(gw.keytab, [account])
    await_line(gw, "EAS1325")
    served(gw, "carol")


def test_tickets_from_before(gateway, backends, domain, account):
    """This KDC has forgotten the old key, and delegates by no ticket with it: one request of the
    process is 503, then a phone's password is verified again, and a browser gets the form."""
    url = backends("cas1").url
    gw = gateway(location(url) + location(url, "EasKcdDelegate Off\nRedirect 204 /stay",
                                          path="/stay"), account=account, processes=1)
    visitor = Visitor(gw)
    assert visitor.log_on("bob", PASSWORDS["bob"]).status == 303
    assert gw.get("/stay", "alice", PASSWORDS["alice"]).status == 204
    domain.rotate_key(account)
    domain.export_keytab(gw.keytab, [account])
    await_line(gw, "EAS1325")
    gw.expect("EAS1328")
    answer = gw.get("/eas/x", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.header("Retry-After")) == (503, "30")
    assert gw.logged("/eas/x")["EAS_KCD_ERROR"] == "EAS1328"
    served(gw)
    assert visitor.get("/eas/y").status in (302, 440)
    assert visitor.log_on("bob", PASSWORDS["bob"]).status == 303
    assert visitor.get(unique_path("/eas")).json()["remote_user"] == f"bob@{REALM}"


def test_key_before_its_password(turning, domain, account):
    """The file has the new key before the account: nobody waits, also in processes that start
    meanwhile, and after the change."""
    served(turning)
    add_future_key(turning.keytab, account, 2, "Next-password-1")
    await_line(turning, "EAS1325")
    served(turning)
    turning.graceful()
    served(turning, "carol")
    domain.set_password(account, "Next-password-1")
    served(turning)
    served(turning, "carol")
    turning.graceful()
    served(turning)


def test_file_of_another_account(turning, domain):
    turning.expect("EAS1327")
    other = domain.export_keytab(turning.keytab.with_suffix(".other"), ["gateway"])
    turning.keytab.write_bytes(other.read_bytes())
    assert "under the same name" in await_line(turning, "EAS1327")
    served(turning)


def test_broken_file(turning, domain, account):
    """The keys stay in use, the log has one line, and a good file is taken again."""
    good = turning.keytab.read_bytes()
    turning.expect("EAS1324")
    for number, broken in enumerate((good[:-7], b"garbage"), 1):
        turning.keytab.write_bytes(broken)
        assert "stay in use" in await_line(turning, "EAS1324", number)
        served(turning)
    domain.export_keytab(turning.keytab.with_suffix(".new"), [account])
    turning.keytab.with_suffix(".new").chmod(0o644)
    turning.keytab.with_suffix(".new").rename(turning.keytab)
    assert "chmod 600" in await_line(turning, "EAS1324", 3)
    turning.keytab.chmod(0o600)
    await_line(turning, "EAS1325")
    served(turning)
    assert len(lines(turning, "EAS1324")) == 3
