# SPDX-License-Identifier: Apache-2.0
"""Backends that no package offers: scripts for FakeBackend, with real Kerberos behind them.

They answer with the JSON of echo.lua, without pad. Run as a program, one of them serves
until it is ended, in as many processes as there are processors:

    python3 -m lab.simulated first|hybrid|unruly PORT KEYTAB [CERTIFICATE KEY]
"""

import base64
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Iterator

import gssapi

from .fake_backend import Answer, FakeBackend, Request, Script, always_401, proved, response
from .kerberos import Accepted, Acceptor
from .tls import Certificate


def echo(request: Request, user: str | None, proof: str | None = None) -> bytes:
    """A complete answer that says whose request this was taken for, and which it was."""
    method, uri, _ = request.line.split(" ", 2)
    body = json.dumps({
        "method": method, "uri": uri, "remote_user": user, "headers": request.headers,
        "body_length": len(request.body), "body_sha1": hashlib.sha1(request.body).hexdigest(),
        "connection": request.connection}).encode()
    answer = response("200 OK", [("Content-Type", "application/json")],
                      b"" if method == "HEAD" else body)
    return proved(answer, proof) if proof else answer


def persistent(answer: bytes) -> bytes:
    """The answer with IIS's remark that it authenticates the connection."""
    return answer.replace(b"\r\n", b"\r\nPersistent-Auth: true\r\n", 1)


class Keeper:
    """The base of these backends: holds keys, and counts the tokens accepted and refused."""

    def __init__(self, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        self.seen: Counter[str] = Counter()     # "accepted", "refused", "unbound", "tokenless"
        self.errors: list[str] = []             # in Kerberos' words

    def accept(self, request: Request) -> Accepted | None:
        """The sender by its token, or None."""
        if not (request.authorization or "").startswith("Negotiate "):
            self.seen["tokenless"] += 1
            return None
        try:
            accepted = self.acceptor.accept(request.authorization, request.binding)
        except gssapi.exceptions.GSSError as error:
            self.seen["refused"] += 1
            self.errors.append(str(error))
            return None
        self.seen["accepted"] += 1
        return accepted

    def proof(self, request: Request) -> str | None:
        """A Prover: nothing is counted."""
        try:
            return self.acceptor.accept(request.authorization or "").www_authenticate
        except (gssapi.exceptions.GSSError, ValueError):
            return None


class PerRequest(Keeper):
    """As it should be: every token is looked at, answered, and forgotten."""

    def __call__(self, request: Request) -> Answer:
        accepted = self.accept(request)
        if accepted is None:
            return always_401(request)
        return echo(request, accepted.user, accepted.www_authenticate)


class Bound(PerRequest):
    """Extended Protection, "required": a token must be bound to the TLS connection it came on."""

    def accept(self, request: Request) -> Accepted | None:
        accepted = super().accept(request)
        if accepted is not None and not accepted.bound:
            self.seen["unbound"] += 1
            return None
        return accepted


class FirstUser(Keeper):
    """The worst that IIS is feared to be: whoever comes first has the connection for good. New
    tokens on it are ignored, and tokenless requests are served as that user. It says so, as IIS
    does."""

    def __init__(self, acceptor: Acceptor) -> None:
        super().__init__(acceptor)
        self.users: dict[int, str] = {}

    def __call__(self, request: Request) -> Answer:
        if request.connection in self.users:
            return echo(request, self.users[request.connection])
        accepted = self.accept(request)
        if accepted is None:
            return always_401(request) if request.authorization else echo(request, None)
        self.users[request.connection] = accepted.user
        return persistent(echo(request, accepted.user, accepted.www_authenticate))


class Hybrid(FirstUser):
    """Exchange with modern authentication beside Kerberos, at its worst: a token of Microsoft's is
    looked at for its request alone, unless the connection is a Kerberos user's already."""

    def __call__(self, request: Request) -> Answer:
        # One number for a connection to whichever of the processes.
        numbered = replace(request, connection=os.getpid() * 1_000_000 + request.connection)
        sent = request.authorization or ""
        if sent.startswith("Bearer ") and numbered.connection not in self.users:
            return echo(numbered, sent)
        return super().__call__(numbered)


class Sessions(Keeper):
    """Tomcat: who has its session cookie is the user of that session; the token is not read."""

    COOKIE = "JSESSIONID"

    def __init__(self, acceptor: Acceptor) -> None:
        super().__init__(acceptor)
        self.users: dict[str, str] = {}

    def __call__(self, request: Request) -> Answer:
        for cookie in "; ".join(request.all("Cookie")).split("; "):
            if cookie in self.users:
                return echo(request, self.users[cookie])
        accepted = self.accept(request)
        if accepted is None:
            return always_401(request)
        cookie = f"{self.COOKIE}={len(self.users) + 1}"
        self.users[cookie] = accepted.user
        return echo(request, accepted.user, accepted.www_authenticate).replace(
            b"\r\n", f"\r\nSet-Cookie: {cookie}; Path=/; HttpOnly\r\n".encode(), 1)


class Unruly(PerRequest):
    """Sooner or later: answers late, twice, half, or not at all. Half the time it answers POSTs
    before it has read them (see early)."""

    LATE = 3.0      # seconds; more than the gateway has patience for

    def __call__(self, request: Request) -> Answer:
        answer = echo(request, None)
        if request.authorization:
            answer = super().__call__(request)
        dice = random.random()
        if dice < 0.0005:
            return self.late(answer)
        if dice < 0.003:
            return None
        if dice < 0.006:
            return iter((answer[:-20], None))
        if dice < 0.03:
            return answer + answer
        if dice < 0.06 and request.authorization:   # only its proof can tell it from the next one's
            return self.again(answer)
        return answer

    def late(self, answer: bytes) -> Iterator[bytes]:
        time.sleep(self.LATE)
        yield answer

    def again(self, answer: bytes) -> Iterator[bytes]:
        yield answer
        time.sleep(random.random() * 0.01)
        yield answer

    def early(self, head: Request) -> Answer:
        """A whole answer, and then a hang-up with the body unread."""
        if not head.line.startswith("POST ") or random.random() < 0.95:
            return b""
        return iter((self.refusal(head), None))

    def refusal(self, head: Request) -> bytes:
        user = (accepted := self.accept(head)) and accepted.user
        body = echo(replace(head, body=b""), user).partition(b"\r\n\r\n")[2]
        return response("413 Content Too Large", [("Connection", "close")], body)


# --- proofs that prove nothing ---------------------------------------------------------------

def damaged(value: str, at: int = -1) -> str:
    """A WWW-Authenticate value with one bit of its token turned."""
    token = bytearray(base64.b64decode(value.split(" ")[1]))
    token[at] ^= 1
    return "Negotiate " + base64.b64encode(token).decode()


def unwrapped(value: str) -> str:
    """The mechanism's own token (RFC 4121, 4.1) without SPNEGO around it."""
    token = base64.b64decode(value.split(" ")[1])
    return "Negotiate " + base64.b64encode(token[token.index(b"\x60"):]).decode()


# --- as a program ----------------------------------------------------------------------------

def serve(kind: str, port: int, keytab: str, *tls: str) -> None:
    acceptor = Acceptor(Path(keytab))
    script: Script = {"first": FirstUser, "hybrid": Hybrid, "unruly": Unruly}[kind](acceptor)
    backend = FakeBackend(script, "", Certificate(*map(Path, tls)) if tls else None, port=port,
                          early=getattr(script, "early", None), keep=False)
    parent_lives, alive = os.pipe()
    for _ in range((os.cpu_count() or 1) - 1):
        if os.fork() == 0:          # all accept on the one socket
            os.close(alive)
            backend.start()
            os.read(parent_lives, 1)
            os._exit(0)
    backend.start()
    signal.pause()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
