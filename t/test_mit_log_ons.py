# SPDX-License-Identifier: Apache-2.0
"""Log-ons at a KDC of MIT Kerberos, by the mechanisms that it has and Samba's has not."""

import pytest

from lab.exchange import UNGUARDED
from lab.keys import Keys
from lab.mit import Mit
from lab.unique import unique_path

REALM = "MIT.EXAMPLE.TEST"
PASSWORD = "Of-all-accounts-1"

LOCATION = """
<Location "/known">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    ProxyPass "{url}"
</Location>
"""


@pytest.fixture(scope="module", params=[False, True], ids=["challenge or timestamp", "SPAKE"])
def realm(request, lab_dir):
    mit = Mit(lab_dir / f"mit-log-ons-{request.param}", REALM, spake=request.param).create()
    for name in ("gateway", "HTTP/gateway.corp.example.test"):
        mit.kadmin(f"addprinc -randkey {name}")
    mit.add("alice", PASSWORD)
    mit.add("rc4", PASSWORD, "-e arcfour-hmac:normal")
    mit.add("sha2", PASSWORD, "-e aes256-sha2:normal")
    mit.add("expired", PASSWORD, "-expire yesterday")
    mit.add("change", PASSWORD, "+needchange")
    mit.add("bare", PASSWORD)
    mit.kadmin("modprinc -requires_preauth bare")
    mit.export_keytab(mit.path / "gateway.keytab", ["gateway", "HTTP/gateway.corp.example.test"])
    mit.spake = request.param
    yield mit.start()
    mit.close()


@pytest.fixture
def keys(lab_dir):
    return Keys(lab_dir)


@pytest.fixture
def start(gateway, realm, ok_backend, keys, lab_dir):
    """start(mode): a gateway, and the file of its libkrb5's trace."""
    def make(mode):
        trace = keys.path("trace")
        gw = gateway(f'EasKcdKeytab "{realm.path}/gateway.keytab"\nEasKcdArmor {mode}\n{UNGUARDED}'
                     + LOCATION.format(url=ok_backend.url), account=None, processes=1,
                     krb5_conf=realm.krb5_conf, env=keys.env | {"KRB5_TRACE": str(trace)})
        return gw, trace
    return make


def assert_refused(gw, user, password, tag, backend):
    path = unique_path("/known")
    assert gw.get(path, user, password).status == 401
    assert gw.logged(path)["EAS_KCD_ERROR"] == tag
    assert backend.requests == []


@pytest.mark.parametrize("mode", ["Off", "Try"])
@pytest.mark.parametrize("user, made_by_libkrb5", [
    ("alice", False), ("rc4", True), ("sha2", True), ("bare", True)])
def test_password(start, realm, keys, ok_backend, mode, user, made_by_libkrb5):
    """A wrong one is one failure at the KDC."""
    gw, trace = start(mode)
    before = realm.failures(user)
    assert_refused(gw, user, "wrong", "EAS1030", ok_backend)
    assert realm.failures(user) == before + (user != "bare")
    assert gw.get("/known", user, PASSWORD).status == 200
    assert (keys.number() > 0) == made_by_libkrb5
    assert ("SPAKE" in trace.read_text()) == (realm.spake and user != "bare")


@pytest.mark.parametrize("mode", ["Off", "Try"])
@pytest.mark.parametrize("user, tag", [("expired", "EAS1032"), ("nobody", "EAS1031"),
                                       ("change", "EAS1033")])
def test_account(start, ok_backend, mode, user, tag):
    gw, _ = start(mode)
    assert_refused(gw, user, PASSWORD, tag, ok_backend)
