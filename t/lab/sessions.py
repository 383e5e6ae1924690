# SPDX-License-Identifier: Apache-2.0
"""Sessions as a browser and a log show them: begun, served, refused."""

from urllib.parse import quote

from .ad import PASSWORDS, REALM
from .backend import GssBackend
from .client import Response
from .fake_backend import FakeBackend
from .frontdoor import BROWSER, COOKIE, FORM, Visitor
from .gateway import Gateway
from .unique import unique_path
from .wait import until

OWA = "/owa"


def user(name: str) -> str:
    return f"{name}@{REALM}"


def paths_seen(backend: FakeBackend | GssBackend) -> list[str]:
    """The paths that a backend was asked for."""
    if isinstance(backend, FakeBackend):
        return [request.path for request in backend.requests]
    return [entry["uri"] for entry in backend.requests()]


def log_on(gw: Gateway, name: str = "alice", **options: object) -> Visitor:
    visitor = Visitor(gw)
    assert visitor.log_on(name, PASSWORDS[name], **options).status == 303
    assert visitor.session is not None
    return visitor


def holder(gw: Gateway, cookie: str) -> Visitor:
    """Another browser with this session cookie."""
    return Visitor(gw, jar={COOKIE: cookie})


def at(gw: Gateway, visitor: Visitor) -> Visitor:
    """The same cookies at another gateway."""
    return Visitor(gw, jar=dict(visitor.jar))


def served(visitor: Visitor, name: str = "alice") -> Response:
    """The answer that this user gets."""
    answer = visitor.get(unique_path(OWA))
    assert answer.status == 200
    seen = answer.json()["remote_user"] if answer.body.startswith(b"{") else answer.body.decode()
    assert seen == user(name)
    return answer


def served_entry(visitor: Visitor, name: str = "alice") -> dict[str, str]:
    """As served(); the access log's entry."""
    path = unique_path(OWA)
    answer = visitor.get(path)
    assert (answer.status, answer.body.decode()) == (200, user(name))
    return visitor.gateway.logged(path)


def refused(backend: FakeBackend | GssBackend, visitor: Visitor, reason: str | None = None,
            keep: bool = False) -> Response:
    """The form instead, the reason in the log, and no request at the backend. With *keep* the
    visitor's cookies stay, whatever the answer says of them."""
    path = unique_path(OWA)
    if keep:
        visitor = at(visitor.gateway, visitor)
    answer = visitor.get(path)
    assert answer.status == 302
    reason = f"reason={reason}&" if reason else ""
    assert answer.header("Location") == f"{FORM}?{reason}destination={quote(path, safe='').lower()}"
    entry = visitor.gateway.logged(path)
    assert (entry["EAS_KCD_ERROR"], entry["user"]) == ("EAS1062", "-")
    assert not any(path.removeprefix(OWA) in uri for uri in paths_seen(backend))
    return answer


def refused_all(gw: Gateway, backend: FakeBackend, headers: list[str]) -> None:
    """As refused(), for many Cookie headers on one connection."""
    path = unique_path(OWA)
    before = len(paths_seen(backend))
    with gw.client() as client:
        for header in headers:
            answer = client.get(path, headers=[*BROWSER, ("Cookie", header)])
            assert answer.status == 302, header
            location_of_form = f"{FORM}?destination={quote(path, safe='').lower()}"
            assert answer.header("Location") == location_of_form, header

    def entries() -> list[dict[str, str]] | None:
        found = [entry for entry in gw.requests() if entry["uri"] == path]
        return found if len(found) == len(headers) else None
    assert {entry["EAS_KCD_ERROR"] for entry in until(entries, 5, "the log")} == {"EAS1062"}
    assert len(paths_seen(backend)) == before
