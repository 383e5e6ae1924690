# SPDX-License-Identifier: Apache-2.0
"""The login form's fields and texts, and the checks that every answer to it must pass."""

import base64
import hashlib
import re
from pathlib import Path

from .ad import PASSWORDS
from .client import Headers, Response
from .frontdoor import COOKIE, FORM, FORM_COOKIE, Visitor
from .gateway import Gateway
from .unique import unique_path

URLENCODED = ("Content-Type", "application/x-www-form-urlencoded")
ALICE = {"username": "alice", "password": PASSWORDS["alice"]}
LIMIT = 16384       # of the body, in bytes
TEXTS = {
    "wrong": "That user name and password did not work.",
    "expired": "Your password has expired or must be changed.",
    "timed-out": "Your session has ended.",
    "not-taken": "You are not signed in, so your last input was not taken.",
    "signed-out": "You have signed out.",
    "other-session": "Another session was open here.",
    "try-later": "Signing in is not possible just now.",
    "bad-request": "This form was incomplete or out of date.",
    "forbidden": "You may not sign in here.",
}
LANGUAGES = Path(__file__).parents[2] / "build" / "languages"


def texts_of(tag: str) -> dict[str, str]:
    """The texts of a language."""
    return dict(line.split(" = ", 1) for line in (LANGUAGES / f"{tag}.txt").read_text().splitlines()
                if " = " in line)


def fields_of(visitor: Visitor, **more: str) -> dict[str, str]:
    """The form with alice's password in it, ready to be posted."""
    return {"token": visitor.fields()["token"], **ALICE, "destination": "/owa/x", "trusted": "0",
            **more}


def post(visitor: Visitor, body: bytes, headers: Headers = (URLENCODED,),
         uri: str | None = None) -> Response:
    """A form as raw bytes."""
    return visitor.request("POST", uri or unique_path(FORM), headers, body)


def tag_of(gw: Gateway, uri: str) -> str:
    """The access log's EAS_KCD_ERROR of the request for this URI."""
    return gw.logged(uri)["EAS_KCD_ERROR"]


def assert_no_session(answer: Response) -> None:
    assert not any(line.startswith(COOKIE + "=") for line in answer.all("Set-Cookie"))


def assert_refused(gw: Gateway, answer: Response, uri: str, status: int, tag: str,
                   case: object = "") -> None:
    assert answer.status == status, case
    assert answer.header("Location") is None, case
    assert_no_session(answer)
    assert tag_of(gw, uri) == tag, case


def assert_page_headers(answer: Response, style_hash: str) -> None:
    """The headers of every answer that the login path gives."""
    for name, value in {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src 'self' '{style_hash}'; "
                                   "img-src 'self'; form-action 'self' https:; "
                                   "frame-ancestors 'none'; base-uri 'none'",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }.items():
        assert answer.all(name) == [value], (answer.status, name)
    assert answer.header("WWW-Authenticate") is None
    for line in answer.all("Set-Cookie"):
        name, *attributes = line.split("; ")
        assert name.split("=")[0] in (COOKIE, FORM_COOKIE, COOKIE + "-typed")
        assert set(attributes) - {"Max-Age=0"} == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
        assert len(line) < 4096


def style_hash_of(page: bytes) -> str:
    style, = re.findall(rb"<style>(.*?)</style>", page, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(style).digest()).decode()
