# SPDX-License-Identifier: Apache-2.0
"""A realm of MIT Kerberos: a second opinion on what Samba's KDC says, and a partner for trusts.

Its KDC answers an expired password before it verifies one, as Samba 4.22 does. With the LDAP back
end it knows constrained delegation; with db2, its default, it refuses every S4U2Proxy. Neither maps
certificates to users: certificate_kdb.c adds that to the LDAP back end.
"""

import gzip
import os
import ssl
import subprocess
from pathlib import Path
from typing import Iterable, Mapping
from urllib.parse import quote

from .tls import Certificate
from .wait import Daemon, answers, free_port

SCHEMA = Path("/etc/ldap/schema")
KERBEROS_SCHEMA = Path("/usr/share/doc/krb5-kdc-ldap/kerberos.schema.gz")
BASE = "dc=lab"
ADMIN = "cn=admin,dc=lab"
MASTER = "Master-key-of-a-realm-0"

SLAPD_CONF = """
{schemas}
pidfile {path}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {password}
directory {path}/ldap
index objectClass eq
index krbPrincipalName eq,pres,sub
"""

SPAKE = """[libdefaults]
    spake_preauth_groups = edwards25519
"""

KDC_CONF = """
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_module = lab
        key_stash_file = {path}/stash
        acl_file = {path}/acl
        host_based_services = HTTP
        max_renewable_life = 7d
    }}
[dbmodules]
    db_module_dir = {path}
    lab = {{
{module}
    }}
"""

# Without these, each log-on writes the database.
READ_ONLY = """
        disable_last_success = true
        disable_lockout = true"""


def write_krb5_conf(path: Path, realms: Mapping[str, int], hosts: Mapping[str, str] = {}) -> Path:
    """A krb5.conf of realms and the ports of their KDCs; the first one is the default. *hosts* are
    the realms of host names."""
    default, *_ = realms
    kdcs = "\n".join(f"    {realm} = {{\n        kdc = 127.0.0.1:{port}\n    }}"
                     for realm, port in realms.items())
    domains = "\n".join(f"    {host} = {realm}" for host, realm in hosts.items())
    path.write_text(f"""[libdefaults]
    udp_preference_limit = 1
    default_realm = {default}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false

[realms]
{kdcs}

[domain_realm]
{domains}
""")
    path.chmod(0o644)
    return path


class Directory:
    """An OpenLDAP server that listens on a socket in *path* alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"ldapi://{quote(str(path / 'ldapi'), safe='')}"
        self._daemon = Daemon("slapd", ["/usr/sbin/slapd", "-d", "0", "-h", self.url, "-f",
                                        str(path / "slapd.conf")], path / "slapd.log")

    def start(self) -> None:
        (self.path / "ldap").mkdir(parents=True)
        kerberos = self.path / "kerberos.schema"
        kerberos.write_bytes(gzip.decompress(KERBEROS_SCHEMA.read_bytes()))
        schemas = [*(SCHEMA / f"{name}.schema" for name in ("core", "cosine", "inetorgperson")),
                   kerberos]
        (self.path / "slapd.conf").write_text(SLAPD_CONF.format(
            schemas="\n".join(f"include {schema}" for schema in schemas), path=self.path,
            base=BASE, admin=ADMIN, password=MASTER))
        self._daemon.start(lambda: self._ask("ldapsearch", "-b", "", "-s", "base").returncode == 0)
        self.change(f"dn: {BASE}\nchangetype: add\nobjectClass: dcObject\n"
                    "objectClass: organization\ndc: lab\no: lab\n")

    def stop(self) -> None:
        self._daemon.stop()

    def change(self, ldif: str) -> None:
        done = self._ask("ldapmodify", ldif=ldif)
        if done.returncode != 0:
            raise RuntimeError(f"{ldif}\n{done.stderr}")

    def _ask(self, command: str, *options: str, ldif: str = "",
             ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([command, "-x", "-H", self.url, "-D", ADMIN, "-w", MASTER, *options],
                              input=ldif, text=True, capture_output=True, timeout=20)


class Mit:
    """A realm. `Mit(path, realm).create()` has a database; start() its KDC, when all that it reads
    at its start is there."""

    def __init__(self, path: Path, realm: str, ldap: bool = False,
                 certificates: bool = False, processes: int = 1, spake: bool = False) -> None:
        """With several *processes*, the KDC counts no failures. It offers *spake* first."""
        self.path = path
        self._spake = spake
        self._processes = processes
        self._users = path / "certificates" if certificates else None
        self.realm = realm
        self.port = free_port()
        self.krb5_conf = path / "krb5.conf"
        self._directory = Directory(path / "directory") if ldap else None
        self.env = {"KRB5_CONFIG": str(self.krb5_conf),
                     "KRB5_KDC_PROFILE": str(path / "kdc.conf"),
                     "EAS_LAB_CERTIFICATES": str(self._users)}
        workers = ["-w", str(processes)] if processes > 1 else []
        self._kdc = Daemon("krb5kdc", ["/usr/sbin/krb5kdc", "-n", *workers, "-r", realm],
                           path / "kdc.log", self.env)

    def create(self) -> "Mit":
        self.path.mkdir(parents=True)
        if self._users:
            self._build_module()
        write_krb5_conf(self.krb5_conf, {self.realm: self.port})
        (self.path / "kdc.conf").write_text(KDC_CONF.format(
            port=self.port, realm=self.realm, path=self.path, module=self._module())
            + f"[logging]\n    kdc = FILE:{self.path}/krb5kdc.log\n" + SPAKE * self._spake)
        if self._directory:
            self._directory.start()
            self._run("kdb5_ldap_util", "-D", ADMIN, "-w", MASTER, "stashsrvpw", "-f",
                      str(self.path / "service.keyfile"), ADMIN, typed=f"{MASTER}\n{MASTER}\n")
            self._run("kdb5_ldap_util", "-D", ADMIN, "-w", MASTER, "create", "-s", "-subtrees",
                      BASE, "-r", self.realm, "-P", MASTER)
        else:
            self._run("kdb5_util", "create", "-s", "-r", self.realm, "-P", MASTER)
        return self

    def start(self) -> "Mit":
        self._kdc.start(lambda: answers(self.port))
        return self

    def stop(self) -> None:
        self._kdc.stop()

    def close(self) -> None:
        self.stop()
        if self._directory:
            self._directory.stop()

    def add(self, name: str, password: str, *options: str) -> None:
        """A principal with pre-authentication; *options* are kadmin's, such as "+needchange"."""
        self.kadmin(f"addprinc +requires_preauth {' '.join(options)} -pw {password} {name}")

    def add_many(self, names: Iterable[str], password: str) -> None:
        """Principals with pre-authentication and one key each, of AES."""
        queries = "".join(f"addprinc +requires_preauth -e aes256-cts:normal -pw {password} {name}\n"
                          for name in names)
        self._run("kadmin.local", "-r", self.realm, typed=queries, timeout=300)

    @property
    def pid(self) -> int:
        """Of the KDC's first process."""
        return self._kdc.process.pid

    def add_service(self, name: str, enctype: str) -> None:
        """A principal whose key and session keys have this enctype."""
        self.kadmin(f"addprinc -randkey -e {enctype}:normal {name}")
        self.kadmin(f"setstr {name} session_enctypes {enctype}")

    def trust(self, other: "Mit") -> None:
        """Both ways: each has the other's keys (RFC 4120, section 1.2)."""
        for realm in (self, other):
            for name in (f"krbtgt/{self.realm}@{other.realm}", f"krbtgt/{other.realm}@{self.realm}"):
                realm.kadmin(f"addprinc -pw Trust-between-realms-1 {name}")

    def allow_delegation(self, account: str, spns: Iterable[str]) -> None:
        """The only right to delegate that the LDAP back end of 1.20 knows."""
        values = "".join(f"krbAllowedToDelegateTo: {spn}@{self.realm}\n" for spn in spns)
        self._directory.change(f"dn: {self._dn(account)}\nchangetype: modify\n"
                               f"add: krbAllowedToDelegateTo\n{values}")

    def alias(self, name: str, alias: str) -> None:
        """Another name of a principal."""
        self._directory.change(
            f"dn: {self._dn(name)}\nchangetype: modify\nadd: krbCanonicalName\n"
            f"krbCanonicalName: {name}@{self.realm}\n-\nadd: krbPrincipalName\n"
            f"krbPrincipalName: {alias}@{self.realm}\n")

    def map(self, certificate: Certificate, user: str) -> None:
        """The certificate is this user's, in place of an earlier one."""
        (self._users / user).write_bytes(ssl.PEM_cert_to_DER_cert(certificate.cert.read_text()))

    def refer(self, name: str, to: "Mit") -> None:
        """Refer the log-on of *name* to the realm where it is a user (RFC 6806, section 7)."""
        self.kadmin(f"addprinc -randkey {name}")
        self._directory.change(f"dn: {self._dn(name)}\nchangetype: modify\n"
                               f"add: krbCanonicalName\nkrbCanonicalName: {name}@{to.realm}\n")

    def export_keytab(self, path: Path, principals: Iterable[str]) -> Path:
        self.kadmin(f"ktadd -k {path} -norandkey {' '.join(principals)}")
        return path

    def kadmin(self, query: str) -> str:
        done = self._run("kadmin.local", "-r", self.realm, "-q", query)
        # kadmin.local reports failures on stderr, and ends with 0.
        if ": " in (failure := done.stderr.replace("No policy specified", "")) \
                and "while" in failure:
            raise RuntimeError(f"{query}\n{done.stderr}")
        return done.stdout

    def failures(self, name: str) -> int:
        """Wrong passwords that the KDC has counted."""
        line, = (line for line in self.kadmin(f"getprinc {name}").splitlines()
                 if line.startswith("Failed password attempts"))
        return int(line.split(":")[1])

    def log(self) -> list[str]:
        """What the KDC has logged."""
        return (self.path / "krb5kdc.log").read_text().splitlines()

    def _dn(self, name: str) -> str:
        return f"krbPrincipalName={name}@{self.realm},cn={self.realm},cn=krb,{BASE}"

    def ldapi(self) -> str:
        """The address of its directory."""
        assert self._directory
        return self._directory.url

    def _module(self) -> str:
        if self._directory is None:
            return (f"        db_library = db2\n        database_name = {self.path}/principal"
                    + READ_ONLY * (self._processes > 1))
        return f"""        db_library = {"certificates" if self._users else "kldap"}
        ldap_kerberos_container_dn = cn=krb,{BASE}
        ldap_kdc_dn = {ADMIN}
        ldap_kadmind_dn = {ADMIN}
        ldap_service_password_file = {self.path}/service.keyfile
        ldap_servers = {self._directory.url}
        ldap_conns_per_server = 5"""

    def _build_module(self) -> None:
        self._users.mkdir()
        kldap, = Path("/usr/lib").glob("*/krb5/plugins/kdb/kldap.so")
        subprocess.run(["cc", "-shared", "-fPIC", f'-DKLDAP="{kldap}"', "-o",
                        self.path / "certificates.so",
                        Path(__file__).with_name("certificate_kdb.c")], check=True)

    def _run(self, command: str, *arguments: str, typed: str = "", timeout: float = 30,
             ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([f"/usr/sbin/{command}", *arguments], input=typed, text=True,
                              capture_output=True, timeout=timeout, env=os.environ | self.env)
        if done.returncode != 0:
            raise RuntimeError(f"{command} {arguments}\n{done.stdout}{done.stderr}")
        return done
