# SPDX-License-Identifier: Apache-2.0
"""HTTP/2: many streams of many users on one connection, and no identity on the connection."""

import itertools
import json
import random
import subprocess
from dataclasses import dataclass

import pytest

from lab.ad import PASSWORDS, REALM
from lab.client import basic
from lab.exchange import location
from lab.frontdoor import COOKIE, Visitor
from lab.gateway import MODULES
from lab.names import GATEWAY

CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'
H2 = "Protocols h2 http/1.1\nH2MaxSessionStreams 200\n"
END = "\x1e"        # of a record that curl writes; its JSON has none
NAMES = ("alice", "bob")


@dataclass(frozen=True)
class Stream:
    """The answer on one stream. `port` is the client's: the same for all of a connection."""

    status: int
    body: bytes
    headers: dict[str, list[str]]
    port: int
    exit_code: int

    @property
    def remote_user(self):
        return json.loads(self.body)["remote_user"]


class Curl:
    """Requests that curl puts on one HTTP/2 connection, as many at a time as it can."""

    def __init__(self, gw, ca_file, directory):
        self.gw, self.ca_file, self.directory = gw, ca_file, directory
        self.numbers = itertools.count(1)

    def run(self, requests, at_once=True):
        """requests: (path, headers, more of curl's options); answers in the same order."""
        base = self.directory / f"curl-{next(self.numbers)}"
        base.mkdir()
        config = []
        for number, (path, headers, *options) in enumerate(requests):
            config.append("\n".join([
                f'url = "https://{GATEWAY}:{self.gw.port}{path}"', f'output = "{base}/{number}"',
                f'cacert = "{self.ca_file}"', "http2", "max-time = 60",
                'write-out = "%{json}\\t%{header_json}' + END + '"',
                *(f'header = "{name}: {value}"' for name, value in headers), *options]))
        # Beyond a hundred streams curl would open a second connection.
        parallel = ["--parallel", "--parallel-max", "100"] if at_once else []
        done = subprocess.run(["curl", *parallel, "--config", "-"],
                              input="\nnext\n".join(config), text=True, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        found = {}
        for record in done.stdout.split(END)[:-1]:
            about, _, answer_headers = record.partition("\t")
            about = json.loads(about)
            number = int(about["filename_effective"].rpartition("/")[2])
            body = base / str(number)
            found[number] = Stream(
                about["http_code"], body.read_bytes() if body.exists() else b"",
                {k.lower(): v for k, v in json.loads(answer_headers or "{}").items()},
                about["local_port"], about["exitcode"])
            assert about["http_version"] == "2" or about["exitcode"], about
        assert sorted(found) == list(range(len(requests)))
        return [found[number] for number in range(len(requests))]


@pytest.fixture
def h2(gateway, backends, authority, tmp_path):
    """h2(*lines): (gateway with HTTP/2 in front, the backend, a curl for it)."""
    cas1 = backends("cas1")

    def start(*lines, **options):
        gw = gateway(H2 + location(f"{cas1.url}/", *lines, path="/owa/", **options),
                     modules=(*MODULES, "http2"))
        return gw, cas1, Curl(gw, authority.ca_file, tmp_path)
    return start


def by_basic(name, password=None):
    return [("Authorization", basic(name, password or PASSWORDS[name]))]


def on_one_connection(answers):
    return len({answer.port for answer in answers}) == 1


@pytest.mark.smoke
def test_every_stream_is_its_own_users(h2):
    """Basic and cookie, alice and bob, right, wrong and nothing, mixed on one connection."""
    gw, cas1, curl = h2()
    cookie = {}
    for name in NAMES:
        visitor = Visitor(gw)
        assert visitor.log_on(name, PASSWORDS[name]).status == 303
        cookie[name] = [("Cookie", f"a=1; {COOKIE}={visitor.session}; b=2")]
    kinds = [("alice", 200, by_basic("alice")), ("bob", 200, by_basic("bob")),
             ("alice", 200, cookie["alice"]), ("bob", 200, cookie["bob"]),
             ("alice", 200, [*cookie["alice"], *by_basic("bob")]),
             ("bob", 200, [*cookie["bob"], *by_basic("alice", "nonsense")]),
             (None, 401, []), (None, 401, by_basic("bob", PASSWORDS["alice"])),
             (None, 440, [("Cookie", f"{COOKIE}=dead")])]
    wanted = kinds * 18
    random.Random(1).shuffle(wanted)
    requests = [(f"/owa/s{number}", headers) for number, (_, _, headers) in enumerate(wanted)]
    answers = curl.run(requests)
    assert len(answers) == 162 and on_one_connection(answers)
    for number, (answer, (name, status, _)) in enumerate(zip(answers, wanted)):
        assert answer.status == status, requests[number]
        if name is not None:
            assert answer.remote_user == f"{name}@{REALM}"
            assert json.loads(answer.body)["uri"] == f"/s{number}"
            assert answer.headers["cache-control"] == ["private"]
        assert answer.headers.get("www-authenticate", []) == [CHALLENGE] * (status == 401)
    refused = {f"/s{number}" for number, (_, status, _) in enumerate(wanted) if status != 200}
    assert not refused & {entry["uri"] for entry in cas1.requests()}


def test_first_requests_all_at_once(h2):
    """A hundred streams begin while no password is cached."""
    gw, _, curl = h2()
    wanted = [NAMES[number % 2] for number in range(100)]
    answers = curl.run([(f"/owa/?n={n}", by_basic(name)) for n, name in enumerate(wanted)])
    assert on_one_connection(answers)
    assert [answer.remote_user for answer in answers] == [f"{name}@{REALM}" for name in wanted]


def test_streams_that_are_reset(h2):
    """A stream ends while its request is at the backend: the others are served as themselves."""
    gw, _, curl = h2()
    slow = [(f"/owa/?sleep=1&n={n}", by_basic("alice"), "max-time = 0.3") for n in range(8)]
    others = [(f"/owa/?sleep=0.6&n={n}", by_basic("bob")) for n in range(8)]
    answers = curl.run([request for pair in zip(slow, others) for request in pair])
    assert [answer.exit_code for answer in answers[::2]] == [28] * 8
    assert [answer.remote_user for answer in answers[1::2]] == [f"bob@{REALM}"] * 8
    assert len({answer.port for answer in answers[1::2]}) == 1
    again = curl.run([("/owa/", by_basic(name)) for name in NAMES] + [("/owa/", [])])
    assert [answer.status for answer in again] == [200, 200, 401]


def test_no_identity_on_the_connection(h2):
    """One after the other on one connection: nothing, right, wrong, and another user."""
    gw, cas1, curl = h2()
    steps = [(None, []), ("alice", by_basic("alice")), (None, []),
             (None, by_basic("alice", "nonsense")), ("bob", by_basic("bob")), (None, []),
             (None, by_basic("bob", PASSWORDS["alice"])), ("alice", by_basic("alice")), (None, [])]
    answers = curl.run([(f"/owa/{n}", headers) for n, (_, headers) in enumerate(steps)],
                       at_once=False)
    assert on_one_connection(answers)
    for answer, (name, _) in zip(answers, steps, strict=True):
        assert answer.status == (200 if name else 401)
        assert answer.headers.get("www-authenticate", []) == ([] if name else [CHALLENGE])
        if name:
            assert answer.remote_user == f"{name}@{REALM}"
    assert {entry["uri"] for entry in cas1.requests()} <= {"/1", "/4", "/7"}


def nghttp_get(gw, path, headers, *more):
    """The status (and the body, in a new line) of one request by nghttp, which sends each header
    as a field of its own."""
    options = [f"--header={name}: {value}" for name, value in headers]
    done = subprocess.run(["nghttp", "--verbose", "--no-dep", *options, *more,
                           f"https://{GATEWAY}:{gw.port}{path}"], text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    status = [line.rpartition(":status: ")[2] for line in done.stdout.splitlines()
              if ":status: " in line]
    bodies = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return "\n".join([*status, *bodies])


def crumbs(session):
    """A Cookie header in pieces (RFC 9113, 8.2.3); None is where ours stands."""
    ours = f"{COOKIE}={session}"
    return {"alone": [ours], "first": [ours, "a=1"], "last": ["a=1", "b=2", ours],
            "between": ["a=1", ours, "b=2"], "in a piece of two": ["a=1", f"b=2; {ours}", "c=3"],
            "many": [*(f"c{n}={n}" for n in range(40)), ours]}


def test_cookie_crumbs(h2):
    gw, _, _ = h2()
    visitor = Visitor(gw)
    assert visitor.log_on("alice", PASSWORDS["alice"]).status == 303
    for what, pieces in crumbs(visitor.session).items():
        got = nghttp_get(gw, "/owa/x", [("cookie", piece) for piece in pieces])
        status, body = got.split("\n", 1)
        assert status == "200", what
        echo = json.loads(body)
        assert echo["remote_user"] == f"alice@{REALM}", what
        kept = [part for piece in pieces for part in piece.split("; ") if COOKIE not in part]
        assert [v for k, v in echo["headers"] if k.lower() == "cookie"] == (
            ["; ".join(kept)] if kept else []), what


def test_two_session_cookies_in_crumbs(h2):
    gw, cas1, _ = h2()
    sessions = []
    for name in NAMES:
        visitor = Visitor(gw)
        assert visitor.log_on(name, PASSWORDS[name]).status == 303
        sessions.append(("cookie", f"{COOKIE}={visitor.session}"))
    for pieces in (sessions, sessions[::-1], [sessions[0]] * 2,
                   [sessions[0], ("cookie", f"{COOKIE}=dead")]):
        assert nghttp_get(gw, "/owa/x", pieces) == "440"
    assert cas1.requests() == []


def test_form_login_by_http2(h2, tmp_path):
    """The whole flow, with curl's own cookie jar."""
    gw, _, curl = h2()
    jar = [f'cookie = "{tmp_path}/jar"', f'cookie-jar = "{tmp_path}/jar"']
    browser = [("User-Agent", "Mozilla/5.0"), ("Accept", "text/html")]
    first, = curl.run([("/owa/x", browser, *jar)])
    assert (first.status, first.headers["location"]) == (
        302, ["/eas-kcd/login?destination=%2fowa%2fx"])
    page, = curl.run([("/eas-kcd/login?destination=%2fowa%2fx", browser, *jar)])
    token = page.body.decode().partition('name="token" value="')[2].partition('"')[0]
    done, = curl.run([("/eas-kcd/login", browser, *jar, *(
        f'data-urlencode = "{name}={value}"' for name, value in (
            ("username", "bob"), ("password", PASSWORDS["bob"]), ("trusted", "0"),
            ("destination", "/owa/x"), ("token", token))))])
    assert (done.status, done.headers["location"]) == (303, ["/owa/x"])
    answers = curl.run([("/owa/x", browser, *jar)] * 20)
    assert {answer.remote_user for answer in answers} == {f"bob@{REALM}"}
    assert on_one_connection(answers)


def test_login_timeout_by_http2(h2):
    """440 without a reason phrase, and no body where it must not be one."""
    gw, cas1, curl = h2()
    answer, = curl.run([("/owa/x", [("X-Requested-With", "x")])])
    assert answer.status == 440
    assert "www-authenticate" not in answer.headers
    assert cas1.requests() == []


def test_backend_asks_by_http2(h2):
    """Do not always authenticate: no stream inherits the user of another one."""
    gw, cas1, curl = h2(require="Require all granted")
    requests = [("/owa/", by_basic("alice") if n % 2 else []) for n in range(60)]
    answers = curl.run(requests)
    assert on_one_connection(answers)
    assert [answer.status for answer in answers] == [401, 200] * 30
    assert {answer.remote_user for answer in answers[1::2]} == {f"alice@{REALM}"}
    assert {tuple(answer.headers["www-authenticate"]) for answer in answers[::2]} == {(CHALLENGE,)}
    assert {entry["user"] for entry in cas1.requests()} <= {"-", f"alice@{REALM}"}


def test_load(h2):
    """Some thousand requests of one user, and none of them is anybody else's trouble."""
    gw, _, curl = h2()
    gw.allow("AH01102", "AH00898",
             because="the backend has fewer threads than clients, and closes kept connections")
    done = subprocess.run(["h2load", "-n", "1000", "-c", "4", "-m", "25", "-t", "1",
                           "-H", f"Authorization: {basic('alice', PASSWORDS['alice'])}",
                           f"https://{GATEWAY}:{gw.port}/owa/"], check=True, text=True, timeout=60,
                          stdout=subprocess.PIPE)
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout
    assert "status codes: 1000 2xx" in done.stdout
    answer, = curl.run([("/owa/", by_basic("bob"))])
    assert answer.remote_user == f"bob@{REALM}"
