#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The life of the Debian package in a clean root: installed, serving, upgraded, removed.

    /usr/bin/python3 t/package.py [--before FILE.deb] [--mirror URL] FILE.deb

debootstrap makes the root; as root, with a network, in some five minutes. The package before is the
same one under a lower version, unless --before names another. Over the upgrade each request is
answered, and a session of a browser lives on. Exit status 0: all of it was so.
"""

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lab.ad import PASSWORDS, REALM, Domain                             # noqa: E402
from lab.backend import GssBackend                                      # noqa: E402
from lab.client import Client, Response                                 # noqa: E402
from lab.debian import Debian                                           # noqa: E402
from lab.frontdoor import Visitor                                       # noqa: E402
from lab.names import GATEWAY, ensure_names                             # noqa: E402
from lab.tls import Authority                                           # noqa: E402
from lab.wait import free_port, until                                   # noqa: E402

PACKAGE = "libapache2-mod-eas-kcd"
PHONE = "/Microsoft-Server-ActiveSync"
HOST = "cas1.corp.example.test"


class Root(Debian):
    """Where the package lives."""

    def mount(self, servers: ExitStack) -> None:
        place = self.path / "proc"
        subprocess.run(["mount", "-t", "proc", "proc", place], check=True)
        servers.callback(subprocess.run, ["umount", "-l", place], check=True)

    def upload(self, package: Path) -> str:
        shutil.copy(package, self.path / "tmp")
        return self.install(f"/tmp/{package.name}")

    def file(self, name: str) -> Path:
        return self.path / name.lstrip("/")

    def all_files(self) -> set[str]:
        """What bears the module's name, outside the logs of dpkg and apt."""
        found = subprocess.run(
            ["find", self.path, "-xdev", "(", "-path", self.file("/tmp"), "-o", "-path",
             self.file("/var/log"), "-o", "-path", self.file("/var/cache/apt"), ")", "-prune",
             "-o", "-iname", "*eas[-_]kcd*", "-printf", "/%P\n"],
            text=True, capture_output=True, check=True)
        return set(found.stdout.split())


@dataclass
class Server:
    """The gateway in the root, as Visitor sees one."""

    port: int
    ca_file: Path
    failures: list[str] = field(default_factory=list)
    served: int = 0

    def request(self, method: str, path: str, headers=(), body: bytes | None = None) -> Response:
        with Client(self.port, tls=True, ca_file=self.ca_file) as client:
            return client.request(method, path, headers=headers, body=body)

    def phone(self) -> Response:
        with Client(self.port, tls=True, ca_file=self.ca_file) as client:
            return client.request("OPTIONS", PHONE, "alice", PASSWORDS["alice"])

    def keep_asking(self, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                answer = self.phone()
                self.served += 1
                if answer.status != 200:
                    self.failures.append(str(answer.status))
            except OSError as error:
                self.failures.append(repr(error))
                ended.wait(0.1)


def say(text: str) -> None:
    print(f"--- {text}", flush=True)


def demand(condition: object, what: str) -> None:
    if not condition:
        raise SystemExit(f"not so: {what}")
    say(what)


def with_version(package: Path, version: str, directory: Path) -> Path:
    """The same package under another version."""
    content, made = directory / "content", directory / f"{PACKAGE}_{version}.deb"
    subprocess.run(["dpkg-deb", "-R", package, content], check=True)
    control = content / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*", f"Version: {version}", control.read_text(),
                              flags=re.MULTILINE))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", content, made], check=True)
    return made


def check_installed(root: Root) -> None:
    demand("enabled" in root.run("a2query", "-m", "eas_kcd"), "the module is enabled")
    demand(stat.S_IMODE(root.file("/etc/eas-kcd").stat().st_mode) == 0o700, "/etc/eas-kcd is 0700")
    demand("Syntax OK" in root.run("apache2ctl", "configtest"), "httpd accepts it as installed")
    demand(os.access(root.file("/usr/sbin/eas-kcd-admin"), os.X_OK), "eas-kcd-admin")
    for page in ("man8/mod_eas_kcd.8.gz", "man8/eas-kcd-check.8.gz", "man8/eas-kcd-admin.8.gz",
                 "man7/eas-kcd-messages.7.gz", "man7/eas-kcd-operating.7.gz",
                 "man7/eas-kcd-recipes.7.gz"):
        demand(root.file(f"/usr/share/man/{page}").exists(), f"man page {page}")


def configure(root: Root, port: int, backend: GssBackend, domain: Domain,
              authority: Authority) -> None:
    """As README says: a keytab, the example, modules."""
    domain.export_keytab(root.file("/etc/eas-kcd/gateway.keytab"), ["gateway"])
    shutil.copy(domain.krb5_conf, root.file("/etc/krb5.conf"))
    root.file("/etc/ssl/private").mkdir(mode=0o710, exist_ok=True)
    certificate = authority.certificate(GATEWAY)
    shutil.copy(certificate.cert, root.file("/etc/ssl/certs/mail.pem"))
    shutil.copy(certificate.key, root.file("/etc/ssl/private/mail.key"))
    shutil.copy(authority.ca_file, root.file("/etc/ssl/certs/corp-ca.pem"))
    site = root.file(f"/usr/share/doc/{PACKAGE}/examples/mail.conf").read_text()
    for text, instead in (("*:443", f"127.0.0.1:{port}"), ("CORP.EXAMPLE.COM", REALM),
                          ("https://cas1.corp.example.com", backend.url),
                          ("mail.example.com", GATEWAY)):
        site = site.replace(text, instead)
    root.file("/etc/apache2/sites-available/mail.conf").write_text(site)
    root.file("/etc/apache2/ports.conf").write_text(f"Listen 127.0.0.1:{port}\n")
    root.run("a2dissite", "000-default")
    root.run("a2enmod", "ssl", "headers", "substitute")
    root.run("a2ensite", "mail")


def ask_the_doctor(root: Root, backend: GssBackend) -> None:
    """As README says, from the configuration; the backend included."""
    said = root.run("eas-kcd-check", "-c", "/etc/apache2/apache2.conf", "-u", "alice", "--password",
                    "--connect", backend.url + PHONE, "--ca-file", "/etc/ssl/certs/corp-ca.pem",
                    check=False, typed=PASSWORDS["alice"] + "\n")
    demand(" 0 failed, 0 skipped" in said and "httpd's user www-data" in said,
           f"the doctor finds nothing wrong:\n{said}")


def parent_of(root: Root) -> int:
    return int(root.file("/run/apache2/apache2.pid").read_text())


def started(root: Root) -> int:
    """How often httpd was ready."""
    return root.file("/var/log/apache2/error.log").read_text().count("resuming normal operations")


def upgrade(root: Root, server: Server, package: Path) -> None:
    """Sessions live, and requests go on meanwhile."""
    visitor = Visitor(server)
    demand(visitor.log_on("alice", PASSWORDS["alice"], "/owa/").status == 303, "a browser logs on")
    demand(visitor.get("/owa/").json()["remote_user"] == f"alice@{REALM}", "and is served")
    parent, times, ended = parent_of(root), started(root), threading.Event()
    asking = threading.Thread(target=server.keep_asking, args=(ended,), daemon=True)
    asking.start()
    try:
        root.let_packages_act(True)
        said = root.upload(package)
        until(lambda: started(root) > times, 30, f"httpd to reload\n{said}")
        answer = visitor.get("/owa/")
    finally:
        ended.set()
        asking.join()
    demand(parent_of(root) == parent, "the upgrade reloads httpd")
    demand(answer.status == 200, "the session lives on")
    demand(server.served > 10 and not server.failures,
           f"{server.served} requests meanwhile, failures: {server.failures}")


def remove(root: Root, before: set[str]) -> None:
    root.run("a2dissite", "mail")
    root.run("apt-get", "-q", "-y", "remove", PACKAGE)
    demand("Syntax OK" in root.run("apache2ctl", "configtest"), "httpd does without the module")
    demand("No module" in root.run("a2query", "-m", "eas_kcd", check=False), "it is disabled")
    root.run("apt-get", "-q", "-y", "purge", PACKAGE)
    demand(root.file("/etc/eas-kcd/gateway.keytab").exists(), "the administrator's keytab stays")
    shutil.rmtree(root.file("/etc/eas-kcd"))
    demand(root.all_files() == before, f"no other residue: {root.all_files() - before}")


def live(root: Root, first: Path, second: Path, lab: Path, servers: ExitStack) -> None:
    ensure_names()
    authority, domain = Authority(lab / "tls"), servers.enter_context(closing(Domain(lab / "ad")))
    domain.create()
    backend = GssBackend(lab / "cas1", domain.export_keytab(lab / "cas1.keytab", [f"HTTP/{HOST}"]),
                         domain.krb5_conf, name=HOST, tls=authority.certificate(HOST))
    servers.callback(backend.stop)
    backend.start()
    root.mount(servers)
    root.run("apt-get", "-q", "update")
    root.install("apache2", "ca-certificates")
    before = root.all_files()
    root.upload(first)
    check_installed(root)
    server = Server(free_port(), authority.ca_file)
    configure(root, server.port, backend, domain, authority)
    ask_the_doctor(root, backend)
    servers.callback(root.run, "apache2ctl", "stop", check=False)
    root.run("apache2ctl", "start")
    until(lambda: started(root), 20, "httpd to start")
    demand(server.phone().status == 200, "a phone is served")
    upgrade(root, server, second)
    remove(root, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--mirror", help="debootstrap's default otherwise")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eas-kcd-package-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        before = given.before or with_version(given.package, "0.0.1", path)
        with ExitStack() as servers:
            live(Root(path / "root", "bookworm", given.mirror), before, given.package, path / "lab", servers)


if __name__ == "__main__":
    main()
