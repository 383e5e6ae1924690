# SPDX-License-Identifier: Apache-2.0
"""What httpd -t warns of: configurations that start, and serve otherwise than meant."""

import re
from dataclasses import replace
from typing import NamedTuple

import pytest

from lab import keytab
from lab.ad import REALM
from lab.gateway import MODULES
from lab.unique import unique_number

TLS = ("SSLProxyEngine On\nSSLProxyVerify require\n"
       "SSLProxyCACertificateFile /etc/ssl/certs/ca-certificates.crt\n")
HTTPS = "https://cas1.corp.example.test"
NO_USER = "EasKcdDelegate On\n"
VALID = "AuthType EasKcd\nAuthName x\nRequire valid-user\nEasKcdDelegate On\n"
SECTION = f'<Location "/x">\n{VALID}' + '{}\n</Location>\n'
MAPPED = SECTION.format(f'ProxyPass "{HTTPS}/x"')
CERTIFICATE = (f'<Location "/x">\n{NO_USER}EasKcdProtocolTransition On\n'
               f'EasKcdDelegateCertificate On\nProxyPass "{HTTPS}/x"\n</Location>\n')
MATCH = '<LocationMatch "^/x(/.*)?$">\n' + VALID + 'ProxyPassMatch "{}" {}\n</LocationMatch>\n'
PING = f'<Location "/Microsoft-Server-ActiveSync">\n{VALID}{{}}\nProxyPass "{HTTPS}/x"\n</Location>\n'
NAMED = "(virtual host mail.example.test, "
REWRITE = SECTION.format("") + "RewriteEngine On\nRewriteRule ^/x(.*)$ {} {}\n"


class Row(NamedTuple):
    tag: str        # the only one; "" for none
    conf: str
    said: str = ""


def virtual_host(conf: str) -> str:
    return f"<VirtualHost 127.0.0.1:1>\nServerName mail.example.test\n{conf}</VirtualHost>\n"


ROWS = {
    "nothing": Row("", TLS + MAPPED),
    "nothing, in a virtual host": Row("", virtual_host(TLS + MAPPED)),
    "nothing, inherited": Row("", TLS + virtual_host(MAPPED)),
    "nothing, without delegation": Row("", '<Location "/x">\nProxyPass "http://cas1/x"\n</Location>\n'),
    "nothing, of a <Proxy>": Row("", "SSLProxyEngine On\n"
                                 f'<Proxy "{HTTPS}">\nSSLProxyVerify require\n</Proxy>\n' + MAPPED),
    "clear text": Row("EAS3053", SECTION.format('ProxyPass "http://cas1.corp.example.test/x"'),
                      "http://cas1.corp.example.test/x"),
    "clear text on this machine": Row("", SECTION.format('ProxyPass "http://127.0.0.1:8080/x"')),
    "clear text of a member": Row(
        "EAS3053", TLS + f'<Proxy "balancer://b">\nBalancerMember "{HTTPS}"\n'
        'BalancerMember "http://cas2.corp.example.test"\n</Proxy>\n'
        + SECTION.format('ProxyPass "balancer://b/x"'), "http://cas2.corp.example.test"),
    "clear text by the server's ProxyPass": Row(
        "EAS3053", SECTION.format("") + 'ProxyPass "/x" "http://cas1.corp.example.test/x"\n'),
    "no TLS": Row("EAS3054", TLS.replace("SSLProxyEngine On\n", "") + MAPPED,
                  "SSLProxyEngine On"),
    "no TLS in a virtual host": Row(
        "EAS3054", TLS + virtual_host("SSLProxyEngine Off\n" + MAPPED), "httpd.conf:"),
    "not verified": Row("EAS3055", "SSLProxyEngine On\n" + MAPPED, "the certificate of"),
    "verification off": Row("EAS3055", TLS + virtual_host("SSLProxyVerify none\n" + MAPPED),
                            NAMED),
    "name not verified": Row("EAS3055", TLS + "SSLProxyCheckPeerName Off\n" + MAPPED,
                             "remove SSLProxyCheckPeerName Off"),
    "$1": Row("EAS3056", TLS + MATCH.format(f"{HTTPS}/x$1", ""), "add enablereuse=on"),
    "$1 with reuse": Row("", TLS + MATCH.format(f"{HTTPS}/x$1", "enablereuse=on")),
    "$1 in the host": Row("EAS3056", TLS + MATCH.format("https://cas$1.example.test/x",
                                                        "enablereuse=on"), "for each host"),
    "$1 of the whole host": Row(
        "EAS3056", TLS + f'ProxyPassMatch "^/(x(/.*)?)$" "{HTTPS}/$1"\n<LocationMatch "^/x(/|$)">\n{VALID}'
        "</LocationMatch>\n"),
    "no reuse": Row("EAS3056", TLS + SECTION.format(f'ProxyPass "{HTTPS}/x" disablereuse=on')),
    "no reuse of a member": Row(
        "EAS3056", TLS + f'<Proxy "balancer://b">\nBalancerMember "{HTTPS}" disablereuse=on\n'
        "</Proxy>\n" + SECTION.format('ProxyPass "balancer://b/x"'), HTTPS),
    "WebSocket": Row("EAS3110", TLS + SECTION.format(f'ProxyPass "{HTTPS}/x" upgrade=websocket'),
                     f"the worker of {HTTPS}/x has upgrade="),
    "WebSocket of a member": Row(
        "EAS3110", TLS + f'<Proxy "balancer://b">\nBalancerMember "{HTTPS}" upgrade=ANY\n</Proxy>\n'
        + SECTION.format('ProxyPass "balancer://b/x"'), f"the worker of {HTTPS} has upgrade="),
    "no WebSocket": Row("", TLS + SECTION.format(f'ProxyPass "{HTTPS}/x" upgrade=NONE')),
    "other errors": Row("EAS3057", TLS + "ProxyErrorOverride On\n" + MAPPED, "/x: "),
    "other errors of a section": Row(
        "EAS3057", TLS + SECTION.format(f'ProxyErrorOverride On 500\nProxyPass "{HTTPS}/x"')),
    "the backend's errors": Row(
        "", TLS + "ProxyErrorOverride On\n"
        + SECTION.format(f'ProxyErrorOverride Off\nProxyPass "{HTTPS}/x"')),
    "no Require": Row("EAS3058", TLS + f'<Location "/x">\n{NO_USER}ProxyPass "{HTTPS}/x"\n'
                      "</Location>\n", "/x: "),
    "a Require elsewhere": Row("EAS3058", TLS + f'<Location "/x">\n{NO_USER}ProxyPass "{HTTPS}/x"\n'
                               '</Location>\n<Location "/y">\nRequire valid-user\n</Location>\n'),
    "Require all granted": Row("", TLS + SECTION.format(f'ProxyPass "{HTTPS}/x"').replace(
        "Require valid-user", "Require all granted")),
    "Require in <RequireAll>": Row("", TLS + SECTION.format(f'ProxyPass "{HTTPS}/x"').replace(
        "Require valid-user", "<RequireAll>\nRequire valid-user\n</RequireAll>")),
    "an outer Require": Row("", TLS + f'<Location "/x">\n{NO_USER}ProxyPass "{HTTPS}/x"\n'
                            '</Location>\n<Location "/">\nRequire valid-user\n</Location>\n'),
    "Always instead of Require": Row(
        "", TLS + f'<Location "/x">\n{NO_USER}EasKcdAlwaysAuthenticate On\n'
        f'ProxyPass "{HTTPS}/x"\n</Location>\n'),
    "a user of another module": Row(
        "", TLS + f'<Location "/x">\n{NO_USER}EasKcdProtocolTransition On\n'
        f'EasKcdDelegateUser "%{{REMOTE_USER}}"\nProxyPass "{HTTPS}/x"\n</Location>\n'),
    "a user of a name in a certificate": Row(
        "EAS3137", TLS + f'<Location "/x">\n{NO_USER}EasKcdProtocolTransition On\n'
        f'EasKcdDelegateUser "%{{SSL_CLIENT_S_DN_CN}}"\nProxyPass "{HTTPS}/x"\n</Location>\n',
        "prefer EasKcdDelegateCertificate On"),
    "the same in an <If>": Row(
        "EAS3137", TLS + SECTION.format(
            f'ProxyPass "{HTTPS}/x"\n<If true>\nEasKcdDelegateUser "%{{REMOTE_USER}}"\n</If>\n'
            '<If true>\nEasKcdDelegateUser "%{SSL:SSL_CLIENT_S_DN_CN}"\n</If>')),
    "a user whom the KDC finds": Row("", TLS + CERTIFICATE + "SSLVerifyClient optional\n"),
    "no certificate is asked for": Row("EAS3138", TLS + CERTIFICATE),
    "certificates of anybody": Row("EAS3138", TLS + CERTIFICATE + "SSLVerifyClient optional_no_ca\n"),
    "rewritten": Row("EAS3059", TLS + REWRITE.format(f"{HTTPS}/x$1", "[L,P]"),
                     f'add <Proxy "{HTTPS}/"> with ProxySet enablereuse=on'),
    "rewritten, <Proxy> without ProxySet": Row(
        "EAS3059", TLS + f'<Proxy "{HTTPS}/">\nRequire all granted\n</Proxy>\n'
        + REWRITE.format(f"{HTTPS}/x$1", "[proxy]")),
    "rewritten, with a worker": Row("", TLS + f'<Proxy "{HTTPS}/">\nProxySet enablereuse=on\n</Proxy>\n'
                                    + REWRITE.format(f"{HTTPS}/x$1", "[P]")),
    "rewritten to a variable host": Row("", TLS + REWRITE.format("https://%1/x$1", "[P]")),
    "redirected": Row("", TLS + REWRITE.format(f"{HTTPS}/x$1", "[R]")),
    "TLS, and not required": Row(
        "EAS3060", virtual_host(TLS + "SSLEngine On\nEasKcdRequireTLS Off\n" + MAPPED), "httpd.conf:"),
    "short Ping": Row("EAS3050", TLS + virtual_host(PING.format("EasKcdCommandTimeout Ping 9s")), NAMED),
    "worker that cuts a Ping": Row("EAS3051", TLS + virtual_host(PING.format("EasKcdParseEas Off")), NAMED),
    "letter case": Row("EAS3052", TLS + virtual_host(
        f'ProxyPass "/" "{HTTPS}/"\n<Location "/owa">\n{VALID}</Location>\n'), NAMED),
    "TLS ends in front": Row("", virtual_host(TLS + "EasKcdRequireTLS Off\n" + MAPPED)),
}


@pytest.mark.parametrize("what", ROWS)
def test_warnings(gateway, what):
    row = ROWS[what]
    code, said = gateway(row.conf, tls=False, start=False).check_config()
    assert code == 0, said
    assert re.findall(r"\bEAS3(?:0[56]\d|11\d|13[5-9])\b", said) == ([row.tag] if row.tag else []), said
    assert row.said in said


# --- keytab, realms, krb5.conf -------------------------------------------------------------------

NO_KEYTAB = '<Location "/">\nAuthType EasKcd\nAuthName x\nRequire valid-user\n</Location>\n'


def warnings(gw):
    code, said = gw.check_config()
    assert code == 0, said
    return [line[line.index("EAS30"):] for line in said.splitlines() if re.search(r"EAS306[1-7]", line)]


def only_warning(gw, tag, *words):
    line, = warnings(gw)
    assert line.startswith(tag), line
    assert [word for word in words if word not in line] == [], line


def test_keytab_with_rc4_alone(gateway):
    gw = gateway("", start=False)
    keytab.edit(gw.keytab, lambda entry: replace(entry, enctype=keytab.RC4, key=entry.key[:16]))
    only_warning(gw, "EAS3062", "only RC4 keys of gateway@", "msDS-SupportedEncryptionTypes")


def test_keytab_with_services_alone(gateway, domain, lab_dir):
    path = domain.export_keytab(lab_dir / f"services-{unique_number()}.keytab",
                                ["HTTP/gateway.corp.example.test"])
    only_warning(gateway(f'EasKcdKeytab "{path}"', account=None, start=False), "EAS3063",
                 "HTTP/gateway.corp.example.test@", "export the account's own name")


def test_auth_type_without_keytab(gateway):
    only_warning(gateway(NO_KEYTAB, account=None, start=False), "EAS3064", "httpd.conf:",
                 "EasKcdKeytab")


def test_auth_type_without_keytab_in_a_virtual_host(gateway):
    gw = gateway(virtual_host(NO_KEYTAB), account=None, start=False)
    only_warning(gw, "EAS3064", "(virtual host mail.example.test, ")


def test_auth_type_with_another_provider(gateway):
    gw = gateway("EasKcdPasswordProvider file\n" + NO_KEYTAB, account=None, start=False,
                 modules=(*MODULES, "authn_file"))
    assert warnings(gw) == []


@pytest.mark.parametrize("realm,words", [("corp.Example.TEST", "has lower-case letters"),
                                         ("NOWHERE.EXAMPLE.TEST", "krb5.conf has no KDC of")])
def test_realm_of_a_domain(gateway, realm, words):
    gw = gateway(f"EasKcdDomain A {REALM}\nEasKcdDomain B {realm}\n", start=False)
    only_warning(gw, "EAS3065", words, realm, "httpd.conf:")


def test_default_realm_is_not_the_keytabs(gateway, domain, lab_dir):
    conf = domain.write_krb5_conf(lab_dir / f"other-{unique_number()}.conf", domain.port,
                                  "    default_realm = OTHER.EXAMPLE.TEST")
    only_warning(gateway("", krb5_conf=conf, start=False), "EAS3066", "OTHER.EXAMPLE.TEST",
                 f"set EasKcdRealm {REALM}")
    for meant in (REALM, "OTHER.EXAMPLE.TEST"):
        assert warnings(gateway(f"EasKcdRealm {meant}\n", krb5_conf=conf, start=False)) == []


@pytest.mark.parametrize("what", ["file", "directory"])
def test_krb5_conf_that_children_cannot_read(gateway, domain, lab_dir, what):
    folder = lab_dir / f"closed-{unique_number()}"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    conf = domain.write_krb5_conf(folder / "krb5.conf", domain.port)
    gw = gateway("", krb5_conf=conf, start=False)
    assert warnings(gw) == []
    (conf if what == "file" else folder).chmod(0o600)
    only_warning(gw, "EAS3067", str(conf), "www-data", "chmod 644")


def test_cookie_that_others_can_set(gateway):
    only_warning(gateway("EasKcdSessionCookie mail\n", start=False), "EAS3061", "write __Host-mail")
    assert warnings(gateway("EasKcdSessionCookie __Host-mail\n", start=False)) == []


def test_nothing_to_warn_of(gateway):
    assert warnings(gateway("", start=False)) == []
