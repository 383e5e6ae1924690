# SPDX-License-Identifier: Apache-2.0
"""t/bench still works: hardly any load, so its figures mean nothing here."""

import os
import re
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock
from xml.etree import ElementTree

import pytest

from benchmark import page, pairs, users, warm
from benchmark.cost import busy_seconds, connections_accepted, cpu_seconds
from benchmark.load import Answer, Answers, Load
from benchmark.main import CASES as ALL
from benchmark.pairs import Pair, Run, Side, per_second
from benchmark.pings import Counts, Phones
from benchmark.promises import PROMISES, Promise, judge
from benchmark.results import Results
from lab.activesync import EXPIRED, PING, plain
from lab.ad import REALM
from lab.fake_backend import response
from lab.gateway import module_under_test
from lab.names import GATEWAY
from lab.wait import until
from parked import worst_half_second

COMMAND = Path(__file__).with_name("bench")
# Cases that only compare: the names of their figures are known without a server.
DRY = ("basic", "cookie", "guard", "mutual", "others", "parts", "reuse", "tls", "token", "users")
CASES = tuple(sorted(set(ALL) - set(DRY)))


def bench(*args):
    if not module_under_test().exists():
        pytest.skip(f"{module_under_test()} is not built")
    done = subprocess.run([COMMAND, *args], text=True, timeout=600, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def test_it_measures_draws_and_judges(tmp_path):
    plot, copy = tmp_path / "curve.svg", tmp_path / "README.md"
    copy.write_text(page.PAGE.read_text())
    code, said = bench("--smoke", "--check", "--plot", plot, "--write", "--page", copy, *CASES)
    assert "benchmark/page.py" not in said, "no figure that its tables want is without a case"
    assert re.search(r"^\| log-ons, 8 at a time \| [\d ]+ a second, p99 [\d. ]+ ms \|$",
                     copy.read_text(), re.MULTILINE)
    assert "\nEffort: smoke.\n" in copy.read_text(), said
    for promise in PROMISES:
        assert (promise.text in said) == (promise.case in CASES), said
    assert "NOT MEASURED" not in said
    assert (code == 1) == ("MISSED" in said), said
    assert "kept  KDC messages per warm request by Basic" in said
    assert re.search(r"session: throughput \d\.\d\d of direct", said)
    ratio = re.search(r"warm session, instructions of the bare proxy's: (\d\.\d+)", said)
    assert ratio and 1.2 < float(ratio[1]) < 1.5, "some dozens of requests repeat it within a tenth"
    lines = ElementTree.parse(plot).findall(".//{http://www.w3.org/2000/svg}polyline")
    assert [len(line.get("points").split()) for line in lines] == [2, 2, 2, 2]


def test_an_unknown_case_is_refused():
    code, said = bench("headline")
    assert code == 2 and "no such case: headline" in said


@pytest.mark.parametrize("value,kept", [(0.84, False), (0.85, True), (None, False)])
def test_a_promise_that_is_missed_or_not_measured_is_not_kept(value, kept):
    promise = Promise("case", "text", "figure", 0.85, at_least=True)
    assert promise.judge({} if value is None else {"figure": value})[0] is kept


def test_all_promises_of_a_case_count():
    figures = {promise.figure: promise.limit for promise in PROMISES}
    cases = {promise.case for promise in PROMISES}
    assert judge(cases, figures)[0]
    assert not judge(cases, figures | {"outage.waiting": 0.26})[0]
    assert judge(cases - {"outage"}, figures | {"outage.waiting": 0.26})[0]


def made_run(requests, spent):
    return Run(Load(requests, 1, 1, 1, 0, 0), spent, 0)


def test_ratios_are_medians_of_the_rounds_with_their_quartiles():
    pair = Pair(None, None, [(made_run(100, 2), made_run(requests, spent)) for requests, spent in (
        (80, 2.2), (90, 2.4), (99, 2.6), (85, 2.8), (95, 9))])
    assert (pair.throughput, pair.cpu) == (0.9, 1.3)
    assert pair.spread(per_second) == (0.85, 0.95)
    assert Pair(None, None, pair.runs[:1]).spread(per_second) == (0.8, 0.8)


def test_every_other_round_begins_with_the_other_side(monkeypatch):
    """So that nothing that changes with time favours one of them."""
    order = []

    def once(_rig, side, *_):
        order.append(side.name)
        return made_run(100 if side.name == "A" else 50, 1)
    monkeypatch.setattr(pairs, "once", once)
    monkeypatch.setattr(pairs, "_warm_up", lambda *_: None)
    pair = pairs.paired(MagicMock(), Side("A", MagicMock(), "/"), Side("B", MagicMock(), "/"), None,
                        rounds=3, seconds=1)
    assert "".join(order) == "ABBAAB"
    assert [b.load.requests / a.load.requests for a, b in pair.runs] == [0.5] * 3


def test_percentiles_count_from_the_fastest():
    answers = Answers([Answer(200, seconds) for seconds in range(100, 0, -1)], 1)
    assert (answers.percentile(0.5), answers.percentile(0.99)) == (51, 100)


def test_connections_that_servers_accept_are_counted():
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = connections_accepted()
        clients = [socket.create_connection(server.getsockname()) for _ in range(5)]
        assert connections_accepted() - before >= 5
        for client in clients:
            client.close()


def test_cpu_of_a_family_counts_its_children_and_so_do_the_cores():
    work = "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done"
    with subprocess.Popen(["sh", "-c", f"sh -c '{work}'; read x"],
                          stdin=subprocess.PIPE) as parent:
        before = busy_seconds(os.sched_getaffinity(0))
        try:
            until(lambda: cpu_seconds(parent.pid) > 0.1, 60, "a child to use the processor")
            assert busy_seconds(os.sched_getaffinity(0)) - before > 0.05
        finally:
            parent.stdin.close()


def test_the_worst_half_second_is_told_from_its_restart():
    calm = [(10 + n / 10, 0.001) for n in range(100)]
    assert worst_half_second(calm, [10, 15]) == (0, 0.001)
    paused = [(15.6, 3), (15.7, 2), (15.9, 1), (12.1, 1.5), (9, 60)]
    assert worst_half_second(paused, [10, 15]) == (0.5, 2)
    assert worst_half_second([(9, 60)], [10]) == (0, 0)


def pretend_gateway(listener, context, script):
    """Answers each request of the connections by the script: a list for each of them. None waits."""
    for answers in script:
        with context.wrap_socket(listener.accept()[0], server_side=True) as client:
            for answer in answers:
                request = b""
                while not request.endswith(PING):
                    request += client.recv(4096)
                if answer is None:
                    client.recv(1)
                else:
                    client.sendall(answer)


def test_phones_count_what_they_get(tmp_path, authority):
    """Each kind once, and TLS sessions are resumed unless a phone is not to."""
    user = f"alice@{REALM}".encode()
    script = [[response("200 OK", body=user), response("200 OK", body=EXPIRED),
               response("200 OK", body=b"bob"), response("403 Forbidden", [("Connection", "close")])],
              [b""], [b"HTTP/1.1 200 OK\r\nContent-"], [None]]
    for resume in (True, False):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            context = authority.certificate(GATEWAY).server_context()
            thread = threading.Thread(target=pretend_gateway, args=(listener, context, script))
            thread.start()
            phones = Phones(tmp_path, listener.getsockname()[1], 1, ["alice"], resume=resume)
            phones.begin(1)
            until(lambda: phones.counts().connections == 4 and phones.counts().waiting, 20,
                  "the last connection")
            seen = phones.stop()
            thread.join()
        assert seen.last_answer > 0
        assert replace(seen, last_answer=0) == Counts(
            waiting=1, own=1, unchanged=1, other=1, refused=1, broken=1, connections=4,
            resumed=3 * resume, unanswered=(plain("Ping", "alice", "D0") + "&Try=4",))


# --- the page --------------------------------------------------------------------------------

def dry(monkeypatch, case):
    """The figures of a case that only compares, with one run of nothing in place of all others."""
    run = Run(Load(1, 1, 1, 1, 0, 0), 1, 1)
    monkeypatch.setattr(warm, "paired", lambda rig, a, b, *_, **__: Pair(a, b, [(run, run)]))
    monkeypatch.setattr(warm, "session", lambda *_: ())
    monkeypatch.setattr(users, "_log_on", lambda *_: [("Authorization", "Basic")])
    rig = MagicMock()
    rig.token_seconds.return_value = (1, 1, 1, 1)
    made = warm.Bench(rig, Results(), warm.FULL)
    ALL[case](made)
    return made.results.figures


def test_figures_of_the_page_and_of_the_promises_are_those_of_cases():
    assert set(page.cases(page.TABLES)) <= set(ALL)
    assert {promise.case for promise in PROMISES} <= set(ALL)
    for promise in PROMISES:
        assert promise.figure.startswith(f"{promise.case}.")


@pytest.mark.parametrize("case", DRY)
def test_figures_of_the_page_and_of_the_promises_are_measured(monkeypatch, case):
    figures = dry(monkeypatch, case)
    assert {name for name in page.names() if name.startswith(f"{case}.")} <= set(figures)
    assert {promise.figure for promise in PROMISES if promise.case == case} <= set(figures)
    assert all(name.startswith(f"{case}.") for name in figures)


def test_a_figure_that_its_case_does_not_measure_is_told():
    figures = [name.replace("10000", "8") for name in page.names()]
    assert page.unknown(figures, ALL) == []
    figures.remove("outage.beyond")
    assert page.unknown(figures, ALL) == ["outage.beyond"]
    assert page.unknown(figures, ["basic"]) == []


def test_the_page_has_the_rows_of_the_tables():
    text = page.PAGE.read_text()
    assert page.written(text, {}, "full") == text


def test_figures_of_a_case_are_written_and_all_else_stays():
    text = page.PAGE.read_text()
    values = {"basic.shared.throughput": 0.876, "basic.shared.cpu": 1.234, "basic.shared.us": -3.6}
    before, after = (lines.splitlines() for lines in (text, page.written(text, values, "quick")))
    assert len(before) == len(after)
    row, effort = ((old, new) for old, new in zip(before, after) if old != new)
    assert row[0].startswith("| Basic, delegated | bare proxy | shared | ")
    assert row[1] == "| Basic, delegated | bare proxy | shared | 0.88 | 1.23 (−4 µs) |"
    assert effort[0].startswith("Effort: ") and "quick in part: basic" in effort[1]
    full = {name: 1 for name in page.names() if name.startswith("basic.")}
    again = page.written("\n".join(after) + "\n", full, "full")
    assert "Effort: full." in again.partition("<!-- figures: curve -->")[0]


def test_all_figures_have_their_cells():
    text = page.written(page.PAGE.read_text(), dict.fromkeys(page.names(), 2), "quick")
    table = text.partition("<!-- figures: phones -->")[2].partition("<!-- /figures -->")[0]
    assert table.count("| 2 in 2.0 s | 2 × 200, 2 × 503 | 2 | 2.0 ms |") == 4
    assert table.endswith("\n\nEffort: quick.\n\n") and page.NOT_YET not in table


@pytest.mark.parametrize("part", ["<!-- figures: users -->\n", "<!-- /figures -->\n"])
def test_a_page_without_a_table_is_refused(part):
    with pytest.raises(ValueError, match="has not one table between"):
        page.written(page.PAGE.read_text().replace(part, "", 1), {}, "full")


@pytest.mark.parametrize("value,form,text", [
    (1234567, ",.0f", "1 234 567"), (-4.2, "+.0f", "−4"), (0.25, ".0%", "25 %"),
    (0.00039, "ms", "0.39"), (0.0040, "ms", "4.0"), (0.0972, "ms", "97"), (6.5, "ms", "6 500"),
    (86_349, "hundreds", "86 300"), (True, "yes", "yes"), (0, "yes", "no")])
def test_figures_are_spelled(value, form, text):
    assert page.spelled(value, form) == text
