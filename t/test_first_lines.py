# SPDX-License-Identifier: Apache-2.0
"""First lines of clients in the field: each has its answer, and none is malformed."""

from collections import Counter
from pathlib import Path

from lab.ad import PASSWORDS
from lab.challenge import AJAX, kind
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import BROWSER, PHONE

CORPUS = Path(__file__).parent / "fixtures" / "first_lines.txt"
HEADERS = {"browser": [*BROWSER, ("Sec-Fetch-Mode", "navigate")], "script": [*BROWSER, AJAX]}


def first_lines():
    rows = [line.split(" | ") for line in CORPUS.read_text().splitlines()
            if line and not line.startswith("#")]
    return [(answer, client, *line.split(" ")) for answer, client, line in rows]


def headers_of(client):
    return HEADERS.get(client, [("User-Agent", f"{client}/1.0"), PHONE[1]])


def body_of(method):
    return None if method in ("GET", "HEAD", "OPTIONS") else b"x=1"


def test_every_first_line_has_its_answer(gateway, fake_backends):
    """Without credentials, nothing reaches the backend; with them, everything does."""
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(location(backend.url + "/", "EasKcdDelegate Off", path="/"))
    lines = first_lines()
    assert len(lines) >= 50 and Counter(lines).most_common(1)[0][1] == 1
    with gw.client() as client:
        got = [(kind(client.request(method, target, headers=headers_of(name),
                                    body=body_of(method))), name, method, target)
               for _, name, method, target in lines]
        assert got == lines
        assert set(gw.error_log.tags()) == {"EAS1062"} and backend.requests == []
        for _, name, method, target in lines:
            answer = client.request(method, target, "alice", PASSWORDS["alice"], headers_of(name),
                                    body_of(method))
            assert (answer.status, method, target) == (200, method, target)
    assert len(backend.requests) == len(lines)
