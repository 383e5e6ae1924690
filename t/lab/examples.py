# SPDX-License-Identifier: Apache-2.0
"""Examples of the pages as configurations of the lab: its files and names in place of theirs."""

import re
import subprocess
from pathlib import Path

from .ad import REALM, UPN_SUFFIX, Domain
from .gateway import MODULES, module_under_test
from .names import GATEWAY
from .pages import RECIPES, REFERENCE, TEXT, fenced
from .revocation import Revocation
from .tls import Authority

BLOCKS = fenced("apache")
LOGIN_PAGE, = fenced("html")
LANGUAGE, = (block for block in fenced("text") if block.startswith("direction"))

# A word that shows that the example needs a module, beside those that all gateways have.
NEEDS = {"Substitute ": ("substitute",), "GssapiCredStore": ("auth_gssapi",),
         "RemoteIP": ("remoteip",), "OIDC": ("auth_openidc",),
         "ProxyHC": ("proxy_hcheck",),
         "EasKcdCache redis": ("socache_redis",),
         "SecRule": ("unique_id", "security2"),
         "AuthLDAP": ("ldap", "authnz_ldap")}


def block_with(text: str) -> str:
    """The first example that has it."""
    return next(block for block in BLOCKS if text in block)


def in_a_host(block: str) -> str:
    """The example in the virtual host of README's first one, in place of its section."""
    head, _, _ = block_with("LoadModule eas_kcd").partition("    <Location")
    return f"{head}{block}</VirtualHost>\n"


def modules_for(block: str) -> list[str]:
    """In their order; mod_auth_gssapi, for one, is not loaded where it is not wanted."""
    wanted = [name for text, names in NEEDS.items() if text in block for name in names]
    return [name for name in (*MODULES, *wanted) if f"LoadModule {name}_module" not in block]


def in_the_lab(block: str, path: Path, domain: Domain, authority: Authority, account: str) -> str:
    """The example with files in *path*, which are made."""
    keytab = domain.export_keytab(path / f"pages-{account}.keytab", [account])
    certificate = authority.certificate(GATEWAY)
    (path / "pages-login.html").write_text(LOGIN_PAGE)
    (path / "pages-logo.png").write_bytes(b"")
    (path / "pages-languages").mkdir(exist_ok=True)
    (path / "pages-languages" / "da.txt").write_text(LANGUAGE)
    for text, instead in {
        "/usr/lib/apache2/modules/mod_eas_kcd.so": module_under_test(),
        "/etc/eas-kcd/gateway.keytab": keytab,
        "/etc/apache2/cas1.keytab": keytab,
        "/etc/eas-kcd/secret-1": _secret(path / "pages-secret-1"),
        "/etc/eas-kcd/secret-2": _secret(path / "pages-secret-2"),
        "/etc/eas-kcd/oidc-secret": _text(path / "pages-secret-of-others"),
        "/etc/eas-kcd/oidc-passphrase": _passphrase(path / "pages-passphrase"),
        "/etc/eas-kcd/ldap-password": _text(path / "pages-secret-of-others"),
        "/etc/eas-kcd/logo.png": path / "pages-logo.png",
        "/etc/eas-kcd/languages": path / "pages-languages",
        "/etc/eas-kcd/login.html": path / "pages-login.html",
        "/etc/apache2/htpasswd": path / "pages-htpasswd",
        "/etc/ssl/certs/corp-ca.pem": authority.ca_file,
        "/etc/ssl/certs/devices-ca.pem": authority.ca_file,
        "/etc/ssl/certs/devices.crl": Revocation(authority).crl(),
        "/etc/ssl/certs/mail.pem": certificate.cert,
        "/etc/ssl/private/mail.key": certificate.key,
        "${APACHE_LOG_DIR}": path,
        "CORP.EXAMPLE.COM": REALM,
        "EasKcdDomain example.com": f"EasKcdDomain {UPN_SUFFIX}",
        "ServerName mail.example.com": f"ServerName {GATEWAY}",
    }.items():
        block = block.replace(text, str(instead))
    return block


def _secret(path: Path) -> Path:
    """By the command of EasKcdSecretFile's section."""
    return _made_as(REFERENCE, "/etc/eas-kcd/secret-1", path)


def _passphrase(path: Path) -> Path:
    """By the command of the recipe for OpenID Connect."""
    return _made_as(RECIPES, "/etc/eas-kcd/oidc-passphrase", path)


def _made_as(page: Path, printed: str, path: Path) -> Path:
    """The file *path* by the command that the page gives for the file *printed*."""
    if not path.exists():
        command, = re.findall(rf"^    (\(umask .*{printed}.*\))$", TEXT[page], re.MULTILINE)
        subprocess.run(command.replace(printed, str(path)), shell=True, check=True)
    return path


def _text(path: Path) -> Path:
    """A secret that somebody else has given."""
    path.write_text("given-by-others\n")
    return path
