# SPDX-License-Identifier: Apache-2.0
"""What packages install beside the module. The life of the Debian package is t/package.py's."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from lab.ad import PASSWORDS
from lab.exchange import location
from lab.pages import README, REFERENCE, TEXT, TOP, sections

FILES = TOP / "build/package"
LOAD, CONF, FILTER, SPEC = (FILES / name for name in (
    "eas_kcd.load", "eas_kcd.conf", "fail2ban.conf", "mod_eas_kcd.spec"))


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


def test_fail2ban_finds_guesses(gateway, backends, tmp_path):
    """A wrong password, a user whom nobody knows and an empty budget, but no log-on, and no request
    without one."""
    gw = gateway("EasKcdRequireTLS Off\n" + location(backends("cas1").url), tls=False,
                 log_level="notice eas_kcd:info")
    gw.expect("EAS1030", "EAS1031", "EAS1062", "EAS1303", "EAS1313")
    guesses = (), ("alice", "wrong"), ("nobody-at-all", "wrong"), ("alice", PASSWORDS["alice"])
    assert [gw.get("/eas", *guess).status for guess in guesses] == [401, 401, 401, 200]
    with ThreadPoolExecutor(10) as pool:
        strangers = [pool.submit(gw.get, "/eas", f"nobody-{n}", "wrong") for n in range(110)]
    assert 503 in {each.result().status for each in strangers}
    found = [tag for tag in gw.error_log.tags() if tag in ("EAS1030", "EAS1031", "EAS1303")]
    config = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", config)
    shutil.copy(FILTER, config / "filter.d/eas-kcd.conf")
    done = subprocess.run(["fail2ban-regex", "-c", config, gw.error_log.path, "eas-kcd"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert re.search(rf"^Lines: .* {len(found)} matched", done.stdout, re.MULTILINE), done.stdout
