# SPDX-License-Identifier: Apache-2.0
"""Recipes for logs: fail2ban finds guessers and no victim, logrotate loses no event."""

import json
import re
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.ad import PASSWORDS
from lab.client import Client
from lab.exchange import location
from lab.examples import block_with
from lab.pages import RECIPES, TEXT, TOP
from lab.wait import until

LOGROTATE = Path("/etc/logrotate.d/apache2")
COUNTED = ("EAS1030", "EAS1031", "EAS1303")
GUESSER, ATTACKER, VICTIM, PHONE = "127.0.0.7", "127.0.0.8", "127.0.0.9", "127.0.0.10"


@pytest.fixture
def fail2ban(tmp_path):
    """Debian's configuration with our filter and the page's jail alone."""
    config = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", config)
    shutil.copy(TOP / "build/package/fail2ban.conf", config / "filter.d/eas-kcd.conf")
    for jail in (config / "jail.d").iterdir():
        jail.unlink()

    def run(command: str, *arguments) -> str:
        done = subprocess.run([command, "-c", config, *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        return done.stdout
    run.jails = config / "jail.d"
    return run


def found_by(fail2ban, gw) -> list[str]:
    """The address of each line that the filter counts."""
    return fail2ban("fail2ban-regex", "-o", "ip", gw.error_log.path, "eas-kcd").split()


@pytest.fixture
def logging(gateway, backends):
    """logging(level, …): a gateway without TLS, and get(address, …) at it."""
    def make(level: str, **options):
        gw = gateway("EasKcdRequireTLS Off\n" + location(backends("cas1").url), tls=False,
                     log_level=level, **options)

        def get(source, *pair, path="/eas", headers=()):
            with Client(gw.port, source=source) as client:
                return client.get(path, *pair, headers=headers).status
        return gw, get
    return make


def test_fail2ban_finds_guesses(logging, fail2ban):
    """A wrong password, a user whom nobody knows and an empty budget, but no log-on, no request
    without one, and no repetition."""
    gw, get = logging("notice eas_kcd:info")
    gw.expect("EAS1030", "EAS1031", "EAS1062", "EAS1300", "EAS1303", "EAS1313")
    assert [get(PHONE, *pair) for pair in (
        (), ("bob", "stale"), ("bob", "stale"), ("bob", PASSWORDS["bob"]))] == [401, 401, 401, 200]
    assert get(GUESSER, "alice", "wrong") == 401
    with ThreadPoolExecutor(10) as pool:
        strangers = [pool.submit(get, GUESSER, f"nobody-{n}", "wrong") for n in range(110)]
    assert 503 in {each.result() for each in strangers}
    counted = [tag for tag in gw.error_log.tags() if tag in COUNTED]
    found = found_by(fail2ban, gw)
    assert len(found) == len(counted)
    assert (found.count(PHONE), found.count(GUESSER)) == (1, len(found) - 1)


def test_fail2ban_finds_nothing_at_a_higher_level(logging, fail2ban):
    """The page says so; the line that an address has used up its budget is no guess."""
    gw, get = logging("notice")
    gw.expect("EAS1313")
    with ThreadPoolExecutor(10) as pool:
        strangers = [pool.submit(get, GUESSER, f"nobody-{n}", "wrong") for n in range(110)]
    assert {each.result() for each in strangers} == {401, 503}
    assert found_by(fail2ban, gw) == []


HEADERS = ("Referer", "User-Agent", "X-Forwarded-For", "Cookie", "Origin")
LIE = f"[Sat Nov 28 10:00:00.000000 2026] [eas_kcd:info] [pid 1:tid 1] [client {VICTIM}:1] EAS1030: x"


def test_fail2ban_counts_no_other_address(logging, fail2ban):
    """A client writes a line of the log wherever it can, with and without a line's end before."""
    gw, get = logging("debug")
    lines = [LIE, f"\n{LIE}\n", f"\r\n{LIE}", f"\x00\x1b[2K{LIE}", f"\\n{LIE}", "\u2028" + LIE]
    for line in lines:
        quoted = "".join(f"%{byte:02x}" for byte in line.encode())
        header = re.sub(r"[\r\n\x00-\x1f]", "\t", line).encode("utf-8").decode("latin-1")
        for path in ("/eas", f"/eas/{quoted}", f"/nowhere/{quoted}"):
            get(ATTACKER, line, line, path=path, headers=[(name, header) for name in HEADERS])
    for method, host in ((LIE, "x"), ("GET", LIE), (f"G\x0b{LIE}", "x")):
        with socket.create_connection(("127.0.0.1", gw.port), 20, (ATTACKER, 0)) as client:
            client.sendall(f"{method} /eas HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert client.recv(12).startswith(b"HTTP/1.1 4")
    assert get(ATTACKER, "nobody", "wrong") == 401
    assert f"[client {VICTIM}:1] EAS1030" in gw.error_log.text()
    assert set(found_by(fail2ban, gw)) == {ATTACKER}


def test_jail_is_accepted(fail2ban, tmp_path):
    jail, = re.findall(r"^```ini\n(\[eas-kcd\].*?)^```$", TEXT[RECIPES], re.DOTALL | re.MULTILINE)
    (tmp_path / "error.log").touch()
    (fail2ban.jails / "eas-kcd.local").write_text(
        jail.replace("/var/log/apache2/error.log", str(tmp_path / "error.log")))
    dumped = fail2ban("fail2ban-client", "-d")
    assert "['add', 'eas-kcd', 'auto']" in dumped
    assert "['set', 'eas-kcd', 'maxretry', 30]" in dumped
    assert "'eas-kcd', 'addignoreip', '127.0.0.0/8', '::1', '192.0.2.0/24'" in dumped


def test_logrotate_loses_no_event(example, backends, tmp_path, lab_dir):
    """By Debian's file. Before, between and after two rotations each log-on has its line."""
    log = lab_dir / "eas_kcd-events.log"
    gw = example(block_with("APACHE_LOG_DIR}/eas_kcd-events") + location(backends("cas1").url), tls=True)
    gw.start()
    gw.expect("EAS1031")
    text = LOGROTATE.read_text()
    text = text.replace("/var/log/apache2/*.log", str(log)).replace(
        "if pgrep -f ^/usr/sbin/apache2 > /dev/null; then", "").replace(
        "invoke-rc.d apache2 reload 2>&1 | logger -t apache2.logrotate",
        f"kill -USR1 {gw.daemon.process.pid}").replace(
        "\t\tfi\n\tendscript\n}", "\tendscript\n}")
    assert text.count("kill -USR1") == 1 and "delaycompress" in text
    conf = tmp_path / "logrotate.conf"
    conf.write_text(text)
    for number in range(3):
        assert gw.get("/eas", f"nobody-{number}", "wrong").status == 401
        if number < 2:
            rotate(gw, conf, tmp_path)
    kept = [log.with_name(f"{log.name}{end}") for end in ("", ".1", ".2.gz")]
    assert log.stat().st_mode & 0o777 == 0o640
    assert until(lambda: [events(path) for path in kept] == [1, 1, 1], 5, "three files")


def rotate(gw, conf: Path, path: Path) -> None:
    before = gw.error_log.text().count("resuming normal operations")
    done = subprocess.run(["/usr/sbin/logrotate", "-f", "-s", path / "state", conf], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    until(lambda: gw.error_log.text().count("resuming normal operations") > before, 20, "a reload")


def events(path: Path) -> int:
    """Refused log-ons in a file, compressed or not."""
    done = subprocess.run(["zcat", "-f", path], capture_output=True, text=True)
    return [json.loads(line)["tag"] for line in done.stdout.splitlines()].count("EAS1031")
