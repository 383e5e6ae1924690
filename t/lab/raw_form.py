# SPDX-License-Identifier: Apache-2.0
"""A posted login form as bytes on a socket, and the ways in which a client ends it."""

import socket
import struct
from typing import Callable, Iterable
from urllib.parse import urlencode

from .frontdoor import FORM, FORM_COOKIE, Visitor
from .gateway import Gateway
from .login_form import ALICE
from .names import GATEWAY
from .unique import unique_path

BODY = urlencode(ALICE).encode() + b"&token=TOKEN&destination=%2Fowa%2F"


def post_raw(gw: Gateway, headers: Iterable[str], body: bytes,
             end: Callable[[socket.socket], None]) -> tuple[str, bytes]:
    """Send the beginning of a POST, then *end* the sending; the URI, and all that the server sends
    until it closes. TOKEN in *body* becomes a token that is good."""
    uri = unique_path(FORM)
    visitor = Visitor(gw)
    token = visitor.fields()["token"]
    head = [f"POST {uri} HTTP/1.1", f"Host: {GATEWAY}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Cookie: {FORM_COOKIE}={visitor.jar[FORM_COOKIE]}", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", gw.port), timeout=30) as connection:
        connection.sendall("\r\n".join(head).encode() + body.replace(b"TOKEN", token.encode()))
        end(connection)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass        # reset, by this side, or because the server has left data unread
    return uri, answer


def stay(_: socket.socket) -> None:
    """Send no more, and wait."""


def shut_down(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
