# SPDX-License-Identifier: Apache-2.0
"""No destination leads a login to another site: what auth/login/destination.c lets through is judged by
the URL parser that browsers have (the WHATWG's, in Node.js), whatever we think of it ourselves."""

import ctypes
import itertools
import json
import re
import subprocess
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

TOP = Path(__file__).parents[1]
CORPUS = TOP / "t" / "fixtures" / "redirects.txt"
BASES = ["https://gw.example/eas-kcd/login", "https://gw.example:8443/", "http://gw.example/a/b?c"]

LEGITIMATE = [
    "/", "/owa", "/owa/", "/owa/?ae=Folder&id=a%2Bb", "/owa/?ae=Item&id=Rg%2f%2fAA%3d%3d",
    "/owa/auth/logon.aspx?replaceCurrent=1&url=https%3a%2f%2fgw.example%2fowa%2f", "/ecp/?rfr=owa",
    "/owa/?url=https://gw.example/owa/", "/Microsoft-Server-ActiveSync",
    "/Microsoft-Server-ActiveSync?Cmd=Sync&User=EXAMPLE%5Calice&DeviceId=A1&DeviceType=iPhone",
    "/a%20b", "/a%25b", "/%C3%A9t%c3%a9/", "/a;b=1/c,d", "/~alice/", "/.well-known/x", "/a../b",
    "/a?", "/?", "/?a=/../b", "/?a//b", "/a:b@c", "/a/b.c-d_e!f$g&h'i(j)k*l+m=n",
    "/" + 2047 * "a",
]

# The characters that lead off a site, and some to put between.
PIECES = [b"/", b"\\", b".", b"?", b"#", b":", b"@", b"a", b"\t", b"%2f", b"%2E", b"%5c"]

ENCODINGS = {
    "raw": lambda payload: payload,
    "once": lambda payload: quote_from_bytes(payload, safe="").encode(),
    "twice": lambda payload: quote_from_bytes(payload, safe="").replace("%", "%25").encode(),
}

# Of the destinations, those that lead elsewhere from any of the bases, or nowhere.
JUDGE = """
const [bases, destinations] = JSON.parse(require("fs").readFileSync(0));
const leaves = (destination, base) => {
    try {
        const url = new URL(destination, base);
        return url.origin !== new URL(base).origin || url.username !== "" || url.password !== "";
    } catch {
        return true;
    }
};
console.log(JSON.stringify(destinations.filter(d => bases.some(base => leaves(d, base)))));
"""


@pytest.fixture(scope="module")
def is_local(tmp_path_factory):
    """The function of the library that the module is linked from."""
    shared = tmp_path_factory.mktemp("destination") / "destination.so"
    subprocess.run(["cc", "-shared", "-o", shared, "-Wl,-u,eas_destination_is_local",
                    TOP / ".libs" / "libeaskcd.a"], check=True)
    function = ctypes.CDLL(str(shared)).eas_destination_is_local
    function.argtypes = [ctypes.c_char_p]
    function.restype = ctypes.c_bool
    return function


def leaving(destinations):
    judged = subprocess.run(["node", "-e", JUDGE], input=json.dumps([BASES, destinations]),
                            check=True, text=True, stdout=subprocess.PIPE)
    return json.loads(judged.stdout)


def corpus():
    lines = [line for line in CORPUS.read_text(encoding="ascii").splitlines()
             if line and not line.startswith("#")]
    assert len(lines) >= 250 and len(set(lines)) == len(lines)
    return [re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()),
                   line.encode()) for line in lines]


def accepted(is_local, payloads):
    """Those that are let through; a C string ends at its first NUL."""
    return [payload.split(b"\0")[0].decode("ascii") for payload in payloads if is_local(payload)]


@pytest.mark.smoke
def test_url_parser_finds_other_sites():
    """And the corpus is worth its name: much of it would lead a browser away."""
    away = ["//evil.example", "/\\evil.example", "/\t/evil.example", "https:\\evil.example",
            "https://gw.example@evil.example", "//a@gw.example", "javascript:alert(1)", "//["]
    assert leaving(["/owa/", *away, "/?//evil.example"]) == away
    payloads = [payload.decode(errors="replace") for payload in corpus()]
    assert len(leaving(payloads)) > 200


@pytest.mark.parametrize("start", ["", "/", "/owa", "/owa/", "/owa/?", "/owa/?a=b&c="])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_corpus(is_local, encoding, start):
    payloads = [start.encode() + ENCODINGS[encoding](payload) for payload in corpus()]
    assert leaving(accepted(is_local, payloads)) == []


def test_every_short_string(is_local):
    strings = [b"".join(pieces) for n in range(1, 6)
               for pieces in itertools.product(PIECES, repeat=n)]
    local = accepted(is_local, strings)
    assert len(local) > 100
    assert leaving(local) == []


@pytest.mark.parametrize("destination", LEGITIMATE, ids=lambda d: d[:60])
def test_legitimate(is_local, destination):
    assert is_local(destination.encode())
    assert leaving([destination]) == []
