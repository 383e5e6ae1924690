# SPDX-License-Identifier: Apache-2.0
"""configure's messages about libraries that are missing or too old."""

import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
KRB5 = ("krb5", "krb5-gssapi")
CASES = {
    "no krb5": ({}, "no MIT Kerberos of 1.20 or later: please install libkrb5-dev"),
    "old krb5": (dict.fromkeys(KRB5, "1.19.4"),
                 "MIT Kerberos 1.19.4 is too old: please install 1.20 or later"),
    "old OpenSSL": (dict.fromkeys(KRB5, "1.20") | {"libcrypto": "3.0.2"},
                    "OpenSSL 3.0.2 is too old: please install 3.0.3 or later"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source tree that no configure has run in: VPATH builds need a clean one."""
    path = tmp_path_factory.mktemp("configure")
    for name in ("configure", "build", "mod_eas_kcd.c"):
        (path / name).symlink_to(TOP / name)
    return path


def test_old_httpd(tree, tmp_path):
    (tmp_path / "ap_mmn.h").write_text(
        "#define AP_MODULE_MAGIC_AT_LEAST(major, minor) ((minor) <= 123)\n")
    apxs = tmp_path / "apxs"
    apxs.write_text(f'#!/bin/sh\n[ "$2" = INCLUDEDIR ] && exec echo "{tmp_path}"\nexec apxs "$@"\n')
    apxs.chmod(0o755)
    ran = subprocess.run(["./configure", f"--with-apxs={apxs}", "--config-cache"], cwd=tree,
                         capture_output=True, text=True)
    assert ran.returncode == 1
    assert "configure: error: httpd is too old: please install 2.4.53 or later" in ran.stderr


def test_other_system(tree):
    ran = subprocess.run(["./configure", "--host=x86_64-unknown-freebsd14"], cwd=tree,
                         capture_output=True, text=True)
    assert ran.returncode == 1
    assert "configure: error: the module is for Linux, and this is freebsd14" in ran.stderr


@pytest.mark.parametrize("case", CASES)
def test_library_is_missing_or_too_old(case, tree, tmp_path):
    """Too old is told from missing, with the version found and the version needed."""
    versions, message = CASES[case]
    for name, version in versions.items():
        (tmp_path / f"{name}.pc").write_text(
            f"Name: {name}\nDescription: {name}\nVersion: {version}\n")

    ran = subprocess.run(["./configure", "--config-cache"], cwd=tree, capture_output=True,
                         text=True, env=os.environ | {"PKG_CONFIG_LIBDIR": str(tmp_path)})

    assert ran.returncode == 1
    assert f"configure: error: {message}" in ran.stderr
