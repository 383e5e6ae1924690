# SPDX-License-Identifier: Apache-2.0
"""t/bench still works: hardly any load, so its figures mean nothing here."""

import re
import socket
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmark.cost import connections_accepted, cpu_seconds
from benchmark.load import Answer, Answers
from benchmark.promises import PROMISES, Promise, judge
from lab.gateway import module_under_test
from lab.wait import until

COMMAND = Path(__file__).with_name("bench")
CASES = ("curve", "direct", "instructions", "messages", "parked", "storm")


def bench(*args):
    if not module_under_test().exists():
        pytest.skip(f"{module_under_test()} is not built")
    done = subprocess.run([COMMAND, *args], text=True, timeout=300, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def test_it_measures_draws_and_judges(tmp_path):
    plot = tmp_path / "curve.svg"
    code, said = bench("--smoke", "--check", "--plot", str(plot), *CASES)
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


def test_cpu_of_a_family_counts_its_children():
    work = "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done"
    with subprocess.Popen(["sh", "-c", f"sh -c '{work}'; read x"],
                          stdin=subprocess.PIPE) as parent:
        try:
            until(lambda: cpu_seconds(parent.pid) > 0.1, 60, "a child to use the processor")
        finally:
            parent.stdin.close()
