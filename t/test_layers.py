# SPDX-License-Identifier: Apache-2.0
"""The house keeps its shape: which room may include which, and how large a file may grow."""

import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
SOURCES = sorted(path for pattern in ("*.[ch]", "auth/**/*.[ch]", "delegation/**/*.[ch]")
                 for path in TOP.glob(pattern))
HTTPD = re.compile(r"(httpd|http_\w+|ap_\w+|mod_\w+|util_\w+|scoreboard|mpm_common)\.h")

# A room includes itself and these.  auth/README draws them.
BELOW = {
    "auth/base": (),
    "auth/workers": ("auth/base",),
    "auth/kerberos": ("auth/workers", "auth/base"),
    "auth/shared": ("auth/workers", "auth/base"),
    "auth/password": ("auth/shared", "auth/kerberos", "auth/workers", "auth/base"),
    "auth/login": ("auth/password", "auth/shared", "auth/kerberos", "auth/base"),
    "auth/activesync": ("auth/login", "auth/password", "auth/base"),
    "delegation/kerberos": ("auth/kerberos", "auth/workers", "auth/base"),
    "delegation/proxy": ("delegation/kerberos", "auth/kerberos", "auth/workers", "auth/base"),
    "delegation/status": ("delegation/proxy", "delegation/kerberos", "auth/kerberos", "auth/base"),
    "delegation/check": ("delegation/kerberos", "auth/kerberos", "auth/workers", "auth/base"),
}
# Halls: the files that lie in no room.
HALLS = ("auth", "delegation")


def includes(path):
    return re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def name(path):
    return str(path.relative_to(TOP))


def listed(variable):
    """The files of a list in Makefile.am."""
    text, = re.findall(rf"^{variable} = \\\n((?:.*\\\n)*.*\n)", (TOP / "Makefile.am").read_text(),
                       re.MULTILINE)
    return re.findall(r"[\w/]+\.c", text)


@pytest.fixture(scope="module", autouse=True)
def every_file_is_seen():
    seen = {name(path) for path in SOURCES if path.suffix == ".c"}
    assert seen == {*listed("pure_sources"), *listed("httpd_sources"), *listed("check_sources"),
                    "delegation/check/main.c"}
    assert sum(len(includes(path)) for path in SOURCES) > len(SOURCES)
    assert {name(path.parent) for path in SOURCES} == {".", *HALLS, *BELOW}


def is_glue(path):
    return path.stem.endswith("_httpd") or path.name == "mod_eas_kcd.c"


# The headers in the hall of auth/ are what it offers to others.
OFFERED = {"delegation": {f"auth/{name}.h" for name in (
    "identity", "request_httpd", "config_httpd", "authn_httpd", "private_httpd", "path_httpd",
    "shared/cache", "shared/retained_httpd", "login/cookie_httpd")}}
# The doctor verifies a password as a log-on does.
OFFERED_TO_ROOM = {
    "delegation/check": {"auth/password/password.h"},
    # An administrator's acts.
    "delegation/status": {f"auth/{name}.h" for name in (
        "shared/shared_httpd", "login/session_httpd", "login/csrf_httpd",
        "password/throttle_httpd")}}


def may_include(path, header):
    """Whether the place of a file allows it a header of ours."""
    room, target = name(path.parent), str(Path(header).parent)
    half = room.split("/")[0]
    if room == ".":
        return True
    if target.split("/")[0] != half:
        return half == "delegation" and (header in OFFERED[half] | OFFERED_TO_ROOM.get(room, set())
                                         or target in BELOW["delegation/proxy"])
    if room in HALLS or target == room:
        return True
    if header == "auth/identity.h":
        return room != "auth/base"
    if header in ("auth/request_httpd.h", "auth/config_httpd.h", "delegation/config_httpd.h"):
        return is_glue(path)
    return target in BELOW[room] or header == "delegation/kcd.h" and room == "delegation/proxy"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_includes(path):
    for header in includes(path):
        if not is_glue(path):
            assert not HTTPD.fullmatch(Path(header).name), "httpd in a file that is not glue"
            assert not header.endswith("_httpd.h"), "glue in a file that is not glue"
        if header.startswith(("auth/", "delegation/")) and not header.endswith(".def"):
            assert may_include(path, header), header
        if header == "mod_proxy.h":
            assert path.name.startswith("mod_proxy_httpd."), "mod_proxy has one door"


def unit(file):
    """A source file and its header are one."""
    return str(Path(file).with_suffix(""))


def test_no_circle():
    """No unit needs, by way of others, itself."""
    needs = {}
    for path in SOURCES:
        needs.setdefault(unit(name(path)), set()).update(
            unit(header) for header in includes(path) if header.startswith(("auth/", "delegation/")))
    while needs:
        free = {each for each in needs if not needs[each] & needs.keys() - {each}}
        assert free, f"a circle among {sorted(needs)}"
        needs = {each: of for each, of in needs.items() if each not in free}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_size(path):
    lines = len(path.read_text().splitlines())
    assert lines <= (350 if path.name == "mod_eas_kcd.c" else 500)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_comparison_without_locale(path):
    """Another module may set one in which "BASIC" is not "basic"."""
    assert not re.search(r"\bstrn?casecmp\(", path.read_text())


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


# Other variables of the process than those that auth/base/module_httpd.h lists.
VARIABLES = {
    "eas_kcd_module": "httpd's record of the module",
    "filter_handle": "registered with httpd, as those below",
    "client_filter_handle": "",
    "exchange_filter_handle": "",
    "response_filter_handle": "",
    "callbacks": "registered with auth/, by mod_eas_kcd.c",
    "unset_dir": "not written: the record of a section without directives",
    "current": "of a thread",
    "written": "",
    "last_serial": "counters: numbers that are unique in the process",
    "clients": "",
    "puts": "",
    "latest": "",
    "child": "connection pools: mod_watchdog's thread outlives the pools that could hold them",
    "reaping": "",
    "cache": "KDCs' addresses: a worker's thread may outlive the pools that could hold them",
    "once": "",
    "has_plugin": "",
    "table": "KDCs' health, likewise",
    "plugin": "the module's path for libkrb5, likewise",
    "counted": "counters: files that are no glue count, too",
    "notes": "errors and KDCs, likewise",
    "set": "not written: memset(), volatile for compilers",
}


def test_module_has_no_other_variables():
    """State of the process has one owner, the main server's configuration record."""
    table = subprocess.run(["objdump", "-t", TOP / ".libs" / "mod_eas_kcd.so"], check=True,
                           text=True, stdout=subprocess.PIPE).stdout
    found = re.findall(r"^.{25}\.t?(?:bss|data)\t\S+ +(?:\.hidden )?(\w+)", table, re.MULTILINE)
    own = {symbol for symbol in found if not symbol.startswith("__")} - {"completed"}
    assert own == VARIABLES.keys()
