# SPDX-License-Identifier: Apache-2.0
"""Cookie, Basic and nothing: which of them counts, in every combination.

A live session is the user, whatever Basic says beside it. A cookie that is no live session counts
as none. Then Basic credentials, which must be right. Then nothing. The table below says the same,
and every one of its cells is a request.
"""

import itertools
import re
from contextlib import closing
from dataclasses import dataclass

import pytest

from lab.ad import PASSWORDS, REALM
from lab.client import basic
from lab.exchange import UNGUARDED, location
from lab.frontdoor import BROWSER, COOKIE, FORM, NOBODY, PHONE, Visitor
from lab.gateway import Gateway
from lab.names import GATEWAY
from lab.wait import until

# nobody: no credentials count; refused: credentials count, and are not right; else: that user.
TABLE = """
cookie      no      user-only   wrong       empty       good        other
no          nobody  refused     refused     refused     alice       bob
bad         nobody  refused     refused     refused     alice       bob
expired     nobody  refused     refused     refused     alice       bob
revoked     nobody  refused     refused     refused     alice       bob
good        alice   alice       alice       alice       alice       alice
"""

# How a request without a user is asked for one. A dead cookie of ours comes from a browser.
CHALLENGES = """
agent       no cookie   dead cookie     below an EAS path
browser     form        form            basic
phone       basic       script          basic
none        basic       script          basic
"""

# Whom the gateway lets through without a user, and what the backend then does with nobody.
PLACES = {
    "owa": ("Require valid-user", "challenged"),
    "Microsoft-Server-ActiveSync": ("Require valid-user", "challenged"),
    "granted": ("Require all granted", "asked by the backend"),
    "public": ("Require all granted", "served", "EasKcdMutualAuth optional"),
}

AGENTS = {"browser": BROWSER, "phone": PHONE, "none": NOBODY}
BASIC = {
    "no": None,
    "user-only": "Basic YWxpY2U=",      # "alice", and not even a colon
    "wrong": basic("alice", "nonsense"),
    "empty": basic("alice", ""),
    "good": basic("alice", PASSWORDS["alice"]),
    "other": basic("bob", PASSWORDS["bob"]),
}
TAGS = {"no": "EAS1062", "user-only": "EAS1011", "wrong": "EAS1030", "empty": "EAS1012"}
BACKEND_ASKS = "EAS2064"


def columns(table):
    """{row: {column: cell}} of a table in text; names of columns may hold single blanks."""
    head, *rows = [re.split(r"\s{2,}", line) for line in table.strip().splitlines()]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


OUTCOMES, HOW_TO_ASK = columns(TABLE), columns(CHALLENGES)
CELLS = list(itertools.product(PLACES, OUTCOMES, BASIC, AGENTS))


@dataclass(frozen=True)
class Played:
    """The result of one cell: at the client, in the gateway's log and in the backend's."""

    path: str
    answer: object
    gateway: dict
    backend: dict | None


def cookies(gw):
    """One cookie of each kind, all of alice's. Public sessions end after a second here."""
    short, long, gone = Visitor(gw), Visitor(gw), Visitor(gw)
    for visitor, trusted in ((short, False), (long, True), (gone, True)):
        assert visitor.log_on("alice", PASSWORDS["alice"], trusted=trusted).status == 303
    revoked = gone.session
    assert gone.sign_out().status == 303
    expired = short.session
    until(lambda: Visitor(gw, jar={COOKIE: expired}).get("/owa/").status == 302, 5,
          "the public session to end")
    flipped = "B" if long.session[20] == "A" else "A"
    return {"no": None, "bad": long.session[:20] + flipped + long.session[21:],
            "expired": expired, "revoked": revoked, "good": long.session}


@pytest.fixture(scope="module")
def played(lab_dir, domain, authority, backends):
    """All cells, played once on one gateway; the logs are read in the end."""
    cas1 = backends("cas1")
    keytab = domain.export_keytab(lab_dir / "precedence.keytab",
                                  ["gateway", "HTTP/gateway.corp.example.test"])
    conf = UNGUARDED + "EasKcdSession public 1s 1s\n" + "".join(
        location(f"{cas1.url}/{'open/' if nobody == 'served' else ''}", *lines,
                 path=f"/{place}/", require=require)
        for place, (require, nobody, *lines) in PLACES.items())
    gw = Gateway(lab_dir / "precedence", conf, keytab=keytab, krb5_conf=domain.krb5_conf,
                 ca_file=authority.ca_file, tls=authority.certificate(GATEWAY))
    gw.start()
    try:
        with closing(gw.client()) as client:
            yield play(gw, client, cas1)
    finally:
        gw.stop()
    gw.check_log()


def play(gw, client, cas1):
    jar, answers = cookies(gw), {}
    for number, cell in enumerate(CELLS):
        place, cookie, credentials, agent = cell
        headers = [*AGENTS[agent]]
        if jar[cookie] is not None:
            headers.append(("Cookie", f"{COOKIE}={jar[cookie]}"))
        if BASIC[credentials] is not None:
            headers.append(("Authorization", BASIC[credentials]))
        path = f"/{place}/n{number}"
        answers[cell] = path, client.get(path, headers=headers)
    # The last word at both: what is not in the logs by then never was.
    assert client.get("/owa/last", "bob", PASSWORDS["bob"]).status == 200
    at_gateway = entries(gw, {path for path, _ in answers.values()})
    at_backend = entries(cas1, {"/last"} | {backend_path(path) for path, answer in answers.values()
                                            if answer.status == 200})
    return {cell: Played(path, answer, at_gateway[path], at_backend.get(backend_path(path)))
            for cell, (path, answer) in answers.items()}


def entries(server, paths):
    """{path: entry} of a server's log, once all of these are in it."""
    def read():
        found = {entry["uri"]: entry for entry in server.requests()}
        return found if paths <= found.keys() else None
    return until(read, 5, f"{len(paths)} entries in the log of {server.root.name}")


def backend_path(path):
    _, place, rest = path.split("/")
    return f"/open/{rest}" if PLACES[place][1] == "served" else f"/{rest}"


def test_the_table_is_whole(played):
    assert len(OUTCOMES) == 5 and all(set(row) == set(BASIC) for row in OUTCOMES.values())
    assert len(played) == 4 * 5 * 6 * 3


@pytest.mark.parametrize("cell", CELLS, ids=" ".join)
def test_cell(played, cell):
    place, cookie, credentials, agent = cell
    outcome, nobody = OUTCOMES[cookie][credentials], PLACES[place][1]
    if outcome in ("alice", "bob"):
        assert_served_as(played[cell], outcome, "session" if cookie == "good" else "basic")
    elif outcome == "nobody" and nobody == "served":
        assert_served_as_nobody(played[cell])
    else:
        asked_by_backend = outcome == "nobody" and nobody == "asked by the backend"
        assert_asked(played[cell], cell, BACKEND_ASKS if asked_by_backend else TAGS[credentials])


def assert_served_as(played, name, how):
    assert played.answer.status == 200
    assert played.answer.header("WWW-Authenticate") is None
    assert played.gateway["user"] == played.gateway["EAS_KCD_USER"] == f"{name}@{REALM}"
    assert played.gateway["EAS_KCD_AUTH"] in (("session",) if how == "session"
                                              else ("basic", "cached"))
    assert played.gateway["EAS_KCD_ERROR"] == "-"
    echo = played.answer.json()
    got = dict(echo["headers"])
    assert got["Authorization"].startswith("Negotiate ")
    assert COOKIE not in got.get("Cookie", "")
    assert played.backend["status"] == "200"
    if not echo["uri"].startswith("/open/"):    # where the backend looks at no token
        assert echo["remote_user"] == played.backend["user"] == f"{name}@{REALM}"


def assert_served_as_nobody(played):
    assert played.answer.status == 200
    assert played.gateway["user"] == "-" and played.gateway["EAS_KCD_USER"] == "-"
    echo = played.answer.json()
    assert echo["remote_user"] is None
    assert not {"Authorization", "Cookie"} & set(dict(echo["headers"]))


def assert_asked(played, cell, tag):
    place, cookie, credentials, agent = cell
    how = HOW_TO_ASK[agent]["below an EAS path" if place.startswith("Microsoft")
                            else "no cookie" if cookie == "no" else "dead cookie"]
    {"form": assert_form, "basic": assert_basic, "script": assert_script}[how](played, cookie)
    assert played.gateway["user"] == "-" and played.gateway["EAS_KCD_USER"] == "-"
    assert played.gateway["EAS_KCD_ERROR"] == tag
    if tag == BACKEND_ASKS:
        assert (played.backend["user"], played.backend["status"]) == ("-", "401")
    else:
        assert played.backend is None
        assert played.gateway["EAS_KCD_AUTH"] == "none"
        assert [line.partition("=")[0] for line in played.answer.all("Set-Cookie")] == (
            [COOKIE] if cookie != "no" and played.answer.status == 302 else []), (
                "the redirect to the form clears a dead cookie, and nothing else is set")


def assert_form(played, cookie):
    reason = "reason=timed-out&" if cookie == "expired" else ""
    assert played.answer.status == 302
    destination = played.path.replace("/", "%2f")
    assert played.answer.header("Location") == f"{FORM}?{reason}destination={destination}"
    assert played.answer.header("Cache-Control") == "no-store"
    assert played.answer.header("WWW-Authenticate") is None


def assert_basic(played, _):
    assert played.answer.status == 401
    assert played.answer.all("WWW-Authenticate") == ['Basic realm="Mail", charset="UTF-8"']


def assert_script(played, _):
    assert played.answer.status == 440
    assert played.answer.header("WWW-Authenticate") is None
