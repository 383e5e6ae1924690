# SPDX-License-Identifier: Apache-2.0
"""Keys that libkrb5 makes of passwords in a gateway, which does that by itself for AES."""

import subprocess
from pathlib import Path

from .sanitizer import LIBRARY
from .unique import unique_number

# Between libkrb5 and libk5crypto.
NOTE_KEYS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <krb5/krb5.h>
#include <stdlib.h>
#include <unistd.h>

krb5_error_code krb5_c_string_to_key_with_params(krb5_context ctx, krb5_enctype enctype,
                                                 const krb5_data *password, const krb5_data *salt,
                                                 const krb5_data *parameters, krb5_keyblock *key)
{
    krb5_error_code (*real)(krb5_context, krb5_enctype, const krb5_data *, const krb5_data *,
                            const krb5_data *, krb5_keyblock *);
    int fd = open(getenv("EAS_T_KEYS"), O_WRONLY | O_APPEND);

    if (fd < 0 || write(fd, "k", 1) != 1) {
        abort();
    }
    close(fd);
    *(void **)&real = dlsym(RTLD_NEXT, "krb5_c_string_to_key_with_params");
    return real(ctx, enctype, password, salt, parameters, key);
}
"""


class Keys:
    """Those of a gateway that has this *env*."""

    def __init__(self, lab_dir: Path) -> None:
        library = lab_dir / "libnotekeys.so"
        if not library.exists():
            subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
                           input=NOTE_KEYS, text=True, check=True)
        self._lab_dir = lab_dir
        self._noted = self.path("keys")
        self.env = {"LD_PRELOAD": " ".join(filter(None, (LIBRARY, str(library)))),
                    "EAS_T_KEYS": str(self._noted)}

    def path(self, name: str) -> Path:
        """An empty file that the gateway's processes may write."""
        made = self._lab_dir / f"{name}-{unique_number()}"
        made.touch()
        made.chmod(0o666)
        return made

    def reset(self) -> None:
        self._noted.write_bytes(b"")

    def number(self) -> int:
        return self._noted.stat().st_size
