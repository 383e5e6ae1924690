# SPDX-License-Identifier: Apache-2.0
"""make dist: the tarball holds what git tracks and what autoreconf makes, and nothing else."""

import subprocess

import pytest

from lab.pages import TOP

HELPERS = {"autom4te.cache"}    # of autoreconf, not of configure


def files_of_git() -> set[str]:
    listed = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "--cached",
                             "--others", "--exclude-standard"], cwd=TOP, text=True,
                            stdout=subprocess.PIPE, check=True).stdout
    return {name for name in listed.splitlines() if (TOP / name).exists()}


def files_of_autoreconf() -> set[str]:
    """.gitignore lists them in its first section."""
    section = (TOP / ".gitignore").read_text().partition("\n\n")[0].splitlines()
    assert section[0] == "# autoreconf"
    return {name.strip("/") for name in section[1:]} - HELPERS


def test_tarball_holds_what_is_needed_and_nothing_built(tmp_path):
    if not (TOP / ".git").exists():
        pytest.skip("not in git")
    made = tmp_path / "dist"
    done = subprocess.run(["make", "distdir", f"distdir={made}"], cwd=TOP, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    packed = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert packed == files_of_git() | files_of_autoreconf()
