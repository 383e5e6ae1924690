# SPDX-License-Identifier: Apache-2.0
"""A module that is built with AddressSanitizer and UBSan, inside an httpd that is not."""

import os
from pathlib import Path

import pytest

# libasan, which httpd must load before anything else.
LIBRARY = os.environ.get("EAS_T_SANITIZER")
# An APR whose pools allocate each piece by itself, and free it at their end.
POOL_DEBUG = os.environ.get("EAS_T_POOL_DEBUG")

moves_clock = pytest.mark.no_sanitizer(
    "libfaketime and libasan, loaded together, end httpd at its start: each replaces functions "
    "of libc that the other calls before it is ready")
measures_memory = pytest.mark.no_sanitizer("libasan keeps freed memory, to find its later use")
starts_httpd_itself = pytest.mark.no_sanitizer("this test's httpd is not started by the lab")


def environment(root: Path) -> dict[str, str]:
    """The environment of an httpd that loads the module; its children can write below tmp.

    httpd frees little at its end and libraries less, so leaks are no findings here. httpd's own
    handler of SIGSEGV would hide what was accessed, and where."""
    if LIBRARY is None:
        return {}
    log = f"log_path={root}/tmp/sanitizer"
    preload = ":".join(filter(None, (LIBRARY, POOL_DEBUG)))
    return {"LD_PRELOAD": preload, "ASAN_OPTIONS": f"detect_leaks=0:handle_segv=2:handle_abort=2:{log}",
            "UBSAN_OPTIONS": f"print_stacktrace=1:{log}"}


def reports(root: Path) -> str:
    """Everything that the sanitizers have found in this httpd."""
    return "\n".join(path.read_text(errors="replace")
                     for path in sorted((root / "tmp").glob("sanitizer.*")))
