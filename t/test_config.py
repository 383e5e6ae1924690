# SPDX-License-Identifier: Apache-2.0
"""Configurations that httpd -t refuses, by name and with the cure, and how sections inherit."""

import re
from pathlib import Path

import pytest

from lab.ad import PASSWORDS, REALM
from lab.exchange import location
from lab.gateway import MODULES
from lab.httpd import DEBIAN_MODULES

DELEGATING = '<Location "/x">\nEasKcdDelegate On\nProxyPass "{}"\n</Location>\n'
MEMBER = ('<Proxy "balancer://b">\nBalancerMember "http://127.0.0.1:8080"\n'
          'BalancerMember "{}://127.0.0.1:8443"\n</Proxy>\n'
          + DELEGATING.format("balancer://b"))

REFUSED = {
    "missing keytab": ("EasKcdKeytab /nonexistent.keytab", "EAS3001", "EasKcdKeytab must name"),
    "keytab that is no file": ("EasKcdKeytab MEMORY:x", "EasKcdKeytab", "'MEMORY:x' is no file"),
    "bad REMOTE_USER": ("EasKcdRemoteUser sam", "EasKcdRemoteUser",
                        "none of principal, account and upn"),
    "no such entry": ("EasKcdPrincipal nobody@CORP.EXAMPLE.TEST", "EAS3003", "klist -k"),
    "unparsable principal": ("EasKcdPrincipal a@b@c", "EAS3002", "EasKcdPrincipal"),
    "bad realm": ("EasKcdRealm user@REALM", "EasKcdRealm", "is no realm"),
    "bad domain": ("EasKcdDomain a@b REALM", "EasKcdDomain", "for example"),
    "bad duration": ("EasKcdKdcTimeout 300x", "EasKcdKdcTimeout", "is no duration"),
    "negative duration": ("EasKcdPasswordCache -5", "EasKcdPasswordCache", "is no duration"),
    "bad time of a session": ("EasKcdSession public 15q 8h", "EasKcdSession", "'15q' is no duration"),
    "bad end of a session": ("EasKcdSession public 15m 8q", "EasKcdSession", "'8q' is no duration"),
    "no time without use": ("EasKcdSession public 0 8h", "EasKcdSession", "'0' without use must be"),
    "end before the time without use": ("EasKcdSession private 8h 15m", "EasKcdSession",
                                        "'15m' at most is shorter than '8h'"),
    "login path below ActiveSync": ("EasKcdLoginPath /microsoft-server-activesync/log/",
                                    "EasKcdLoginPath", "is below ActiveSync's path"),
    "short timeout": ("EasKcdKdcTimeout 5ms", "EasKcdKdcTimeout", "at least 100ms"),
    "SPN without slash": ("EasKcdSPN http", "EasKcdSPN", "service/host"),
    "SPN with realm": ("EasKcdSPN HTTP/%h@REALM", "EasKcdSPN", "must not name a realm"),
    "SPN with unknown %": ("EasKcdSPN HTTP/%x", "EasKcdSPN", "knows only %h"),
    "bad expression": ('EasKcdDelegateUser "%{"', "EasKcdDelegateUser", "cannot parse"),
    "contradiction": ('<Location "/x">\nEasKcdDelegate On\nEasKcdProtocolTransition Off\n'
                      'EasKcdDelegateUser "x"\n</Location>', "EAS3012",
                      "EasKcdProtocolTransition On"),
    "user without transition": ('<Location "/x">\nEasKcdDelegate On\nEasKcdDelegateUser "x"\n'
                                "</Location>", "EAS3012", "EasKcdProtocolTransition On"),
    "certificate without transition": ('<Location "/x">\nEasKcdDelegate On\n'
                                       "EasKcdDelegateCertificate On\n</Location>", "EAS3135",
                                       "EasKcdProtocolTransition On"),
    "certificate and user": ('<Location "/x">\nEasKcdDelegate On\nEasKcdProtocolTransition On\n'
                             'EasKcdDelegateUser "x"\nEasKcdDelegateCertificate On\n</Location>',
                             "EAS3136", "remove one"),
    "login page that is not there": ('EasKcdLoginPage "/nonexistent.html"', "EAS3030",
                                     "No such file"),
    "ajp": (DELEGATING.format("ajp://127.0.0.1:8009"), "EAS3013", "use an http or https backend"),
    "h2": (DELEGATING.format("h2://127.0.0.1:8443"), "EAS3013", "use an http or https backend"),
    "h2c": (DELEGATING.format("h2c://127.0.0.1:8443"), "EAS3013", "use an http or https backend"),
    "h2 member": (MEMBER.format("h2"), "EAS3013", "use an http or https backend"),
    "WebSocket": (DELEGATING.format("ws://127.0.0.1:8080"), "EAS3013",
                  "use an http or https backend"),
    "WebSocket over TLS": (DELEGATING.format("wss://127.0.0.1:8443"), "EAS3013",
                           "use an http or https backend"),
    "WebSocket member": (MEMBER.format("wss"), "EAS3013", "use an http or https backend"),
    "h2c member": (MEMBER.format("h2c"), "EAS3013", "use an http or https backend"),
    "too few pools": ("EasKcdBackendPools 0", "EasKcdBackendPools", "from 1 to 4096"),
    "pools in a section": ('<Location "/x">\nEasKcdBackendPools 8\n</Location>',
                           "EasKcdBackendPools", "not allowed"),
    "pools of a virtual host": ("<VirtualHost *:1>\nEasKcdBackendPools 8\n</VirtualHost>",
                                "EasKcdBackendPools", "cannot occur within"),
    "bad long polls": ("EasKcdLongPolls -1", "EasKcdLongPolls", "neither Off nor a number"),
    "too many long polls": ("EasKcdLongPolls 1001", "EasKcdLongPolls", "from 0 to 1000"),
    "bad spread": ("EasKcdParkSpread soon", "EasKcdParkSpread", "write 3s"),
    "too long a spread": ("EasKcdParkSpread 61s", "EasKcdParkSpread", "at most a minute"),
    "spread of a virtual host": ("<VirtualHost *:1>\nEasKcdParkSpread 3s\n</VirtualHost>",
                                 "EasKcdParkSpread", "cannot occur within"),
    "bad mutual": ("EasKcdMutualAuth maybe", "EasKcdMutualAuth", "required"),
    "bad token": ("EasKcdToken heimdal", "EasKcdToken", "neither native nor gssapi"),
    "bad armour": ("EasKcdArmor Perhaps", "EasKcdArmor", "none of Off, Try and Require"),
    "empty event log": ('EasKcdEventLog "|"', "EasKcdEventLog", "takes a file, or a program"),
    "bad retry body": ("EasKcdRetryBody -1", "EasKcdRetryBody", "bytes"),
    "retry body with a unit": ("EasKcdRetryBody 128x", "EasKcdRetryBody", "bytes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_at_configtest(gateway, what):
    conf, name, cure = REFUSED[what]
    gw = gateway(conf, start=False, modules=(*MODULES, "proxy_ajp", "proxy_http2"))
    code, said = gw.check_config()
    assert code != 0
    assert name in said and cure in said
    if name in ("EAS3001", "EAS3002", "EAS3003"):
        assert re.search(rf"{name}: .* \({re.escape(str(gw.conf_file))}:\d+\)$", said, re.MULTILINE)
    assert name in gw.refusal()


@pytest.mark.parametrize("kind", ["FILE:", "WRFILE:"])
def test_keytab_as_krb5_names_it(gateway, backends, domain, lab_dir, kind):
    keytab = domain.export_keytab(lab_dir / "named.keytab", ["gateway"])
    keytab.chmod(0o600)
    gw = gateway(f'EasKcdKeytab "{kind}{keytab}"\n' + location(backends("cas1").url), account=None)
    assert gw.get("/eas/x", "alice", PASSWORDS["alice"]).status == 200


@pytest.mark.smoke
def test_garbage_keytab(gateway, lab_dir):
    garbage = lab_dir / "garbage.keytab"
    garbage.write_bytes(b"this is no keytab")
    gw = gateway(f'EasKcdKeytab "{garbage}"', start=False)
    code, said = gw.check_config()
    assert code != 0 and "EAS3001" in said


def test_keytab_that_everybody_reads(gateway, domain, lab_dir):
    """It makes tickets in any user's name, as the secret file makes sessions."""
    keytab = domain.export_keytab(lab_dir / "exposed.keytab", ["gateway"])
    keytab.chmod(0o644)
    gw = gateway(f'EasKcdKeytab "{keytab}"', start=False)
    code, said = gw.check_config()
    assert code != 0 and "EAS3006" in said and "chmod 600" in said
    keytab.chmod(0o640)
    assert gw.check_config()[0] == 0


PLACED = {          # tag, lines of a section, what follows them; ? for the number of a line
    "EAS3012": ('EasKcdDelegate On\nEasKcdDelegateUser "x"', "(/x, {}:?)"),
    "EAS3013": ('EasKcdDelegate On\nProxyPass "ajp://127.0.0.1:8009"', "(/x, {}:?)"),
}


@pytest.mark.parametrize("tag", PLACED)
@pytest.mark.parametrize("host", ["", "<VirtualHost *:1>\nServerName mail.example.test\n{}</VirtualHost>"])
def test_refusal_names_section_and_line(gateway, tag, host):
    """Of several sections, the wrong one."""
    lines, place = PLACED[tag]
    right = DELEGATING.format("http://127.0.0.1:9").replace("/x", "/right")
    sections = f'{right}<Location "/x">\n{lines}\n</Location>\n'
    gw = gateway(host.format(sections) if host else sections, start=False,
                 modules=(*MODULES, "proxy_ajp"))
    code, said = gw.check_config()
    place = re.escape(place.format(gw.conf_file)).replace(r"\?", r"(\d+)")
    line = int(re.search(f"{tag}: .* {place}" + (r" \(virtual host mail" if host else "$"), said,
                         re.MULTILINE)[1])
    text = gw.conf_file.read_text().splitlines()
    wanted = "EasKcdDelegateUser" if tag == "EAS3012" else "EasKcdDelegate On"
    assert code != 0 and text[line - 1].strip().startswith(wanted)
    assert text[:line].count('<Location "/x">') == 1


def test_delegation_without_keytab(gateway):
    gw = gateway(DELEGATING.format("http://127.0.0.1:9"), account=None, start=False)
    code, said = gw.check_config()
    assert code != 0 and "EAS3011" in said and "EasKcdKeytab" in said
    assert re.search(rf"\(/x, {re.escape(str(gw.conf_file))}:\d+\)", said)


def test_authentication_without_keytab(gateway, backends):
    """AuthType is httpd's own, so that this is seen by the first request only; refused, loudly."""
    gw = gateway('<Location "/">\nAuthType EasKcd\nAuthName x\nRequire valid-user\n</Location>',
                 account=None)
    gw.expect("EAS1061")
    answer = gw.get("/", "alice", PASSWORDS["alice"])
    assert answer.status == 503
    assert "EasKcdKeytab" in gw.error_log.text()


@pytest.mark.parametrize("missing", ["proxy", "proxy_http"])
def test_missing_mod_proxy_is_named(gateway, missing):
    modules = [name for name in MODULES if not name.startswith(("proxy", "lbmethod"))]
    if missing == "proxy_http":
        modules.append("proxy")
    gw = gateway('<Location "/x">\nEasKcdDelegate On\n</Location>', modules=modules, start=False)
    code, said = gw.check_config()
    assert code != 0 and "EAS3010" in said and "LoadModule proxy_http_module" in said


@pytest.mark.parametrize("module,name", [("proxy", b"proxy_hook_pre_request"),
                                         ("proxy_http", b"proxy-req-input")])
def test_other_mod_proxy_is_refused(gateway, lab_dir, module, name):
    """A name that the module reaches by its text is another one: no hook, or an empty body."""
    renamed = lab_dir / f"renamed-{name.decode()}.so"
    original = (DEBIAN_MODULES / f"mod_{module}.so").read_bytes()
    assert original.count(name + b"\0") == 1
    renamed.write_bytes(original.replace(name + b"\0", name[:-1] + b"_\0"))
    modules = [each for each in MODULES if each not in ("proxy_balancer", "lbmethod_byrequests")]
    for conf in (DELEGATING.format("http://127.0.0.1:9"), ""):
        gw = gateway(conf, modules=modules, own_modules={module: renamed}, start=False)
        code, said = gw.check_config()
        if conf:
            assert code != 0 and "EAS3014" in said and name.decode() in said
        else:
            assert code == 0, "delegation is off"


def test_authentication_needs_no_mod_proxy(gateway):
    modules = [name for name in MODULES if not name.startswith(("proxy", "lbmethod"))]
    gw = gateway('<Location "/">\nAuthType EasKcd\nAuthName x\nRequire valid-user\n</Location>',
                 modules=modules)
    assert gw.get("/", "alice", PASSWORDS["alice"]).status == 404


@pytest.mark.parametrize("place", ["first", "last"])
def test_any_load_order(gateway, backends, place):
    others = [name for name in MODULES if name != "eas_kcd"]
    modules = ["eas_kcd", *others] if place == "first" else [*others, "eas_kcd"]
    gw = gateway(location(backends("cas1").url), modules=modules)
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200


def test_keytab_may_be_roots_alone(gateway, backends):
    gw = gateway(location(backends("cas1").url), start=False)
    gw.keytab.chmod(0o600)
    assert gw.keytab.stat().st_uid == 0
    gw.start()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200


@pytest.mark.parametrize("directive", ["EasKcdDelegate On", "EasKcdSPN HTTP/x", "EasKcdRequireTLS Off",
                                       "EasKcdProtocolTransition On"])
def test_not_in_htaccess(gateway, lab_dir, directive):
    root = lab_dir / "htdocs"
    root.mkdir(exist_ok=True)
    root.chmod(0o755)
    (root / ".htaccess").write_text(directive + "\n")
    gw = gateway(f'DocumentRoot "{root}"\n<Directory "{root}">\nAllowOverride All\n'
                 'Require all granted\n</Directory>')
    assert gw.get("/").status == 500
    assert f"{directive.split()[0]} not allowed here" in gw.error_log.text()
    gw.error_log.mark()  # httpd says so at alert, without a tag that could be expected


@pytest.mark.smoke
def test_sections_inherit_one_by_one(gateway, backends):
    """An inner section that sets one directive keeps the outer ones, also explicit defaults."""
    cas1 = backends("cas1")
    gw = gateway(f"""
<Location "/">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    EasKcdDelegate On
    EasKcdSPN HTTP/nowhere
    EasKcdRequireTLS On
</Location>
<Location "/inner">
    EasKcdSPN HTTP/%h
    ProxyPass "{cas1.url}"
</Location>
<Location "/inner/off">
    EasKcdDelegate Off
    ProxyPass "{cas1.url}/open"
</Location>
<Location "/outer">
    ProxyPass "{cas1.url}"
</Location>
""")
    gw.expect("EAS2033")
    assert gw.get("/inner/x", "alice", PASSWORDS["alice"]).json()["remote_user"] == f"alice@{REALM}"
    off = gw.get("/inner/off/", "alice", PASSWORDS["alice"]).json()
    assert off["remote_user"] is None
    assert "Authorization" not in dict(off["headers"])
    assert gw.get("/outer", "alice", PASSWORDS["alice"]).status == 503


def test_virtual_hosts_inherit_and_differ(gateway, backends, domain, lab_dir):
    """Server directives merge into virtual hosts; domains add up."""
    cas1 = backends("cas1")
    gw = gateway("EasKcdDomain OUTER CORP.EXAMPLE.TEST\n", start=False)
    conf = gw.conf_file.read_text()
    gw.conf_file.write_text(conf + f"""
<VirtualHost 127.0.0.1:{gw.port}>
    ServerName one.example.test
    SSLEngine On
    EasKcdDomain INNER CORP.EXAMPLE.TEST
    {location(cas1.url)}
</VirtualHost>
<VirtualHost 127.0.0.1:{gw.port}>
    ServerName two.example.test
    SSLEngine On
    EasKcdPrincipal HTTP/gateway.corp.example.test
    EasKcdPasswordCache off
    {location(cas1.url)}
</VirtualHost>
""")
    gw.start()
    gw.expect("EAS2012")
    one, two = [("Host", "one.example.test")], [("Host", "two.example.test")]
    assert gw.get("/eas", r"INNER\alice", PASSWORDS["alice"], one).status == 200
    assert gw.get("/eas", r"OUTER\alice", PASSWORDS["alice"], one).status == 200
    assert gw.get("/eas", r"INNER\alice", PASSWORDS["alice"], two).status == 401
    # AD does not let a service name be a client: the second host can prove, but not delegate.
    assert gw.get("/eas", "alice", PASSWORDS["alice"], two).status == 503


def test_version_is_shown_as_modules_show_theirs(gateway):
    """In the notice of the start and, where ServerTokens lets it, in the Server header."""
    version, = re.findall(r"^AC_INIT\(\[mod_eas_kcd\], \[([\d.]+)\]\)",
                          (Path(__file__).parents[1] / "configure.ac").read_text(), re.MULTILINE)
    gw = gateway("ServerTokens Full")
    assert f" mod_eas_kcd/{version} " in gw.get("/").header("Server") + " "
    ready, = [entry.text for entry in gw.error_log.entries() if "resuming" in entry.text]
    assert f" mod_eas_kcd/{version} " in ready
