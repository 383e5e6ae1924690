# SPDX-License-Identifier: Apache-2.0
"""EasKcdEventLog: one JSON line for each decision, and requests that wait for none."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import idle
from lab.activesync import PATH, plain
from lab.ad import PASSWORDS, REALM
from lab.client import basic
from lab.exchange import DOMAINS, location
from lab.fake_backend import response
from lab.frontdoor import FORM, Visitor
from lab.sanitizer import moves_clock
from lab.unique import unique_number
from lab.wait import until
from test_status import LOCATIONS, as_admin, post, token_of

LOG = 'EasKcdEventLog "events.log"\n'       # ServerRoot is the gateway's directory
ALICE = f"alice@{REALM}"
MORE = {"time", "address", "vhost"}         # of every event about a request


def events(gw, name=None):
    path = gw.root / "events.log"
    text = path.read_bytes().decode("utf-8") if path.exists() else ""
    assert text == "" or text.endswith("\n")
    return [event for event in map(json.loads, text.split("\n")[:-1]) if name in (None, event["event"])]


def await_event(gw, name, timeout=5):
    return until(lambda: events(gw, name), timeout, f"an event {name}")[-1]


def facts(event):
    return {name: value for name, value in event.items() if name not in MORE}


@pytest.fixture
def logged(gateway, backends):
    return gateway(DOMAINS + LOG + location(backends("cas1").url))


def test_log_on_by_basic(logged):
    """Once: the next request finds the password in the cache."""
    for _ in range(2):
        assert logged.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    event, = until(lambda: len(logged.requests()) == 2 and events(logged), 5, "the event")
    assert facts(event) == {"event": "log-on", "status": 200, "how": "basic", "user": ALICE,
                            "spn": "HTTP/cas1.corp.example.test"}
    assert (event["address"], event["vhost"]) == ("127.0.0.1", "localhost")
    assert abs(time.time() - time.mktime(time.strptime(event["time"][:19], "%Y-%m-%dT%H:%M:%S"))
               + time.timezone) < 60
    assert event["time"].endswith("Z")


def test_session_from_its_start_to_its_end(logged):
    visitor = Visitor(logged)
    visitor.log_on("alice", PASSWORDS["alice"], "/eas", trusted=True)
    assert visitor.get("/eas").status == 200
    visitor.sign_out()
    assert facts(await_event(logged, "sign-out")) == {
        "event": "sign-out", "status": 303, "user": ALICE}
    assert facts(await_event(logged, "log-on")) == {
        "event": "log-on", "status": 303, "how": "form", "user": ALICE, "trust": "private"}
    assert [event["event"] for event in events(logged)] == ["log-on", "sign-out"]


def test_log_on_with_the_session_of_another_user(logged):
    """It starts no session, but the password was right."""
    visitor = Visitor(logged)
    for user, password in (("bob", PASSWORDS["bob"]), ("alice", PASSWORDS["alice"])):
        visitor.log_on(user, password, "/eas")
    assert "EAS1097" in logged.error_log.tags()
    event = until(lambda: events(logged, "log-on")[1:], 5, "the second log-on")[0]
    assert facts(event) == {"event": "log-on", "status": 303, "how": "form", "user": ALICE}


def test_internal_redirect(gateway, backends):
    """The decisions are those of the request that it leads to."""
    gw = gateway(DOMAINS + LOG + location(backends("cas1").url)
                 + '<Location "/old">\nRewriteEngine On\nRewriteRule ^ /eas\n</Location>\n')
    assert gw.get("/old", "alice", "nonsense").status == 401
    event = await_event(gw, "refusal")
    assert (event["tag"], event["account"], event["status"]) == ("EAS1030", ALICE, 401)
    assert gw.get("/old", "alice", PASSWORDS["alice"]).status == 200
    assert await_event(gw, "log-on")["user"] == ALICE
    assert [event["event"] for event in events(gw)] == ["refusal", "log-on"]


def test_refusals(logged):
    for user, password, tag, account in (
            ("alice", "nonsense", "EAS1030", ALICE), (None, None, "EAS1062", None)):
        assert logged.get("/eas", user, password).status == 401
        event = until(lambda: [each for each in events(logged) if each["tag"] == tag], 5, tag)[0]
        assert facts(event) == {"event": "refusal", "tag": tag, "status": 401} | (
            {"account": account} if account else {})


def test_names_as_typed_and_secrets_are_absent(logged):
    """Nothing that a client has typed as a name or a password."""
    visitor = Visitor(logged)
    visitor.log_on("nobody-canary", "secret-canary", "/eas")
    logged.get("/eas", "other-canary", "secret-canary")
    visitor.log_on("alice", PASSWORDS["alice"], "/eas")
    visitor.get("/eas")
    until(lambda: len(events(logged)) >= 3, 5, "the events")
    text = (logged.root / "events.log").read_text()
    for secret in ("canary", PASSWORDS["alice"], basic("alice", PASSWORDS["alice"]),
                   visitor.session):
        assert secret not in text


def test_injection(gateway, fake_backends):
    """Each line is one object, whatever a client puts into its device."""
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(LOG + location(backend.url, path=PATH))
    for device in ("a%22%2C%22user%22%3A%22root", "a%0Ab", "%C3%28", "%00", "x" * 400, "%E2%80%A8"):
        gw.get(plain("Sync", device=device, kind=device))
    found = until(lambda: len(events(gw)) == 6 and events(gw), 5, "the events")
    assert {event["event"] for event in found} == {"refusal"}
    assert all("user" not in event and event["status"] in (400, 401) for event in found)
    assert all(len(value) <= 256 for event in found for value in event.values()
               if isinstance(value, str))


def test_device_at_first_sight(gateway, mailbox):
    """Once for a user and a device, in all processes and over a reload."""
    gw = gateway(LOG + location(mailbox.url, path=PATH))
    for _ in range(2):
        for device in ("one", "two", "one"):
            for _ in range(3):
                assert gw.get(plain("Sync", device=device), "alice",
                              PASSWORDS["alice"]).status == 200
        gw.graceful()
    assert [(event["user"], event["device"], event["device_type"], event["command"])
            for event in events(gw, "device-first-seen")] == [
        (ALICE, "one", "iPhone", "Sync"), (ALICE, "two", "iPhone", "Sync")]


def test_throttle_begins_and_ends(gateway, backends):
    """The parent process writes the end."""
    gw = gateway(DOMAINS + LOG + "EasKcdLockout 2 1s\nEasKcdBadPasswordMemory off\n"
                 + location(backends("cas1").url))
    gw.expect("EAS1310")
    for guess in ("one", "two"):
        assert gw.get("/eas", "user05", guess).status == 401
    begins = await_event(gw, "throttle-begins")
    assert facts(begins) == {"event": "throttle-begins", "tag": "EAS1030", "status": 401,
                             "of": "account", "account": f"user05@{REALM}", "seconds": 1}
    ends = await_event(gw, "throttle-ends", 30)
    assert (ends["account"], ends["address"], ends["vhost"]) == (
        f"user05@{REALM}", "127.0.0.1", "localhost")


@moves_clock
def test_throttled_address(gateway, backends):
    """It is one throttle as long as guesses go on, and the status page has the same end."""
    gw = gateway(DOMAINS + LOG + "EasKcdRequireTLS Off\nEasKcdPasswordCache 1h\n" + LOCATIONS
                 + location(backends("cas1").url), tls=False, clock=True, processes=1)
    gw.expect("EAS1313")
    assert as_admin(gw).status == 200       # whose password is verified before

    def guess(names):
        with ThreadPoolExecutor(10) as pool:
            answers = pool.map(lambda n: gw.get("/eas", f"nobody{n}", "x").status, names)
            assert set(answers) <= {401, 503}
    guess(range(120))
    begins = await_event(gw, "throttle-begins")
    assert (begins["of"], begins["address"]) == ("address", "127.0.0.1")
    assert begins["seconds"] >= 60
    gw.set_clock("+30s")
    guess(range(120, 150))
    throttled, = as_admin(gw, "?json").json()["throttled"]
    assert throttled["address"] == "127.0.0.1" and "user" not in throttled
    left = throttled["until"] - time.time() - 30
    assert 50 < left < 660
    assert len(events(gw, "throttle-begins")) == 1 and events(gw, "throttle-ends") == []
    gw.set_clock(f"+{30 + int(left) - 10}s")
    assert len(as_admin(gw, "?json").json()["throttled"]) == 1
    gw.set_clock(f"+{30 + int(left) + 10}s")
    assert as_admin(gw, "?json").json()["throttled"] == []
    assert await_event(gw, "throttle-ends", 30)["address"] == "127.0.0.1"
    assert len(events(gw, "throttle-begins")) == 1


def test_unlocked_throttle_ends_at_once(gateway, backends):
    """By an administrator, while the window has minutes to go."""
    gw = gateway(DOMAINS + LOG + "EasKcdLockout 2 30m\n" + LOCATIONS + location(backends("cas1").url))
    gw.expect("EAS1310")
    for guess in ("one", "two"):
        assert gw.get("/eas", "carol", guess).status == 401
    await_event(gw, "throttle-begins")
    assert events(gw, "throttle-ends") == []
    assert post(gw, {"token": token_of(gw), "unlock": f"carol@{REALM}"}).status == 200
    assert await_event(gw, "throttle-ends")["account"] == f"carol@{REALM}"
    assert len(events(gw, "throttle-ends")) == 1


def test_refused_delegation(gateway, backends):
    gw = gateway(LOG + location(backends("cas3").url))
    gw.expect("EAS2032")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 503
    assert facts(await_event(gw, "delegation-refused")) == {
        "event": "delegation-refused", "tag": "EAS2032", "status": 503, "user": ALICE}


def test_wrong_ap_rep(gateway, fake_backends):
    backend = fake_backends(lambda _: response("200 OK", [("WWW-Authenticate", "Negotiate oQA=")]),
                            proves=False)
    gw = gateway(LOG + location(backend.url))
    gw.expect("EAS2053")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 502
    event = await_event(gw, "ap-rep-wrong")
    assert (event["tag"], event["status"], event["user"]) == ("EAS2053", 502, ALICE)


def test_outage_of_the_domain_controllers(gateway, backends, relay):
    gw = gateway(LOG + location(backends("cas1").url), krb5_conf=relay.krb5_conf, processes=1)
    gw.allow("EAS1036", "EAS1254", "EAS1258", because="how many requests come is chance")
    relay.refuse()
    while not events(gw, "kdc-outage-begins"):
        assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 503
    relay.relay()
    until(lambda: gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200, 20, "a log-on")
    ends = await_event(gw, "kdc-outage-ends")
    begins = await_event(gw, "kdc-outage-begins")
    assert begins["realm"] == ends["realm"] == REALM
    assert begins["pid"] == ends["pid"] in gw.children()
    assert ends["refused"] >= 0 and "user" not in begins


def test_changed_key(gateway, domain, backends, lab_dir):
    """A start without an event log before knows no older keys. Old keys that come back are others,
    too. Virtual hosts may share the file."""
    gw = gateway(LOG + location(backends("cas1").url)
                 + f"<VirtualHost *:1>\nServerName other.test\n{LOG}</VirtualHost>", account="gateway2")
    assert events(gw) == []
    before = gw.keytab.read_bytes()
    domain.rotate_key("gateway2")
    rotated = domain.export_keytab(lab_dir / "rotated.keytab", ["gateway2"]).read_bytes()
    gw.keytab.write_bytes(rotated)
    gw.graceful()
    event = await_event(gw, "key-changed")
    assert event["account"] == f"gateway2@{REALM}" and "aes256" in event["keys"]
    gw.graceful()
    assert len(events(gw, "key-changed")) == 1
    for number, keys in ((2, before), (3, rotated)):
        gw.keytab.write_bytes(keys)
        gw.graceful()
        assert len(events(gw, "key-changed")) == number


def test_lines_of_processes_do_not_mix(gateway, ok_backend):
    """Two processes, eight clients."""
    gw = gateway(LOG + location(ok_backend.url + "/", path="/"))

    def work(_):
        with gw.client() as client:
            for _ in range(60):
                assert client.request("GET", "/x").status == 401
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    until(lambda: len(events(gw, "refusal")) == 8 * 60, 5, "the events")
    assert ok_backend.requests == []


def test_program(gateway, ok_backend, lab_dir):
    """|$ runs it by a shell, as for httpd's other logs."""
    path = lab_dir / f"events-{unique_number()}.log"
    gw = gateway(f'EasKcdEventLog "|$/bin/cat >>{path}"\n' + location(ok_backend.url + "/", path="/"))
    assert gw.get("/x").status == 401
    line = until(lambda: path.exists() and path.read_text(), 5, "an event")
    assert json.loads(line)["tag"] == "EAS1062"


def test_program_that_does_not_read(gateway, ok_backend):
    """A pipe holds 64 KB. No request waits; the log says how many events are lost."""
    gw = gateway(f'EasKcdEventLog "|{idle.PROGRAM}"\n' + location(ok_backend.url + "/", path="/"),
                 processes=1)
    gw.expect("EAS1074")
    began = time.monotonic()
    with gw.client() as client:
        for _ in range(1000):
            assert client.request("GET", "/x").status == 401
    assert time.monotonic() - began < 60
    assert gw.error_log.tags().count("EAS1074") == 1
    assert ok_backend.requests == []


def test_logs_of_virtual_hosts(gateway, ok_backend):
    """Inherited, or their own."""
    gw = gateway(LOG + location(ok_backend.url + "/", path="/")
                 + '<VirtualHost *:1>\nServerName other.test\nEasKcdEventLog "other.log"\n</VirtualHost>')
    assert gw.get("/x").status == 401
    await_event(gw, "refusal")
    assert (gw.root / "other.log").read_text() == ""


def test_log_that_cannot_be_opened(gateway):
    gw = gateway('EasKcdEventLog "/nonexistent/events.log"\n', start=False)
    gw.expect("AH00020")
    said = gw.refusal()
    assert "EAS3093" in said and "cannot be opened: No such file or directory" in said


def test_form_is_no_event(logged):
    """A later refusal is the first one."""
    with logged.client() as client:
        assert client.get(FORM).status == 200
        assert client.get("/eas").status == 401
    await_event(logged, "refusal")
    assert len(events(logged)) == 1
