# SPDX-License-Identifier: Apache-2.0
"""What packages install beside the module. The life of the Debian package is t/package.py's."""

import re
import subprocess

from lab.pages import README, REFERENCE, TEXT, TOP, sections

FILES = TOP / "build/package"
LOAD, CONF, SPEC = (FILES / name for name in ("eas_kcd.load", "eas_kcd.conf", "mod_eas_kcd.spec"))


def test_one_version():
    """configure, the Debian package and the spec file."""
    version, = re.findall(r"AC_INIT\(\[mod_eas_kcd\], \[(.*)\]\)", (TOP / "configure.ac").read_text())
    assert (FILES / "debian/changelog").read_text().startswith(f"mod-eas-kcd ({version}) ")
    assert re.search(rf"^Version: +{re.escape(version)}$", SPEC.read_text(), re.MULTILINE)


def test_configuration_is_accepted(gateway):
    """As it is, and with its proposals."""
    text = CONF.read_text()
    proposals = [line[1:] for line in text.splitlines() if re.match(r"#EasKcd", line)]
    assert len(proposals) == 5
    for conf in (text, text + "\n".join(proposals[2:3])):
        code, said = gateway(conf, start=False, tls=False).check_config()
        assert code == 0, said
    for line in proposals:
        assert line.split()[0] in sections(REFERENCE, 2)


def test_log_format_is_the_references():
    line, = re.findall(r"^LogFormat .*", TEXT[REFERENCE], re.MULTILINE)
    assert line in CONF.read_text()


def test_dependencies_are_the_READMEs():
    """a2enmod enables them with the module; TLS is the administrator's."""
    wanted = set(re.search(r"^# Depends: (.*)", LOAD.read_text())[1].split())
    assert {"authn_core", "authz_core", "authz_user"} <= wanted
    enabled = set(re.search(r"a2enmod eas_kcd (.*)", TEXT[README])[1].split())
    assert enabled - {"ssl"} <= wanted | {"proxy"}      # proxy_http enables proxy


def test_spec_file_is_parsed():
    done = subprocess.run(["rpmspec", "-P", SPEC], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
