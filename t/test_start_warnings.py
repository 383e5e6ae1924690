# SPDX-License-Identifier: Apache-2.0
"""What httpd -t warns of: configurations that start, and serve otherwise than meant."""

import re
from typing import NamedTuple

import pytest

TLS = ("SSLProxyEngine On\nSSLProxyVerify require\n"
       "SSLProxyCACertificateFile /etc/ssl/certs/ca-certificates.crt\n")
HTTPS = "https://cas1.corp.example.test"
NO_USER = "EasKcdDelegate On\n"
VALID = "AuthType EasKcd\nAuthName x\nRequire valid-user\nEasKcdDelegate On\n"
SECTION = f'<Location "/x">\n{VALID}' + '{}\n</Location>\n'
MAPPED = SECTION.format(f'ProxyPass "{HTTPS}/x"')
MATCH = '<LocationMatch "^/x(/.*)?$">\n' + VALID + 'ProxyPassMatch "{}" {}\n</LocationMatch>\n'
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
                            "(virtual host mail.example.test, "),
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
        f'EasKcdDelegateUser "%{{SSL_CLIENT_S_DN_CN}}"\nProxyPass "{HTTPS}/x"\n</Location>\n'),
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
    "TLS ends in front": Row("", virtual_host(TLS + "EasKcdRequireTLS Off\n" + MAPPED)),
}


@pytest.mark.parametrize("what", ROWS)
def test_warnings(gateway, what):
    row = ROWS[what]
    code, said = gateway(row.conf, tls=False, start=False).check_config()
    assert code == 0, said
    assert re.findall(r"\bEAS30[56]\d\b", said) == ([row.tag] if row.tag else []), said
    assert row.said in said
