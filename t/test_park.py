# SPDX-License-Identifier: Apache-2.0
"""EasKcdPark: long polls wait for the backend without a thread, and are as all others otherwise."""

import resource
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from lab.activesync import CHANGED, EXPIRED, PATH, PING, TYPE, plain
from lab.ad import PASSWORDS
from lab.exchange import location, trusting
from lab.fake_backend import response
from lab.gateway import MODULES
from lab.memory import copies
from lab.names import GATEWAY
from lab.parking import (PROMPT, SETTINGS, SMALL, THREADS, USERS, Gates, answered, await_parked,
                         closing, parked, published, right, unparked, wait)
from lab.raw_form import reset, shut_down
from lab.sanitizer import measures_memory
from lab.simulated import damaged
from lab.wait import connections, until


def all_parked(polls):
    """More than there are threads: each waits at the backend, and has left its thread."""
    clients = polls.hold_all(USERS)
    await_parked(polls.gw, len(USERS))
    return clients


def entries(gw, count):
    """The access log's, of that many Pings."""
    def found():
        return [entry for entry in gw.requests() if "Cmd=Ping" in entry["uri"]]
    until(lambda: len(found()) >= count, 5, "the access log")
    return found()


@pytest.mark.smoke
@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
@pytest.mark.parametrize("backend_tls", [True, False], ids=["TLS behind", "plain behind"])
def test_more_pings_than_threads(gateway, exchange, authority, pings, tls, backend_tls):
    """Twice as many Pings as threads wait, and others are served. Each Ping gets its answer, the
    log has its time without a thread, and the connections on both sides go on."""
    server, backend = exchange(tls=backend_tls)
    gw = gateway(SMALL + trusting(authority) + published(backend), tls=tls, processes=1,
                 threads=THREADS)
    polls = pings(gw, server)
    clients = polls.hold_all(USERS)
    with gw.client(timeout=5) as client:
        assert client.request("OPTIONS", PATH, "alice", PASSWORDS["alice"]).status == 200
    gw.mark()
    server.change()
    for client in clients:
        answer = client.receive()
        assert (answer.status, answer.body, answer.header("Content-Type")) == (200, CHANGED, TYPE)
        assert answer.header("WWW-Authenticate") is None
    assert {(entry["status"], entry["EAS_KCD_ERROR"]) for entry in entries(gw, 8)} == {("200", "-")}
    assert {entry["user"].split("@")[0] for entry in entries(gw, 8)} == set(USERS)
    assert gw.error_log.tags() == []


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
def test_connections_go_on(gateway, exchange, authority, pings, tls):
    """On both sides, after a response of which no part was lost. A Ping that is answered at once
    does not park."""
    server, backend = exchange(tls=tls)
    gw = gateway(SETTINGS + trusting(authority) + published(backend), tls=tls,
                 processes=1)
    client = answered(pings(gw, server))
    assert client.post(plain("Ping"), PING, "alice", PASSWORDS["alice"]).body == CHANGED
    assert len({request.connection for request in backend.requests}) == 1
    assert [entry["EAS_KCD_PARKED"] for entry in entries(gw, 2)] == ["0", "-"]


@measures_memory
def test_buffers_of_openssl(gateway, exchange, authority, pings):
    """A backend's session ticket has OpenSSL allocate a buffer for writes, which a request gives back
    as it parks. malloc() fills what it allocates, and nothing is written there."""
    untouched = bytes([165 ^ 0xff]) * 16000
    server, backend = exchange(tls=True)
    gw = gateway(SETTINGS + trusting(authority) + published(backend), tls=False, processes=1,
                 env={"MALLOC_PERTURB_": "165"})
    assert gw.get(PATH).status == 401       # the child has started
    before = len(copies(gw.children(), untouched))
    clients = all_parked(pings(gw, server))
    until(lambda: len(copies(gw.children(), untouched)) <= before, 5, "the buffers to be gone")
    server.change()
    assert [client.receive().body for client in clients] == [CHANGED] * len(clients)


@pytest.mark.parametrize("how", [shut_down, reset], ids=["FIN", "RST"])
def test_client_leaves(gateway, exchange, pings, how):
    """The backend's connections end within a second, and the log has the requests."""
    server, backend = exchange()
    gw = gateway(SMALL + published(backend), tls=False, processes=1, threads=THREADS)
    clients = all_parked(pings(gw, server))
    gw.mark()
    for client in clients:
        how(client.socket)
    until(lambda: connections(backend.port, of_peers=True) == 0, PROMPT, "the connections' end")
    until(lambda: gw.error_log.tags().count("EAS2080") == len(clients), PROMPT, "the log")
    assert [(entry["status"], entry["EAS_KCD_ERROR"]) for entry in entries(gw, 8)] == [
        ("499", "EAS2080")] * 8


def test_graceful_restart(gateway, exchange, pings):
    """The old process tells each phone that nothing has changed, when a new one accepts
    connections, and is gone within seconds."""
    server, backend = exchange()
    gw = gateway(SMALL + published(backend), tls=False, processes=1, threads=THREADS)
    clients = pings(gw, server).hold_all(USERS)
    old = gw.children()
    gw.mark()
    gw.graceful()
    for client in clients:
        answer = client.receive()
        assert (answer.status, answer.body, answer.header("Content-Type")) == (200, EXPIRED, TYPE)
        assert answer.header("Connection") == "close"
        assert set(gw.children()) - set(old)
    until(lambda: not set(gw.children()) & set(old), 10, "the old process to end")
    assert {(entry["status"], entry["EAS_KCD_ERROR"]) for entry in entries(gw, 8)} == {("200", "-")}
    assert set(gw.error_log.tags()) <= {"EAS2093"}
    until(lambda: connections(backend.port, of_peers=True) == 0, PROMPT, "the connections' end")


@pytest.mark.parametrize("spread,least,most", [("0s", 0, 6), ("8s", 7, 30)])
def test_graceful_restart_in_the_time_of_a_directive(gateway, exchange, pings, spread, least, most):
    """The last of eight phones waits for seven eighths of it."""
    server, backend = exchange()
    gw = gateway(f"{SMALL}EasKcdParkSpread {spread}\n" + published(backend), tls=False, processes=1,
                 threads=THREADS)
    clients = all_parked(pings(gw, server))
    began = time.monotonic()
    gw.graceful()
    assert {client.receive().body for client in clients} == {EXPIRED}
    assert least <= time.monotonic() - began < most
    gw.expect("EAS2093")


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
def test_full_stop(gateway, exchange, pings, tls):
    """Each phone is told that nothing has changed, before its connection ends."""
    server, backend = exchange()
    gw = gateway(SMALL + published(backend), tls=tls, processes=1, threads=THREADS)
    clients = all_parked(pings(gw, server))
    began = time.monotonic()
    gw.daemon.stop()
    assert time.monotonic() - began < 5
    for client in clients:
        answer = client.receive()
        assert (answer.status, answer.body, answer.header("Content-Type")) == (200, EXPIRED, TYPE)
    assert {(entry["status"], entry["EAS_KCD_ERROR"]) for entry in entries(gw, 8)} == {("200", "-")}


def test_full_stop_while_all_threads_are_busy(gateway, fake_backends, keeper, pings):
    """Phones whose answers no thread has taken are told that nothing has changed, too."""
    gates = Gates(keeper)
    gw = gateway("LogLevel mpm_event:debug\n" + SMALL
                 + published(fake_backends(gates, proves=False)), tls=False, processes=1,
                 threads=THREADS)
    gw.allow("AH00161", "AH00484", because="all threads are busy, as this test wants it")
    polls = pings(gw, gates)
    working, phones = USERS[:THREADS], USERS[THREADS:]
    clients = polls.hold_all(phones)
    await_parked(gw, len(phones))
    for user in working:
        polls.send(user, command="FolderSync")
    until(lambda: gates.waiting == len(USERS), 10, "all threads to be busy")
    gates.open(*phones)
    wait(1)     # no thread is idle
    gw.daemon.signal(signal.SIGTERM)
    until(lambda: "wake up listener" in gw.error_log.text(), 5, "the stop")
    wait(1)
    gates.open(*working)
    for client in clients:
        answer = client.receive()
        assert (answer.status, answer.body, answer.header("Content-Type")) == (200, EXPIRED, TYPE)


def test_time_out_of_the_command(gateway, exchange, pings):
    """As for a request that has a thread: 502, and by the time of the request."""
    server, backend = exchange()
    gw = gateway(SMALL + published(backend, "EasKcdCommandTimeout Ping 3s"), tls=False,
                 processes=1, threads=THREADS)
    began = time.monotonic()
    client = pings(gw, server).hold("alice")
    assert client.receive().status == 502
    assert 2.5 < time.monotonic() - began < 5
    entry, = entries(gw, 1)
    assert entry["status"] == "502" and entry["EAS_KCD_PARKED"] in ("1", "2")
    gw.expect("AH01102", "AH00898")


def test_longer_than_httpds_timeout(gateway, exchange, pings):
    """The MPM would close the connection after Timeout."""
    server, backend = exchange(heartbeat=6)
    gw = gateway("Timeout 2\n" + SMALL + published(backend), tls=False, processes=1,
                 threads=THREADS)
    client = pings(gw, server).hold("alice")
    assert client.receive().body == EXPIRED
    entry, = entries(gw, 1)
    assert entry["status"] == "200" and entry["EAS_KCD_PARKED"] in ("4", "5")


def test_timeout_of_the_first_host(gateway, exchange, pings):
    """The MPM takes that of the address, not of the name."""
    server, backend = exchange(heartbeat=6)
    hosts = f"""<VirtualHost *>
ServerName first.example.test
Timeout 2
</VirtualHost>
<VirtualHost *>
ServerName {GATEWAY}
Timeout 60
{published(backend)}</VirtualHost>
"""
    gw = gateway(SMALL + hosts, tls=False, processes=1, threads=THREADS)
    client = pings(gw, server).hold("alice")
    assert client.receive().body == EXPIRED
    assert entries(gw, 1)[0]["EAS_KCD_PARKED"] in ("4", "5")


def test_first_request_is_not_pooled(gateway, exchange, pings):
    """The variable closes kept connections, not the one on which the answer comes."""
    server, backend = exchange()
    gw = gateway(SETTINGS + "SetEnv proxy-initial-not-pooled 1\n" + published(backend), tls=False,
                 modules=(*MODULES, "env"), processes=1)
    clients = all_parked(pings(gw, server))
    server.change()
    assert {client.receive().body for client in clients} == {CHANGED}


def in_pieces(proof):
    """An interim response before, and a chunked body of more than a buffer."""
    yield b"HTTP/1.1 102 Processing\r\n\r\n"
    yield (f"HTTP/1.1 200 OK\r\nWWW-Authenticate: {proof}\r\nContent-Type: {TYPE}\r\n"
           "Transfer-Encoding: chunked\r\n\r\n").encode()
    for _ in range(20):
        yield b"2000\r\n" + b"x" * 8192 + b"\r\n"
    yield b"0\r\n\r\n"


ANSWERS = {
    "with the end of its connection": (closing, 200, CHANGED, set()),
    "last of its connection": (right(("Connection", "close")), 200, CHANGED, set()),
    "in pieces": (in_pieces, 200, b"x" * 163840, set()),
    "without content": (right(body=b""), 200, b"", set()),
    "wrong AP-REP": (lambda proof: right()(damaged(proof)), 502, None, {"EAS2053"}),
    "no AP-REP": (lambda _: response("200 OK", body=b"secret"), 502, None, {"EAS2052"}),
    "error without AP-REP": (lambda _: response("500 Oops", body=b"secret"), 500, None,
                             {"EAS2055"}),
    "error": (right(status="507 Full", body=b"full"), 507, b"full", set()),
    "end of the connection": (lambda _: None, 503, None, {"EAS2057"}),
}


@pytest.mark.parametrize("tls", [True, False], ids=["TLS behind", "plain behind"])
@pytest.mark.parametrize("answer,status,body,tags", ANSWERS.values(), ids=ANSWERS)
def test_responses(gateway, held, authority, pings, answer, status, body, tags, tls):
    """Whatever a backend says after a while means what it means at once."""
    script, backend = held(answer, tls=tls)
    gw = gateway(SETTINGS + trusting(authority) + published(backend), tls=False,
                 processes=1)
    gw.allow("AH01102", "AH00898", "AH01110", "AH01097", *tags, because="the answer may be bad")
    client = parked(pings(gw, script), script)
    script.release()
    answer = client.receive()
    assert answer.status == status
    assert b"secret" not in answer.body and (body is None or answer.body == body)
    assert answer.header("WWW-Authenticate") is None
    entry, = entries(gw, 1)
    assert entry["EAS_KCD_PARKED"] in ("0", "1", "2")
    assert set(gw.error_log.tags()) == tags
    assert len(backend.requests) == 1


INTERIM = {
    "before its end": (b"HTTP/1.1 102 Processing\r\n", b"\r\n", {"-"}),
    "after it": (b"HTTP/1.1 102 Processing\r\n\r\n", b"", {"0", "1", "2"}),
}


@pytest.mark.parametrize("begin,end,parked_for", INTERIM.values(), ids=INTERIM)
def test_stall_in_an_interim_response(gateway, held, pings, begin, end, parked_for):
    """No request parks within a head, of which mod_proxy would read the rest for a status line."""
    go_on = threading.Event()

    def stalls(proof):
        yield begin
        go_on.wait(60)
        yield end + right()(proof)
    script, backend = held(stalls)
    gw = gateway(SETTINGS + published(backend), tls=False, processes=1)
    script.release()
    client = pings(gw, script).send("alice")
    until(lambda: backend.requests, 10, "the Ping at the backend")
    if parked_for == {"-"}:
        wait(1.5)       # the time to park
    else:
        await_parked(gw)
    go_on.set()
    answer = client.receive()
    assert (answer.status, answer.body) == (200, CHANGED)
    entry, = entries(gw, 1)
    assert entry["EAS_KCD_PARKED"] in parked_for
    assert gw.error_log.tags() == []


def test_stale_ticket(gateway, held, pings):
    """A 401 to a parked request gets a new ticket, and the request waits and parks once more."""
    script, backend = held(lambda _: response("401 Unauthorized", [("WWW-Authenticate",
                                                                    "Negotiate")]), right())
    gw = gateway(SETTINGS + published(backend), tls=False, processes=1)
    client = parked(pings(gw, script), script)
    script.release()
    answer = client.receive()
    assert (answer.status, answer.body) == (200, CHANGED)
    first, second = backend.requests
    assert first.body == second.body == PING
    assert first.authorization != second.authorization
    assert gw.error_log.tags() == ["EAS2056"]


def test_stop_does_not_answer_for_a_sync(gateway, held, pings):
    """It may carry changes, which only the backend confirms: the phone repeats it."""
    script, backend = held(right())
    gw = gateway(SETTINGS + published(backend), tls=False, processes=1)
    gw.expect("EAS2092")
    client = parked(pings(gw, script), script, command="Sync")
    gw.graceful()
    answer = client.receive()
    assert (answer.status, answer.header("Retry-After")) == (503, "30")
    entry = until(lambda: gw.requests(), 5, "the access log")[-1]
    assert (entry["status"], entry["EAS_KCD_ERROR"]) == ("503", "EAS2092")


def test_worker_that_is_marked_meanwhile(gateway, held, pings):
    """mod_proxy closes the connections of a balancer's broken member. The answer is lost, and the
    phone is told so."""
    script, backend = held(right())
    gw = gateway(f'{SETTINGS}<Proxy "balancer://mail">\n    BalancerMember "{backend.url}"\n'
                 "    ProxySet failonstatus=401\n</Proxy>\n"
                 + location("balancer://mail" + PATH, "EasKcdPark On", path=PATH)
                 + '<Location "/open">\n    ProxyPass "balancer://mail/open"\n</Location>\n',
                 tls=False, processes=1)
    gw.expect("EAS2091", "AH01174", "AH00940")
    client = parked(pings(gw, script), script)
    assert gw.get("/open").status == 401
    script.release()
    answer = client.receive()
    assert (answer.status, answer.header("Retry-After")) == (503, "30")
    assert entries(gw, 1)[0]["EAS_KCD_ERROR"] == "EAS2091"


@pytest.mark.parametrize("line,better", [
    ("AsyncRequestWorkerFactor 2", "AsyncRequestWorkerFactor 200"),
    ("MaxSpareThreads 10", "MaxSpareThreads 50"),
    ("MaxConnectionsPerChild 1000", "MaxConnectionsPerChild 0"),
    ("MaxRequestsPerChild 1000", "MaxConnectionsPerChild 0")])
def test_settings_of_the_mpm(gateway, line, better):
    """A start names the setting that does not go with parked requests, and what to write."""
    conf = 'EasKcdPark On\n<IfModule mpm_event_module>\n    %s\n</IfModule>\n'
    gw = gateway(SETTINGS + conf % line, tls=False)
    text = gw.error_log.text()
    assert text.count("EAS3069") == 1
    assert f"write {better}" in text


@pytest.mark.parametrize("line,warns", [("EasKcdPark On", 1), ("", 0), ("EasKcdPark Off", 0)])
def test_settings_of_the_mpm_where_parking_is_the_default(gateway, line, warns):
    """A gateway of few phones needs no other settings, so a start without the directive is silent."""
    gw = gateway(f"EasKcdRequireTLS Off\nAsyncRequestWorkerFactor 2\n{line}\n", tls=False,
                 log_level="warn")
    assert gw.error_log.text().count("EAS3069") == warns


def test_more_pings_than_a_process_admits(gateway, exchange, authority, pings):
    """httpd's default factor admits few connections to a process, and the MPM starts another: idle
    threads of a process that admits none do not count."""
    server, backend = exchange()
    gw = gateway("EasKcdRequireTLS Off\nServerLimit 16\nMaxRequestWorkers 64\nMaxSpareThreads 64\n"
                 "AsyncRequestWorkerFactor 2\n" + trusting(authority) + published(backend), tls=False,
                 processes=1, threads=THREADS)
    polls = pings(gw, server)
    clients = [polls.hold(user, f"phone{n}") for n in range(5) for user in USERS]
    await_parked(gw, len(clients))
    with gw.client(timeout=5) as client:
        assert client.request("OPTIONS", PATH, "alice", PASSWORDS["alice"]).status == 200
    assert len(gw.children()) >= len(clients) / (3 * THREADS)
    server.change()
    assert {client.receive().body for client in clients} == {CHANGED}


@pytest.mark.parametrize("line,parks", [("", True), ("EasKcdPark Off", False)])
def test_default(gateway, held, pings, line, parks):
    script, backend = held(right())
    gw = gateway(SETTINGS + location(backend.url + PATH, line, path=PATH), tls=False, processes=1)
    client = (parked if parks else unparked)(pings(gw, script), script)
    assert ("parks: waits" in gw.error_log.text()) == parks
    script.release()
    assert client.receive().body == CHANGED


@contextmanager
def descriptors(number):
    """The limit of an httpd that starts meanwhile."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


NEEDED = 3 * 4 * (1 + 200) + 256     # with THREADS and the factor of SETTINGS


@pytest.mark.parametrize("factor", [200, 2])
def test_too_few_descriptors(gateway, factor):
    """A start names the limit that goes with the advised factor."""
    with descriptors(NEEDED - 1):
        gw = gateway(f"{SMALL}EasKcdPark On\nAsyncRequestWorkerFactor {factor}\n", tls=False,
                     processes=1, threads=THREADS)
    text, = [line for line in gw.error_log.text().splitlines() if "EAS3100" in line]
    assert f"have {NEEDED - 1}," in text and f"write LimitNOFILE={NEEDED} " in text


def test_enough_descriptors(gateway):
    with descriptors(NEEDED):
        gw = gateway(SMALL + "EasKcdPark On\n", tls=False, processes=1, threads=THREADS)
    assert "EAS3100" not in gw.error_log.text()


@pytest.mark.parametrize("line,count", [("", 1), ("EasKcdPark Off", 0)])
def test_too_few_descriptors_by_default(gateway, line, count):
    with descriptors(300):
        gw = gateway(SMALL + location("http://cas1.corp.example.test" + PATH, line, path=PATH),
                     tls=False, processes=1, threads=THREADS)
    assert gw.error_log.text().count("EAS3100") == count


@pytest.mark.parametrize("park,max_,warns", [
    ("On", "max=803", True), ("On", "max=804", False), ("On", "", False), ("Off", "max=803", False),
    ("On", f"max={THREADS - 1}", True), ("On", f"max={THREADS}", False)])
def test_too_few_connections_to_a_backend(gateway, park, max_, warns):
    """A start names the worker, and what its max= must be."""
    gw = gateway(SMALL + location("http://cas1.corp.example.test" + PATH, f"EasKcdPark {park}",
                                  path=PATH, parameters=max_)
                 + location("http://cas2.corp.example.test/", "EasKcdPark On", path="/other"),
                 tls=False, processes=1, threads=THREADS)
    found = [line for line in gw.error_log.text().splitlines() if "EAS3101" in line]
    assert len(found) == warns
    assert all("cas1.corp.example.test" in text and text.endswith("write max=804")
               for text in found)


@pytest.mark.parametrize("mpm,line,lines", [
    ("worker", "EasKcdPark On", 1), ("prefork", "EasKcdPark On", 1), ("prefork", "", 0)])
def test_other_mpm(gateway, held, pings, mpm, line, lines):
    """A thread as ever, and a line in the log that says so to whom wants it otherwise."""
    script, backend = held(right(), right())
    gw = gateway("EasKcdRequireTLS Off\n" + location(backend.url + PATH, line, path=PATH),
                 tls=False, mpm=mpm, processes=1)
    polls = pings(gw, script)
    clients = [unparked(polls, script)]
    clients.append(polls.send("bob"))
    until(lambda: script.waiting == 2, 10, "the Ping to wait")
    script.release()
    assert [client.receive().body for client in clients] == [CHANGED, CHANGED]
    assert [entry["EAS_KCD_PARKED"] for entry in entries(gw, 2)] == ["-", "-"]
    assert gw.error_log.text().count("EAS2095") == lines
    assert gw.error_log.text().count("only the event MPM of httpd 2.4.63 or later can") == lines


OBSTACLES = {
    "EasKcdBackendReuse": (("EasKcdBackendReuse Off",), ""),
    "disablereuse": ((), "disablereuse=on"),
    "ping": ((), "ping=5"),
    "EasKcdRetryBody": (("EasKcdRetryBody 10",), ""),
}


@pytest.mark.parametrize("lines,parameters", OBSTACLES.values(), ids=OBSTACLES)
def test_obstacles(gateway, held, pings, lines, parameters):
    """A request keeps its thread, and the log says which directive lets it park."""
    script, backend = held(right(), right())
    gw = gateway(SETTINGS + published(backend, *lines, parameters=parameters),
                 tls=False, processes=1)
    polls = pings(gw, script)
    for _ in range(2):
        script.hold()
        client = unparked(polls, script)
        script.release()
        assert client.receive().body == CHANGED
    assert {entry["EAS_KCD_PARKED"] for entry in gw.requests()} == {"-"}
    text = gw.error_log.text()
    assert text.count("EAS2095") == 1
    named = (lines or (parameters,))[0].split()[0].split("=")[0]
    assert named in next(line for line in text.splitlines() if "EAS2095" in line)


def test_graceful_restart_without_a_pause(gateway, exchange, pings):
    """httpd waits for a second before it makes new processes where no old one has ended."""
    server, backend = exchange()
    gw = gateway(SMALL + "EasKcdParkSpread 0s\n" + published(backend), tls=False, processes=1,
                 threads=THREADS)
    took = []
    for _ in range(4):
        clients = all_parked(pings(gw, server))
        old = set(gw.children())
        began = time.monotonic()
        gw.graceful()
        until(lambda: set(gw.children()) - old, 10, "a new process")
        took.append(time.monotonic() - began)
        assert {client.receive().body for client in clients} == {EXPIRED}
        until(lambda: not set(gw.children()) & old, 10, "the old process to end")
    assert min(took) < 0.8
    gw.expect("EAS2093")
