# SPDX-License-Identifier: Apache-2.0
"""A front CAS that itself delegates to another: gateway, cas1 and cas2, our module in two of them.

cas1 accepts by mod_auth_gssapi and goes on by protocol transition: it knows the user's name and has
no evidence that it could pass on.
"""

import shutil

import pytest

from lab.activesync import FOLDER_SYNC, PATH, TYPE, plain
from lab.ad import CAS1, CAS2, PASSWORDS, REALM
from lab.client import Client
from lab.exchange import location
from lab.gateway import MODULES
from lab.httpd import USER
from lab.kerberos import authorization, initiate, kinit, from_ccache, token_of

FRONT = """
EasKcdKeytab "{keytab}"
<Location "{path}">
    AuthType GSSAPI
    AuthName "cas1"
    GssapiCredStore "keytab:{keytab}"
    Require valid-user
    EasKcdDelegate On
    EasKcdProtocolTransition On
    ProxyPass "{cas2}{path}"
</Location>
"""


@pytest.fixture
def hops(gateway, backends, domain, lab_dir):
    """(gateway, front CAS, backend); AD lets cas1's account do what it must."""
    domain.allow_delegation("backend1", [CAS2])
    domain.allow_protocol_transition("backend1")
    cas2 = backends("cas2")
    keytab = domain.export_keytab(lab_dir / "front-cas.keytab", ["backend1", CAS1])
    shutil.chown(keytab, USER)      # mod_auth_gssapi opens it in the children
    front = gateway(FRONT.format(keytab=keytab, cas2=cas2.url, path=PATH), account=None, tls=False,
                    modules=(*MODULES, "auth_gssapi"))
    outer = gateway(location(f"http://cas1.corp.example.test:{front.port}{PATH}", path=PATH))
    yield outer, front, cas2
    domain.revoke_delegation("backend1")
    domain.allow_protocol_transition("backend1", False)


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_user_arrives_at_the_second_backend(hops, user):
    outer, front, cas2 = hops
    answer = outer.post(plain("FolderSync", user), FOLDER_SYNC, user, PASSWORDS[user],
                        [("Content-Type", TYPE)])
    assert answer.status == 200
    seen = answer.json()
    assert seen["remote_user"] == f"{user}@{REALM}"
    assert seen["uri"] == plain("FolderSync", user)
    assert answer.header("WWW-Authenticate") is None
    entry = front.logged()
    assert (entry["user"], entry["EAS_KCD_AUTH"], entry["EAS_KCD_SPN"], entry["EAS_COMMAND"]) \
        == (f"{user}@{REALM}", "other", CAS2, "FolderSync")


def test_users_are_not_mixed(hops):
    outer, _, _ = hops
    with outer.client() as client:
        for user in ("alice", "bob", "carol", "alice"):
            answer = client.post(plain("Sync", user), b"", user, PASSWORDS[user])
            assert answer.json()["remote_user"] == f"{user}@{REALM}"


def test_front_proves_itself(hops, domain, lab_dir):
    """Its AP-REP goes to whom it has accepted, though cas2's own does not."""
    _, front, _ = hops
    ccache = lab_dir / "alice.ccache"
    assert kinit(domain.krb5_conf, ccache, f"alice@{REALM}", PASSWORDS["alice"]).returncode == 0
    context = initiate(from_ccache(ccache), f"{CAS1}@{REALM}")
    with Client(front.port, host="cas1.corp.example.test") as client:
        answer = client.post(plain("Sync"), b"",
                             headers=[("Authorization", authorization(context))])
    assert answer.status == 200
    context.step(token_of(answer.header("WWW-Authenticate")))
    assert context.complete


def test_no_user_at_the_front(hops):
    _, front, cas2 = hops
    assert front.post(plain("Sync"), b"").status == 401
    assert cas2.requests() == []


def test_without_the_right_in_ad(hops, domain):
    """The front's trouble stays one: a phone must not hear that it is the password's."""
    outer, front, cas2 = hops
    domain.allow_protocol_transition("backend1", False)
    front.expect("EAS2031")
    answer = outer.post(plain("Sync"), b"", "alice", PASSWORDS["alice"])
    assert answer.status == 503 and answer.header("Retry-After") == "30"
    assert cas2.requests() == []
