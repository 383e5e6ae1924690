# SPDX-License-Identifier: Apache-2.0
"""The house keeps its shape: who may include whom, and how large a file may grow."""

import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
SOURCES = sorted([*TOP.glob("*.[ch]"), *TOP.glob("auth/*.[ch]"), *TOP.glob("delegation/*.[ch]")])
HTTPD = re.compile(r"(httpd|http_\w+|ap_\w+|mod_\w+|util_\w+|scoreboard|mpm_common)\.h")
GROUND = ("base", "identity", "kdc", "kdc_pool", "keytab", "lru", "ticket", "ticket_key",
          "secret", "shelf", "duration")


def includes(path):
    return re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def name(path):
    return str(path.relative_to(TOP))


@pytest.fixture(scope="module", autouse=True)
def there_is_something_to_check():
    assert len(SOURCES) > 30 and any(includes(path) for path in SOURCES)


def is_glue(path):
    return path.stem.endswith("_httpd") or path.name == "mod_eas_kcd.c"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_includes(path):
    for header in includes(path):
        if not is_glue(path):
            assert not HTTPD.fullmatch(Path(header).name), "httpd in a file that is not glue"
            assert not header.endswith("_httpd.h"), "glue in a file that is not glue"
        if path.parent.name == "auth":
            assert not header.startswith("delegation/"), "auth/ knows nothing of delegation/"
        if path.parent.name == "delegation" and not is_glue(path):
            assert not header.startswith("auth/") or Path(header).stem in GROUND
        if header == "mod_proxy.h":
            assert path.name.startswith("proxy_httpd"), "mod_proxy has one door"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_size(path):
    lines = len(path.read_text().splitlines())
    assert lines <= (350 if path.name == "mod_eas_kcd.c" else 600)


def test_library_needs_no_httpd():
    """What the unit tests link against has no symbol of httpd's open."""
    library = TOP / ".libs" / "libeaskcd.a"
    undefined = subprocess.run(["nm", "--undefined-only", library], check=True, text=True,
                               stdout=subprocess.PIPE).stdout
    assert "krb5_init_context" in undefined, "nm shows nothing"
    assert not re.findall(r"\bU (ap_\w+|proxy_\w+)", undefined)


def test_module_needs_no_mod_proxy():
    """Debian loads eas_kcd before proxy; a symbol of mod_proxy's would be undefined there."""
    undefined = subprocess.run(["nm", "-D", "--undefined-only", TOP / ".libs" / "mod_eas_kcd.so"],
                               check=True, text=True, stdout=subprocess.PIPE).stdout
    assert "ap_log_rerror_" in undefined, "nm shows nothing"
    assert not re.findall(r"\bU ((?:ap_)?proxy_\w+)", undefined)
