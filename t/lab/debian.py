# SPDX-License-Identifier: Apache-2.0
"""A Debian of its own in a directory, by debootstrap: as root, with a network."""

import shutil
import subprocess
from pathlib import Path

from .names import HOSTS


class Debian:
    def __init__(self, path: Path, suite: str, mirror: str | None) -> None:
        self.path = path
        subprocess.run(["debootstrap", "--variant=minbase", suite, path,
                        *([mirror] if mirror else [])], check=True)
        self.let_packages_act(False)    # servers are started by tests, on ports of their own
        for name in ("/etc/resolv.conf", HOSTS):
            shutil.copy(name, path / str(name).lstrip("/"))

    def let_packages_act(self, may: bool) -> None:
        """On servers, by invoke-rc.d."""
        policy = self.path / "usr/sbin/policy-rc.d"
        policy.write_text(f"#!/bin/sh\nexit {0 if may else 101}\n")
        policy.chmod(0o755)

    def run(self, *command: str, check: bool = True, typed: str = "") -> str:
        done = subprocess.run(
            ["chroot", self.path, "env", "-i", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, input=typed)
        if check and done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def install(self, *packages: str) -> str:
        return self.run("apt-get", "-q", "-y", "install", "--no-install-recommends", *packages)
