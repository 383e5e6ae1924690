# SPDX-License-Identifier: Apache-2.0
"""build/demo, in a directory of its own: beside one that somebody runs by hand."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from lab.ad import REALM
from lab.gateway import module_under_test
from lab.sanitizer import starts_httpd_itself
from lab.wait import until

pytestmark = starts_httpd_itself
COMMAND = Path(__file__).parents[1] / "build" / "demo"


class Demo:
    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *args: str, **env: str) -> tuple[int, str]:
        done = subprocess.run([COMMAND, *args], text=True, timeout=300,
                              env=os.environ | {"EAS_DEMO_DIR": str(self.path)} | env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    @property
    def session(self) -> int:
        """The keeper leads the session of everything that it has started."""
        return int((self.path / "keeper.pid").read_text())


def members(session: int) -> list[str]:
    """The processes of a session, but for those that only wait for init to notice their end."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if (os.getsid(int(status.parent.name)) == session
                    and "\nState:\tZ" not in (text := status.read_text())):
                found.append(text)
        except (ProcessLookupError, FileNotFoundError):
            pass
    return found


def assert_ended(session: int) -> None:
    until(lambda: not members(session), 5, "the last process to end")


@pytest.fixture
def demo(lab_dir):
    if not module_under_test().exists():
        pytest.skip(f"{module_under_test()} is not built")
    made = Demo(lab_dir / "demo")
    yield made
    made.run("stop")


def test_its_life(demo):
    """Start, the command that it prints, start again, stop."""
    code, said = demo.run()
    assert code == 0, said
    assert f"saw alice@{REALM}, authenticated by Negotiate" in said
    assert "EAS_COMMAND=FolderSync, EAS_DEVICE_ID=ApplDNPHTK1MF0KY" in said
    for tag in ("EAS1062", "EAS1030", "EAS2030", "EAS1210"):
        assert tag in said
    command, = (line for line in said.splitlines() if line.startswith("  curl "))
    answer = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
    assert json.loads(answer.stdout)["remote_user"] == f"alice@{REALM}"

    first = demo.session
    assert len(members(first)) > 5
    assert demo.run()[0] == 0
    second = demo.session
    assert_ended(first)
    assert members(second)

    assert demo.run("stop") == (0, "Stopped.\n")
    assert_ended(second)
    assert not demo.path.exists()
    assert demo.run("stop") == (0, "Nothing was running.\n")


def test_failure_shows_and_leaves_nothing_running(demo):
    code, said = demo.run(EAS_T_MODULE="/nonexistent.so")
    assert code == 1 and "/nonexistent.so" in said
    assert_ended(demo.session)
    assert demo.run("stop")[0] == 0
    assert not demo.path.exists()


def test_a_directory_that_is_not_its_own_is_left_alone(demo):
    demo.path.mkdir()
    (demo.path / "precious").touch()
    code, said = demo.run("stop")
    assert code == 1 and "not the demo's" in said
    assert (demo.path / "precious").exists()
