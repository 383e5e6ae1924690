# SPDX-License-Identifier: Apache-2.0
"""The child process that provisions a domain and edits its database.

A process of its own, because Samba's Python modules bring Heimdal along and python3-gssapi brings
MIT krb5: they do not get on in one process. It is one long-lived process, because importing those
modules and opening the database costs more than any single change. Requests and answers are lines
of JSON on stdin and stdout: {"op": …, "args": {…}} gives {"ok": …} or {"error": …}.
"""

import hashlib
import importlib
import json
import logging
import os
import sys
import time
from typing import Any

import ldb
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from samba import unix2nttime
from samba.auth import system_session
from samba.dcerpc import drsblobs, lsa, security
from samba.dsdb import (DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID, UF_DONT_EXPIRE_PASSWD,
                        UF_NORMAL_ACCOUNT)
from samba.ndr import ndr_pack, ndr_unpack
from samba.net import Net
from samba.param import LoadParm
from samba.provision import provision
from samba.samdb import SamDB

importlib.import_module("samba.dckeytab")   # adds export_keytab to Net

Attributes = dict[str, list[str]]
HASHES = ["unicodePwd", "supplementalCredentials", "pwdLastSet"]
AES_BYTES = {17: 16, 18: 32}    # of the keys of aes128- and aes256-cts-hmac-sha1-96


class Directory:
    """One domain's database. The public methods are the operations of the protocol."""

    def __init__(self, smb_conf: str) -> None:
        self.smb_conf = smb_conf
        self.lp = LoadParm(smb_conf)
        self.db: SamDB | None = None

    def provision(self, directory: str, realm: str, netbios: str, password: str) -> None:
        """Fill *directory* with a new domain whose smb.conf is already there."""
        quiet = logging.getLogger("provision")
        quiet.addHandler(logging.NullHandler())
        provision(quiet, system_session(), targetdir=directory, realm=realm, domain=netbios,
                  adminpass=password, hostname="dc1", hostip="127.0.0.1", dns_backend="NONE",
                  serverrole="active directory domain controller", dom_for_fun_level=4,
                  plaintext_secrets=True, batch_mode=True)
        self.lp = LoadParm(self.smb_conf)
        self.db = SamDB(url=f"{directory}/private/sam.ldb", lp=self.lp,
                        session_info=system_session())

    def add(self, accounts: list[dict[str, Any]]) -> None:
        """Create accounts of name, password and attributes, all in one transaction."""
        self.db.transaction_start()
        try:
            for account in accounts:
                self.db.add({"dn": f"CN={account['name']},CN=Users,{self.db.domain_dn()}",
                             "objectClass": "user", "sAMAccountName": account["name"],
                             "unicodePwd": quoted(account["password"]), **account["attributes"]})
                if late := account["after"]:
                    self.modify(account["name"], late)
            self.db.transaction_commit()
        except Exception:
            self.db.transaction_cancel()
            raise

    def add_copies(self, account: str, names: list[str], password: str) -> None:
        """Create accounts with the password of another, and the salt that each name has: the keys
        are made here, since what Samba makes of a password takes ten times as long. In several
        transactions, since the cost of one grows with the square of its size."""
        hashes = self.db.search(self._dn(account), ldb.SCOPE_BASE, attrs=HASHES)[0]
        copied = {name: bytes(hashes[name][0]) for name in HASHES}
        realm = self.lp.get("realm").upper()
        for at in range(0, len(names), 250):
            self.db.transaction_start()
            try:
                for name in names[at:at + 250]:
                    keys = rekeyed(copied["supplementalCredentials"], password, realm + name)
                    self._add_with_hashes(name, copied | {"supplementalCredentials": keys})
                self.db.transaction_commit()
            except Exception:
                self.db.transaction_cancel()
                raise

    def _add_with_hashes(self, name: str, hashes: dict[str, bytes]) -> None:
        self.db.add({"dn": f"CN={name},CN=Users,{self.db.domain_dn()}", "objectClass": "user",
                     "sAMAccountName": name,
                     "userAccountControl": str(UF_NORMAL_ACCOUNT | UF_DONT_EXPIRE_PASSWD),
                     **hashes}, [f"local_oid:{DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID}:0"])

    def modify(self, account: str | None, attributes: Attributes) -> None:
        """Replace attributes of an account, or of the domain itself; no values deletes one."""
        message = ldb.Message(self._dn(account))
        for name, values in attributes.items():
            message[name] = ldb.MessageElement(values, ldb.FLAG_MOD_REPLACE, name)
        self.db.modify(message)

    def set_raw(self, account: str, attribute: str, value: str) -> None:
        """Without Samba's modules, which look for the value at other accounts."""
        message = ldb.Message(self._dn(account))
        message[attribute] = ldb.MessageElement([value], ldb.FLAG_MOD_REPLACE, attribute)
        partition = f"sam.ldb.d/{self.db.domain_dn().upper()}.ldb"
        ldb.Ldb(f"{self.lp.get('private dir')}/{partition}").modify(message)

    def modify_partitions(self, attributes: Attributes) -> None:
        """Replace attributes of the container where AD keeps the forest's UPN suffixes."""
        message = ldb.Message(ldb.Dn(self.db, f"CN=Partitions,{self.db.get_config_basedn()}"))
        for name, values in attributes.items():
            message[name] = ldb.MessageElement(values, ldb.FLAG_MOD_REPLACE, name)
        self.db.modify(message)

    def add_spn_beneath(self, account: str, spn: str) -> None:
        """Into the partition's own file: Samba's modules above it refuse the SPN of another
        account, as a domain controller does. Two that have not replicated yet may both take it."""
        dn = self._dn(account)
        name = f"{self.db.domain_dn().upper()}.ldb"
        partition = ldb.Ldb(os.path.join(self.lp.private_path("sam.ldb.d"), name))
        message = ldb.Message(ldb.Dn(partition, str(dn)))
        message["spn"] = ldb.MessageElement([spn], ldb.FLAG_MOD_ADD, "servicePrincipalName")
        partition.modify(message)

    def read(self, account: str | None, attribute: str) -> list[str]:
        found = self.db.search(self._dn(account), ldb.SCOPE_BASE, attrs=[attribute])
        return [str(value) for value in found[0].get(attribute, [])]

    def trust(self, partner: str, netbios: str, sid: str, password: str) -> None:
        """What a KDC reads of what `samba-tool domain trust create` makes, for which the whole domain
        controller must run ([MS-ADTS] 6.1.6.7)."""
        clear = drsblobs.AuthInfoClear()
        clear.size, clear.password = 2 * len(password), list(password.encode("utf-16-le"))
        secret = drsblobs.AuthenticationInformation()
        secret.LastUpdateTime = unix2nttime(int(time.time()))
        secret.AuthType = lsa.TRUST_AUTH_TYPE_CLEAR
        secret.AuthInfo = clear
        secrets = drsblobs.AuthenticationInformationArray()
        secrets.count, secrets.array = 1, [secret]
        both = drsblobs.trustAuthInOutBlob()
        both.count, both.current = 1, secrets
        self.db.add({
            "dn": f"CN={partner},CN=System,{self.db.domain_dn()}", "objectClass": "trustedDomain",
            "trustPartner": partner, "flatName": netbios,
            "trustType": str(lsa.LSA_TRUST_TYPE_UPLEVEL),
            "trustDirection": str(lsa.LSA_TRUST_DIRECTION_INBOUND | lsa.LSA_TRUST_DIRECTION_OUTBOUND),
            "trustAttributes": str(lsa.LSA_TRUST_ATTRIBUTE_FOREST_TRANSITIVE),
            "securityIdentifier": ndr_pack(security.dom_sid(sid)),
            "trustAuthIncoming": ndr_pack(both), "trustAuthOutgoing": ndr_pack(both),
            "msDS-SupportedEncryptionTypes": "24"}, ["relax:0"])

    def sid(self, account: str | None) -> str:
        found = self.db.search(self._dn(account), ldb.SCOPE_BASE, attrs=["objectSid"])
        return str(ndr_unpack(security.dom_sid, found[0]["objectSid"][0]))

    def allow_to_act(self, account: str, sids: list[str]) -> None:
        """Full control for each, as AD's tools write it; nobody deletes the attribute."""
        sddl = "O:BAD:" + "".join(f"(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;{sid})" for sid in sids)
        descriptor = security.descriptor.from_sddl(sddl, security.dom_sid(self.db.domain_sid))
        name = "msDS-AllowedToActOnBehalfOfOtherIdentity"
        message = ldb.Message(self._dn(account))
        message[name] = ldb.MessageElement([ndr_pack(descriptor)] if sids else [],
                                           ldb.FLAG_MOD_REPLACE, name)
        self.db.modify(message)

    def authenticate_from(self, account: str, sid: str) -> None:
        policy = (f"CN={account},CN=AuthN Policies,CN=AuthN Policy Configuration,CN=Services,"
                  f"{self.db.get_config_basedn()}")
        allowed = security.descriptor.from_sddl(f"O:SYG:SYD:(A;;CR;;;{sid})",
                                                security.dom_sid(self.db.domain_sid))
        self.db.add({"dn": policy, "objectClass": "msDS-AuthNPolicy",
                     "msDS-AuthNPolicyEnforced": "TRUE",
                     "msDS-UserAllowedToAuthenticateFrom": ndr_pack(allowed)})
        self.modify(account, {"msDS-AssignedAuthNPolicy": [policy]})

    def add_group(self, group: str, kind: int) -> None:
        """*kind* is groupType, [MS-ADTS] 2.2.12."""
        self.db.add({"dn": f"CN={group},CN=Users,{self.db.domain_dn()}", "objectClass": "group",
                     "sAMAccountName": group, "groupType": str(kind)})

    def join(self, group: str, accounts: list[str]) -> None:
        self.modify(group, {"member": [str(self._dn(account)) for account in accounts]})

    def set_password(self, account: str, password: str) -> None:
        message = ldb.Message(self._dn(account))
        message["pw"] = ldb.MessageElement(quoted(password), ldb.FLAG_MOD_REPLACE, "unicodePwd")
        self.db.modify(message)

    def export_keytab(self, path: str, principals: list[str]) -> None:
        """Add the current keys of *principals* to the keytab."""
        net = Net(None, self.lp)
        # A Samba that has this option exports the keys of previous passwords too without it.
        current = ({"only_current_keys": True}
                   if "only_current_keys" in Net.export_keytab.__doc__ else {})
        for principal in principals:
            net.export_keytab(keytab=path, principal=principal, **current)

    def _dn(self, account: str | None) -> ldb.Dn:
        if account is None:
            return ldb.Dn(self.db, self.db.domain_dn())
        found = self.db.search(self.db.domain_dn(), ldb.SCOPE_SUBTREE, attrs=[],
                               expression=f"(sAMAccountName={ldb.binary_encode(account)})")
        if len(found) != 1:
            raise LookupError(f"{len(found)} accounts are called {account}")
        return found[0].dn


def quoted(password: str) -> bytes:
    """A password as unicodePwd wants it."""
    return f'"{password}"'.encode("utf-16-le")


def rekeyed(credentials: bytes, password: str, salt: str) -> bytes:
    """supplementalCredentials ([MS-SAMR] 2.2.10) whose AES keys are of that password and salt."""
    blob = ndr_unpack(drsblobs.supplementalCredentialsBlob, credentials)
    for package in blob.sub.packages:
        if package.name == "Primary:Kerberos-Newer-Keys":
            kerberos = ndr_unpack(drsblobs.package_PrimaryKerberosBlob, bytes.fromhex(package.data))
            kerberos.ctr.salt.string = salt
            for key in kerberos.ctr.keys:
                if key.keytype in AES_BYTES:        # the others are DES's, of no use to anybody
                    key.value = aes_key(password, salt, AES_BYTES[key.keytype])
            package.data = ndr_pack(kerberos).hex().upper()
    return ndr_pack(blob)


def aes_key(password: str, salt: str, size: int) -> bytes:
    """RFC 3962, section 4, with its default number of iterations."""
    made = hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), 4096, size)
    encrypt = Cipher(algorithms.AES(made), modes.ECB()).encryptor().update
    first = encrypt(bytes.fromhex("6b65726265726f737b9b5b2b93132b93"))  # "kerberos", 128-fold
    return (first + encrypt(first))[:size]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Samba's libraries print to stdout as they please
    directory = Directory(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(directory, request["op"])(**request["args"])}
        except Exception as error:  # whatever it is, the caller wants to read it
            answer = {"error": f"{request['op']}: {type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
