#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests with the Active Directory of a newer Samba than this Debian's.

    /usr/bin/python3 t/newer_ad.py [--root DIR] [--mirror URL] [ARGUMENT...]

debootstrap makes a Debian 13 with Samba alone; as root, with a network, in some minutes. Its
Samba has the domains of the tests; all else runs here. Arguments are pytest's, instead of the tests
that only a newer Samba passes. --root keeps that Debian for the next run. Exit status: pytest's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))

from lab.debian import Debian               # noqa: E402

PACKAGES = ("samba-ad-dc", "samba-ad-provision", "samba-dsdb-modules", "python3-samba",
            "python3-cryptography")
OWN = ("t/test_newer_ad.py", "t/test_doctor.py", "t/test_forests.py")

# In a mount namespace of its own, which ends with the last process of the tests.
SHARE = """
root=$1 lab=$2 tests=$3
shift 3
mkdir -p "$root$lab" "$root$tests"
mount -t proc proc "$root/proc"
mount --bind "$lab" "$root$lab"
mount --bind -o ro "$tests" "$root$tests"
cd "$tests/.."
exec "$@"
"""


def make(root: Path, mirror: str | None) -> None:
    made = Debian(root, "trixie", mirror)
    made.run("apt-get", "-q", "update")
    made.install(*PACKAGES)


def test(root: Path, lab: Path, arguments: list[str]) -> int:
    subprocess.run(["chroot", root, "samba", "--version"], check=True)
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", SHARE, "sh", root, lab,
         TESTS, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        env=os.environ | {"EAS_T_AD_ROOT": str(root), "TMPDIR": str(lab)}).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path)
    parser.add_argument("--mirror", help="debootstrap's default otherwise")
    given, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="eas-kcd-newer-ad-") as directory:
        root, lab = given.root or Path(directory, "root"), Path(directory, "lab")
        for each in (Path(directory), lab):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)       # www-data passes through
        if not (root / "usr/sbin/samba").exists():
            make(root, given.mirror)
        sys.exit(test(root.resolve(), lab, arguments or ["-v", *OWN]))


if __name__ == "__main__":
    main()
