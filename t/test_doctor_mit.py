# SPDX-License-Identifier: Apache-2.0
"""eas-kcd-check at a KDC of MIT Kerberos, for refusals that Samba's KDC does not give."""

import pytest

from lab import doctor
from lab.mit import Mit

REALM = "DOCTOR.EXAMPLE.TEST"
SPN = "HTTP/cas1.doctor.example.test"
PASSWORD = "Of-all-accounts-1"
NO_RC4 = "[libdefaults]\n    permitted_enctypes = aes256-cts aes128-cts\n"


@pytest.fixture
def realm(lab_dir, request):
    """With the accounts of a delegation; its KDC is not started."""
    mit = Mit(lab_dir / f"mit-{request.node.name.split('[')[-1].strip(']')}", REALM, ldap=True)
    mit.create()
    mit.add("alice", PASSWORD)
    mit.add("gateway", PASSWORD, "+ok_to_auth_as_delegate")
    mit.add(SPN, PASSWORD)
    mit.allow_delegation("gateway", [SPN])
    yield mit
    mit.close()


def rc4_alone(mit, name, *options):
    """Its key; and RC4 is switched off at the KDC."""
    mit.kadmin(f"delprinc -force {name}")
    mit.add(name, PASSWORD, "-e arcfour-hmac:normal", *options)
    conf = mit.path / "kdc.conf"
    conf.write_text(NO_RC4 + conf.read_text())


def rc4_user(mit):
    """Without pre-authentication, the first answer is the refusal, as AD's is."""
    rc4_alone(mit, "alice")
    mit.kadmin("modprinc -requires_preauth alice")


def rc4_gateway(mit):
    rc4_alone(mit, "gateway", "+ok_to_auth_as_delegate")
    mit.allow_delegation("gateway", [SPN])


# A require_auth that no log-on of the lab fulfils is a policy, as AD's are.
@pytest.mark.parametrize("broken, transition, findings", [
    (lambda mit: None, True, []),
    (lambda mit: mit.kadmin(f"setstr krbtgt/{REALM} require_auth otp"), True, ["gateway-policy"]),
    (lambda mit: mit.kadmin(f"modprinc -expire yesterday krbtgt/{REALM}"), True,
     ["gateway-refused"]),
    (lambda mit: mit.kadmin("setstr gateway require_auth otp"), True, ["gateway-policy"]),
    (lambda mit: mit.kadmin(f"setstr {SPN} require_auth otp"), True, ["backend-policy"]),
    (lambda mit: mit.kadmin(f"modprinc -expire yesterday {SPN}"), True, ["backend-disabled"]),
    (lambda mit: mit.kadmin("modprinc -allow_forwardable alice"), False, ["user-not-delegated"]),
    (rc4_gateway, True, ["keytab-rc4", "gateway-etype"]),
    (rc4_user, True, ["user-etype"]),
    (lambda mit: rc4_alone(mit, SPN), True, ["delegation-refused"]),
], ids=["well", "log-on", "krbtgt", "gateway", "backend", "expired", "forwardable", "rc4-gateway", "rc4-user",
        "rc4-backend"])
def test_mit(realm, broken, transition, findings):
    broken(realm)
    keytab = realm.export_keytab(realm.path / "gateway.keytab", ["gateway"])
    keytab.chmod(0o600)
    realm.start()
    report = doctor.report(["-k", keytab, "-u", "alice", "-s", SPN, "--password",
                            "--httpd-user", "root", *(["--transition"] if transition else [])],
                           realm.krb5_conf, password=PASSWORD)
    assert report.findings == findings
    assert report.status == (1 if findings else 0)
