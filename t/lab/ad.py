# SPDX-License-Identifier: Apache-2.0
"""A throw-away Active Directory: Samba's domain controller, reduced to its KDC.

It behaves as AD does where it matters here: error codes, lockout, UPNs, canonical names, PAC,
constrained delegation with and without protocol transition. Nothing is kept between runs.

EAS_T_AD_ROOT=DIR   a Debian whose Samba is used, instead of this machine's (t/newer_ad.py)
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

from .kerberos import kinit
from .wait import Daemon, answers, free_port

# The directories of domains, and t, have the same names in there.
ROOT = os.environ.get("EAS_T_AD_ROOT")
WITHIN = ("chroot", ROOT) if ROOT else ()
# From Samba 4.19 on; authentication policies need it.
LEVEL = "ad dc functional level = 2016" if ROOT else ""
TESTS = Path(__file__).parents[1]

REALM = "CORP.EXAMPLE.TEST"
NETBIOS = "CORP"
UPN_SUFFIX = "mail.example.test"

# userAccountControl, [MS-ADTS] 2.2.16
NORMAL = 0x200
DISABLED = 0x2
PASSWORD_NEVER_EXPIRES = 0x10000
SMARTCARD_REQUIRED = 0x40000
SENSITIVE = 0x100000            # "Account is sensitive and cannot be delegated"
TRUSTED_TO_AUTH = 0x1000000     # "Use any authentication protocol"

# groupType, [MS-ADTS] 2.2.12: security groups
GLOBAL, DOMAIN_LOCAL, UNIVERSAL = (scope - 0x80000000 for scope in (2, 4, 8))

AES_ONLY = 24                   # msDS-SupportedEncryptionTypes: AES128 and AES256
LONG_AGO = 116444736000000000   # 1970-01-01 in AD's 100 ns ticks
MINUTE = 600_000_000            # in the same ticks

PASSWORDS = {
    "Administrator": "Root-of-all-0",
    "alice": "Wonderland-1",
    "bob": "Can-we-fix-it-2",
    "carol": "Silent-night-3",
    "sandra": "Do-not-touch-4",
    "dirk": "Switched-off-5",
    "ernst": "Left-in-spring-6",
    "mike": "Change-me-now-7",
    "backend1": "First-mailbox-8",
    "backend2": "Second-mailbox-9",
    "backend3": "Third-mailbox-10",
    "gateway": "Use-Kerberos-only-11",
    "gateway2": "Use-any-protocol-12",
} | {f"user{n:02}": f"Number-{n:02}-of-many" for n in range(1, 21)}

# The log's tags for accounts that are refused with the right password.
ACCOUNT_TAGS = {"dirk": "EAS1032", "ernst": "EAS1032", "mike": "EAS1033"}

CAS1, CAS2, CAS3 = (f"HTTP/cas{n}.corp.example.test" for n in (1, 2, 3))


@dataclass(frozen=True)
class Account:
    """A person or a service. Everything beyond name and password is optional."""

    name: str
    password: str
    upn: str | None = None
    spns: tuple[str, ...] = ()
    flags: int = 0
    delegate_to: tuple[str, ...] = ()
    must_change: bool = False
    expired: bool = False

    def as_request(self, realm: str) -> dict[str, Any]:
        """The account as lab.sam wants it."""
        attributes = {
            "userPrincipalName": [self.upn or f"{self.name}@{realm.lower()}"],
            "userAccountControl": [str(NORMAL | PASSWORD_NEVER_EXPIRES * (not self.must_change)
                                       | self.flags)],
        }
        if self.spns:
            attributes["servicePrincipalName"] = list(self.spns)
            # Without this the keys of a service principal come out as RC4.
            attributes["msDS-SupportedEncryptionTypes"] = [str(AES_ONLY)]
        if self.delegate_to:
            attributes["msDS-AllowedToDelegateTo"] = list(self.delegate_to)
        if self.expired:
            attributes["accountExpires"] = [str(LONG_AGO)]
        # Setting a password resets pwdLastSet, so this must come after it.
        after = {"pwdLastSet": ["0"]} if self.must_change else {}
        return {"name": self.name, "password": self.password, "attributes": attributes,
                "after": after}


def _person(name: str, **more: Any) -> Account:
    return Account(name, PASSWORDS[name], **more)


def _gateway(name: str, flags: int = 0) -> Account:
    return _person(name, spns=(f"HTTP/{name}.corp.example.test",), flags=flags,
                   delegate_to=(CAS1, CAS2))


STANDARD = (
    _person("alice"),
    _person("bob", upn=f"bob.builder@{UPN_SUFFIX}"),
    _person("carol"),
    *(_person(f"user{n:02}") for n in range(1, 21)),
    _person("sandra", flags=SENSITIVE),
    _person("dirk", flags=DISABLED),
    _person("ernst", expired=True),
    _person("mike", must_change=True),
    _person("backend1", spns=(CAS1,)),
    _person("backend2", spns=(CAS2,)),
    _person("backend3", spns=(CAS3,)),      # exists, but nobody may delegate to it
    _gateway("gateway"),
    _gateway("gateway2", flags=TRUSTED_TO_AUTH),
)

# A spoofed KDC: same realm, an alice whose password the attacker knows, and keys for the
# gateway's principal that are not those in the gateway's keytab.
ROGUE = (
    Account("alice", "Attackers-choice-1"),
    Account("backend1", "Rogue-mailbox-2", spns=(CAS1,)),
    Account("gateway", "Rogue-gateway-3", spns=("HTTP/gateway.corp.example.test",),
            delegate_to=(CAS1,)),
)


class Domain:
    """One domain controller. `Domain(path).create()` is ready to use and its KDC runs."""

    realm = REALM
    netbios = NETBIOS

    def __init__(self, path: Path, accounts: Iterable[Account] = STANDARD) -> None:
        self.path = path
        self.accounts = tuple(accounts)
        self.port = free_port()
        self.kpasswd_port = free_port()
        self.krb5_conf = path / "krb5.conf"
        self._smb_conf = path / "etc" / "smb.conf"
        self.checks_account_first = False
        self._sam: subprocess.Popen[str] | None = None
        self._kdc = Daemon(
            "samba KDC", [*WITHIN, "/usr/sbin/samba", "--foreground", "--no-process-group",
                          "--model=single", "--debug-stdout", f"--configfile={self._smb_conf}"],
            path / "kdc.log")

    def create(self) -> "Domain":
        self._smb_conf.parent.mkdir(parents=True)
        self._smb_conf.write_text(self._smb_conf_text())
        self.write_krb5_conf(self.krb5_conf, self.port, realm=self.realm,
                             kpasswd_port=self.kpasswd_port)
        self._sam = self._start_sam()
        self._ask("provision", directory=str(self.path), realm=self.realm,
                  netbios=self.netbios,
                  password=PASSWORDS["Administrator"])
        self._relax_password_policy()
        self._ask("modify_partitions", attributes={"uPNSuffixes": [UPN_SUFFIX]})
        self._ask("add", accounts=[account.as_request(self.realm) for account in self.accounts])
        self.start()
        # Before a test locks the account that tells it.
        self.checks_account_first = self._checks_account_first()
        return self

    def close(self) -> None:
        """End both processes; the files stay for whoever made the directory."""
        self.stop()
        if self._sam:
            self._sam.stdin.close()
            self._sam.wait(10)
            self._sam.stdout.close()

    # --- the KDC ---------------------------------------------------------------------------

    def start(self) -> None:
        self._kdc.start(lambda: answers(self.port))

    def stop(self) -> None:
        self._kdc.stop()

    def by_hand(self) -> str:
        return self._kdc.by_hand()

    @property
    def pid(self) -> int:
        """The KDC's first process."""
        return self._kdc.process.pid

    def _checks_account_first(self) -> bool:
        """Are disabled accounts and expired passwords refused before the password is verified?
        Samba 4.22 does so; 4.17 verifies the password first."""
        done = kinit(self.krb5_conf, self.path / "no-ccache", "dirk", "wrong")
        return "have been revoked" in done.stderr

    def tag_of(self, user: str, tag: str) -> str:
        """The tag of a refusal; *tag* if the KDC verifies the password first."""
        return ACCOUNT_TAGS.get(user, tag) if self.checks_account_first else tag

    @staticmethod
    def write_krb5_conf(path: Path, kdc_port: int, extra: str = "", realm: str = REALM,
                        kpasswd_port: int | None = None) -> Path:
        """A krb5.conf that knows one KDC: ours, or a relay in front of it.

        *extra* is lines for [libdefaults]; where a relation is there twice, the first one counts,
        so they can overrule ours. TCP is preferred, so that one exchange is one message: over UDP
        a ticket with a PAC is often answered with "too big" and asked for again.
        """
        kpasswd = f"kpasswd_server = 127.0.0.1:{kpasswd_port}" if kpasswd_port else ""
        path.write_text(f"""[libdefaults]
{extra}
    udp_preference_limit = 1
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false

[realms]
    {realm} = {{
        kdc = 127.0.0.1:{kdc_port}
        {kpasswd}
    }}

[domain_realm]
    .corp.example.test = {realm}
""")
        path.chmod(0o644)
        return path

    # --- accounts --------------------------------------------------------------------------

    def add(self, *accounts: Account) -> None:
        self._ask("add", accounts=[account.as_request(self.realm) for account in accounts])

    def add_user(self, name: str, password: str, upn: str | None = None, disabled: bool = False,
                 sensitive: bool = False, must_change: bool = False,
                 expired: bool = False) -> None:
        self.add(Account(name, password, upn=upn, must_change=must_change, expired=expired,
                         flags=DISABLED * disabled | SENSITIVE * sensitive))

    def add_copies(self, account: str, names: Iterable[str]) -> None:
        """Many users at little cost, who all have the password of *account*."""
        self._ask("add_copies", account=account, names=list(names), password=PASSWORDS[account])

    def add_service(self, account: str, spn: str, password: str = "Another-service-0") -> None:
        """A backend's account: AES keys, trusted for nothing."""
        self.add(Account(account, password, spns=(spn,)))

    def add_duplicate_spn(self, account: str, spn: str) -> None:
        """The SPN of another account, which AD does not accept knowingly."""
        self._ask("add_spn_beneath", account=account, spn=spn)

    # A gateway is a service too; what makes it one is allow_delegation().
    add_gateway = add_service

    def allow_delegation(self, account: str, spns: Iterable[str]) -> None:
        """Add to the services that *account* may present delegated tickets to."""
        allowed = self.read(account, "msDS-AllowedToDelegateTo")
        self.modify(account, {"msDS-AllowedToDelegateTo": sorted({*allowed, *spns})})

    def revoke_delegation(self, account: str, spns: Iterable[str] | None = None) -> None:
        """Take *spns*, or all of them, from what *account* may delegate to."""
        allowed = set(self.read(account, "msDS-AllowedToDelegateTo"))
        kept = allowed - set(allowed if spns is None else spns)
        self.modify(account, {"msDS-AllowedToDelegateTo": sorted(kept)})

    def allow_protocol_transition(self, account: str, on: bool = True) -> None:
        """Choose "Use any authentication protocol", or "Use Kerberos only"."""
        self.set_flag(account, TRUSTED_TO_AUTH, on)

    def allow_to_act(self, service: str, sids: Iterable[str]) -> None:
        """Resource-based delegation: *service* itself names the accounts that may act for users
        there, as Set-ADUser -PrincipalsAllowedToDelegateToAccount does."""
        self._ask("allow_to_act", account=service, sids=list(sids))

    def trust(self, other: "Domain") -> None:
        """Both ways, between forests."""
        for here, there in ((self, other), (other, self)):
            here._ask("trust", partner=there.realm.lower(), netbios=there.netbios,
                      sid=there.sid(None), password="Trust-between-forests-1")

    def authenticate_from(self, account: str, device: str) -> None:
        """An authentication policy: *account* logs on from *device* alone."""
        self._ask("authenticate_from", account=account, sid=self.sid(device))

    def sid(self, account: str | None) -> str:
        """Of an account, or of the domain itself."""
        return self._ask("sid", account=account)

    def add_group(self, group: str, kind: int = GLOBAL) -> str:
        """Its SID."""
        self._ask("add_group", group=group, kind=kind)
        return self.sid(group)

    def join(self, group: str, accounts: Iterable[str]) -> None:
        """Make *accounts* the members of a group, and no others."""
        self._ask("join", group=group, accounts=list(accounts))

    def set_flag(self, account: str, flag: int, on: bool = True) -> None:
        """Set or clear a bit of userAccountControl: DISABLED, SENSITIVE, TRUSTED_TO_AUTH."""
        flags = int(self.read(account, "userAccountControl")[0])
        self.modify(account, {"userAccountControl": [str(flags | flag if on else flags & ~flag)]})

    def set_password(self, account: str, password: str) -> None:
        self._ask("set_password", account=account, password=password)

    def rotate_key(self, account: str) -> None:
        """New keys and a new kvno, as when a service changes its password."""
        self.set_password(account, f"Rotated-{os.urandom(12).hex()}")

    def export_keytab(self, path: Path, principals: Iterable[str]) -> Path:
        """Add the current keys to the keytab; older ones that are already there stay."""
        self._ask("export_keytab", path=str(path), principals=list(principals))
        return path

    def modify(self, account: str, attributes: dict[str, list[str]]) -> None:
        self._ask("modify", account=account, attributes=attributes)

    def set_raw(self, account: str, attribute: str, value: str) -> None:
        """Also a value that only one account may have, as domain controllers that have not yet
        replicated each other's changes take it."""
        self._ask("set_raw", account=account, attribute=attribute, value=value)

    def read(self, account: str, attribute: str) -> list[str]:
        return self._ask("read", account=account, attribute=attribute)

    # --- lockout ---------------------------------------------------------------------------

    def lockout_policy(self, threshold: int, window_minutes: int = 30) -> None:
        """Lock an account after *threshold* wrong passwords within the window; 0: never."""
        window = [str(-window_minutes * MINUTE)]
        self._ask("modify", account=None, attributes={
            "lockoutThreshold": [str(threshold)], "lockoutDuration": window,
            "lockOutObservationWindow": window})

    def bad_pwd_count(self, account: str) -> int:
        return int((self.read(account, "badPwdCount") or ["0"])[0])

    def is_locked(self, account: str) -> bool:
        return (self.read(account, "lockoutTime") or ["0"])[0] != "0"

    def unlock(self, account: str) -> None:
        """As an administrator does; the count of bad passwords becomes zero too."""
        self.modify(account, {"lockoutTime": ["0"], "badPwdCount": ["0"]})

    # --- inside ----------------------------------------------------------------------------

    def _relax_password_policy(self) -> None:
        """Any password at any time, and no lockout until a test asks for one."""
        self._ask("modify", account=None, attributes={
            "pwdProperties": ["0"], "minPwdLength": ["0"], "minPwdAge": ["0"],
            "pwdHistoryLength": ["0"]})
        self.lockout_policy(0)

    def _start_sam(self) -> "subprocess.Popen[str]":
        with (self.path / "sam.log").open("ab") as log:
            return subprocess.Popen(
                [*WITHIN, sys.executable, "-m", "lab.sam", str(self._smb_conf)], text=True,
                stderr=log, env=os.environ | {"PYTHONPATH": str(TESTS)}, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE)

    def _ask(self, op: str, **args: Any) -> Any:
        print(json.dumps({"op": op, "args": args}), file=self._sam.stdin, flush=True)
        line = self._sam.stdout.readline()
        if not line:
            raise RuntimeError(f"lab.sam died at {op}:\n{(self.path / 'sam.log').read_text()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    def _smb_conf_text(self) -> str:
        """Everything inside our directory, nothing but the KDC, nowhere but the loopback."""
        return f"""[global]
    netbios name = DC1
    workgroup = {self.netbios}
    realm = {self.realm}
    server role = active directory domain controller
    server services = kdc
    {LEVEL}
    interfaces = 127.0.0.1
    bind interfaces only = yes
    krb5 port = {self.port}
    kpasswd port = {self.kpasswd_port}
    private dir = {self.path}/private
    state directory = {self.path}/state
    cache directory = {self.path}/cache
    lock directory = {self.path}/lock
    pid directory = {self.path}/run
    binddns dir = {self.path}/bind-dns
    ncalrpc dir = {self.path}/ncalrpc
    log file = {self.path}/samba.log
    log level = 1

[sysvol]
    path = {self.path}/sysvol
    read only = no

[netlogon]
    path = {self.path}/sysvol/{self.realm.lower()}/scripts
    read only = no
"""
