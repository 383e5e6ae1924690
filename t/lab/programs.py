# SPDX-License-Identifier: Apache-2.0
"""Programs in C of the lab and the benchmarks, compiled when they are wanted."""

import subprocess
from pathlib import Path
from typing import Iterable


def compiled(made: Path, *files: Path, packages: Iterable[str] = (),
             options: Iterable[str] = ()) -> Path:
    """The program from these files. *packages* are names that pkg-config knows."""
    flags = ()
    if packages:
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], check=True,
                               text=True, capture_output=True).stdout.split()
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", *options, "-o", made, *files, *flags], check=True)
    return made
