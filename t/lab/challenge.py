# SPDX-License-Identifier: Apache-2.0
"""Answers to a request without a user, told apart: form, Basic, script, forbidden."""

import socket
import ssl

from .client import Headers, Response
from .frontdoor import BROWSER, COOKIE, FORM, PHONE
from .gateway import Gateway
from .names import GATEWAY

CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'
DEAD = ("Cookie", f"{COOKIE}=dead")
AJAX = ("X-Requested-With", "XMLHttpRequest")
WAYS = {"browser": ("GET", "/owa/", BROWSER), "phone": ("GET", "/owa/", PHONE),
        "nobody": ("GET", "/owa/", []), "POST": ("POST", "/owa/", BROWSER),
        "script": ("GET", "/owa/", [*BROWSER, AJAX]), "dead": ("GET", "/owa/", [*PHONE, DEAD]),
        "dead browser": ("GET", "/owa/", [*BROWSER, DEAD])}


def kind(answer: Response) -> str:
    """form, basic, script or forbidden; anything unclean about the answer is an error."""
    assert answer.header("Content-Length") in (None, str(len(answer.body)))
    if answer.status == 302:
        assert answer.header("Location").startswith(FORM)
        assert answer.header("Cache-Control") == "no-store"
    if answer.status == 440:
        assert answer.header("Cache-Control") == "no-store"
    assert answer.all("WWW-Authenticate") == [CHALLENGE] * (answer.status == 401)
    return {302: "form", 401: "basic", 440: "script", 403: "forbidden"}[answer.status]


def ask(gw: Gateway, cases: dict[object, tuple[str, str, Headers]]) -> dict[object, str]:
    """{case: its kind of answer} for (method, path, headers) in cases, on one connection."""
    got = {}
    with gw.client() as client:
        for name, (method, path, headers) in cases.items():
            body = b"x=1" if method in ("POST", "PUT", "PROPFIND") else None
            got[name] = kind(client.request(method, path, headers=headers, body=body))
    assert set(gw.error_log.tags()) <= {"EAS1062"}    # the log is limited
    return got


def raw(gw: Gateway, head: list[str], body: bytes = b"", more: bytes = b"") -> bytes:
    """All that comes back for bytes on a TLS connection of their own, until the server closes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", gw.port), 10) as tcp, \
            context.wrap_socket(tcp, server_hostname=GATEWAY) as stream:
        lines = [*head, f"Host: {GATEWAY}", "", ""]
        stream.sendall("\r\n".join(lines).encode() + body + more)
        received = b""
        while block := stream.recv(65536):
            received += block
    return received


def browser_lines(*more: str) -> list[str]:
    return [f"{name}: {value}" for name, value in BROWSER] + list(more)
