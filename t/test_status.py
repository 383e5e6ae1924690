# SPDX-License-Identifier: Apache-2.0
"""SetHandler eas-kcd-status: the page, JSON and Prometheus, and what they do not show."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.activesync import PATH, PING, TYPE, plain
from lab.ad import PASSWORDS, REALM, Domain
from lab.browser import Browser
from lab.exchange import location
from lab.frontdoor import Visitor
from lab.gateway import MODULES, TOP
from lab.names import GATEWAY
from lab.pages import OPERATING, table
from lab.sanitizer import moves_clock
from lab.wait import until
from test_kdc import LIFETIME, RENEW

STATUS, ADMIN = "/eas-kcd-status", "/admin/status"
ADMINISTRATOR = f"alice@{REALM}"


def status_location(path: str = STATUS, *lines: str) -> str:
    more = "\n    ".join(lines)
    return f'<Location "{path}">\n    SetHandler eas-kcd-status\n    {more}\n</Location>\n'


LOCATIONS = status_location(STATUS, "Require local") + status_location(
    ADMIN, "AuthType EasKcd", 'AuthName "Status"', f'Require user "{ADMINISTRATOR}"')


@pytest.fixture
def watched(gateway, backends):
    """A gateway with a status for this machine, and one for alice."""
    def start(conf: str = "", **options):
        return gateway(conf + LOCATIONS + location(backends("cas1").url, path="/eas"), **options)
    return start


@dataclass(frozen=True)
class Numbers:
    """What Prometheus reads."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]
    types: dict[str, str]

    def get(self, name: str, **labels: str) -> float:
        return self.samples.get((f"eas_kcd_{name}", frozenset(labels.items())), 0)


def numbers(gw, path: str = STATUS) -> Numbers:
    answer = gw.get(f"{path}?prometheus")
    assert answer.status == 200
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.body.decode()))
    samples = [(sample.name, frozenset(sample.labels.items()), sample.value)
               for family in families for sample in family.samples]
    assert len({sample[:2] for sample in samples}) == len(samples)
    return Numbers({(name, labels): value for name, labels, value in samples},
                   {family.name: family.type for family in families})


def at_rest(gw) -> Numbers:
    """A request gives its backend connection back after its answer has left."""
    return until(lambda: (now := numbers(gw)).get("backend_connections", state="busy") == 0 and now, 5,
                 "free connections")


def as_admin(gw, query: str = ""):
    return gw.get(ADMIN + query, "alice", PASSWORDS["alice"])


# --- numbers ---------------------------------------------------------------------------------

@pytest.mark.smoke
def test_numbers(watched):
    gw = watched(processes=1)
    assert numbers(gw).get("log_ons_total", by="basic", outcome="accepted") == 0
    for _ in range(3):
        assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    assert gw.get("/eas", "bob", "wrong").status == 401
    visitor = Visitor(gw)
    visitor.log_on("carol", PASSWORDS["carol"], "/eas")
    assert visitor.get("/eas").status == 200
    visitor.sign_out()
    now = at_rest(gw)
    assert now.get("log_ons_total", by="basic", outcome="accepted") == 3
    assert now.get("log_ons_total", by="basic", outcome="refused") == 1
    assert now.get("log_ons_total", by="form", outcome="accepted") == 1
    assert now.get("log_ons_total", by="session", outcome="accepted") == 1
    assert now.get("sessions_total", event="begun") == 1
    assert now.get("sessions_total", event="signed_out") == 1
    assert now.get("password_lookups_total", found="process") == 2
    assert now.get("password_lookups_total", found="nowhere") == 3
    assert now.get("ticket_lookups_total", found="kdc") == 2
    assert now.get("ticket_lookups_total", found="process") == 2
    assert now.get("backend_exchanges_total", connection="new") == 2
    assert now.get("backend_exchanges_total", connection="kept") == 2
    assert now.get("backend_connections", state="kept") == 2
    assert now.get("backend_connections", state="busy") == 0
    assert now.get("cache_entries", cache="tickets") == 2
    assert now.get("s4u_exchanges_total", kind="proxy", outcome="granted") == 2
    assert now.get("kdc_messages_total", kind="as", answered="yes") > 4
    assert now.get("kdc_seconds_count") == sum(
        now.get("kdc_messages_total", kind=kind, answered="yes") for kind in ("as", "tgs"))
    assert now.get("log_on_seconds_count") == 3
    assert now.get("delegation_seconds_count") == 2
    assert now.get("errors_total", tag="EAS1030") == 1
    assert now.types["eas_kcd_kdc_seconds"] == "histogram"


def test_metrics_are_those_of_the_page(watched, backends):
    """Each one with its type and its labels; and no other."""
    gw = watched()
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    assert gw.get("/eas").status == 401
    text = gw.get(f"{STATUS}?prometheus").body.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        labels = [label for sample in family.samples for label in sample.labels if label != "le"]
        name = family.name + "_total" * (family.type == "counter")
        found[name] = {"type": family.type, "meaning": family.documentation,
                       "labels": " ".join(dict.fromkeys(labels)) or "-"}
    assert found == table(OPERATING, "metric")


def test_shared_caches(watched):
    """One process verifies, and the others find it in shared memory."""
    gw = watched(processes=3)
    found: set[str] = set()

    def served_by_all():
        assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
        found.update(entry["pid"] for entry in gw.requests() if entry["uri"] == "/eas")
        return len(found) == 3
    until(served_by_all, 20, "all processes")
    now = numbers(gw)
    assert now.get("password_lookups_total", found="nowhere") == 1
    assert now.get("password_lookups_total", found="shared") == 2
    assert now.get("ticket_lookups_total", found="kdc") == 1
    assert now.get("ticket_lookups_total", found="shared") == 2
    assert now.get("processes") == 3
    assert {process["pid"] for process in gw.get(f"{STATUS}?json").json()["processes"]} \
        == gw.children()


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_numbers_survive_restarts(watched, mpm):
    """Sums go on; gauges are those of the processes that run."""
    gw = watched(mpm=mpm)
    for n in range(6):
        assert gw.get("/eas", "bob", PASSWORDS["bob"] if n else "wrong").status == (200 if n else 401)
    before = numbers(gw)
    old = gw.children()
    gw.graceful()
    until(lambda: not old & gw.children(), 20, "the old processes to end")
    after = numbers(gw)
    assert after.get("log_ons_total", by="basic", outcome="accepted") == 5
    assert after.get("backend_connections", state="kept") == 0
    for (name, labels), value in before.samples.items():
        if name.endswith(("_total", "_count", "_sum", "_bucket")):
            assert after.samples[name, labels] >= value, name
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    assert numbers(gw).get("log_ons_total", by="basic", outcome="accepted") == 6


def test_numbers_survive_a_crash(watched):
    gw = watched(processes=1)
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    for times in range(1, 4):
        child, = gw.children()
        os.kill(child, signal.SIGKILL)
        until(lambda: gw.children() - {child}, 20, "another process")
        now = numbers(gw)
        assert now.get("log_ons_total", by="basic", outcome="accepted") == times
        assert now.get("processes") == 1
        assert now.get("backend_connections", state="kept") == 0
        assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200


def test_errors_of_a_storm(watched):
    gw = watched()
    for _ in range(200):
        assert gw.get("/eas").status == 401
    assert numbers(gw).get("errors_total", tag="EAS1062") == 200
    error, = [error for error in as_admin(gw, "?json").json()["errors"] if error["tag"] == "EAS1062"]
    assert error["text"] == "the request has no credentials"
    assert error["first"] <= error["last"]


def test_kdcs(watched, relay):
    gw = watched("EasKcdKdcTimeout 1s\nEasKcdPasswordCache off\n", krb5_conf=relay.krb5_conf)
    gw.expect("EAS1036")
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    kdc, = gw.get(f"{STATUS}?json").json()["kdcs"]
    labels = {"realm": REALM, "kdc": f"[127.0.0.1]:{relay.port}"}
    assert (kdc["realm"], kdc["address"], kdc["up"]) == (*labels.values(), True)
    assert numbers(gw).get("kdc_up", **labels) == 1
    assert numbers(gw).get("kdc_round_trip_seconds", **labels) > 0
    relay.refuse()
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 503
    assert numbers(gw).get("kdc_up", **labels) == 0
    assert numbers(gw).get("kdc_failures_total", **labels) > 0
    assert numbers(gw).get("kdc_messages_total", kind="as", answered="no") > 0


def test_outage(watched, relay):
    gw = watched("EasKcdKdcTimeout 1s\nEasKcdPasswordCache off\n", krb5_conf=relay.krb5_conf,
                 processes=1)
    gw.expect("EAS1258")
    gw.allow("EAS1036", "EAS1254", because="each refused log-on has one of these")

    def bob() -> int:
        return gw.get("/eas", "bob", PASSWORDS["bob"]).status
    assert bob() == 200 and numbers(gw).get("kdc_realms_silent") == 0
    relay.refuse()
    until(lambda: bob() == 503 and numbers(gw).get("kdc_realms_silent") == 1, 20, "an outage")
    assert numbers(gw).get("log_ons_total", by="basic", outcome="unavailable") > 0
    relay.relay()
    until(lambda: bob() == 200 and numbers(gw).get("kdc_realms_silent") == 0, 20, "its end")
    assert numbers(gw).get("kdc_outages_total") == 1


def test_protocol_transition(gateway, backends):
    gw = gateway(LOCATIONS + location(
        backends("cas1").url, f"EasKcdDelegateUser alice@{REALM}", "EasKcdProtocolTransition On",
        require="Require all granted"), account="gateway2")
    assert gw.get("/eas").status == 200
    assert numbers(gw).get("s4u_exchanges_total", kind="self", outcome="granted") == 1
    assert numbers(gw).get("s4u_exchanges_total", kind="proxy", outcome="granted") == 1


@moves_clock
def test_renewal(gateway, backends, relay, lab_dir):
    gw = gateway("EasKcdRequireTLS Off\n" + LOCATIONS + location(
        backends("cas1").url, f"EasKcdDelegateUser alice@{REALM}", "EasKcdProtocolTransition On",
        require="Require all granted"), account="gateway2", tls=False, processes=1, clock=True,
        krb5_conf=Domain.write_krb5_conf(lab_dir / "status-short.conf", relay.port, LIFETIME))
    assert gw.get("/eas").status == 200
    gw.set_clock(RENEW)
    assert gw.get("/eas").status == 200
    until(lambda: numbers(gw).get("ticket_renewals_total", outcome="renewed") == 1, 20, "it")
    assert numbers(gw).get("ticket_renewals_total", outcome="failed") == 0


def test_delegation_that_ad_refuses(gateway, backends):
    """gateway may not delegate to cas3."""
    gw = gateway(LOCATIONS + location(backends("cas3").url))
    gw.expect("EAS2032")
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 503
    now = numbers(gw)
    assert now.get("s4u_exchanges_total", kind="proxy", outcome="failed") == 1
    assert now.get("ticket_lookups_total", found="nowhere") == 1


def test_gateway_and_backends(watched, backends):
    gw = watched()
    seen = as_admin(gw, "?json").json()
    account, = seen["accounts"]
    assert account["name"] == f"gateway@{REALM}" and account["realm"] == REALM
    assert "kvno " in account["keys"] and "aes256-cts-hmac-sha1-96" in account["keys"]
    assert seen["backends"] == [{"url": backends("cas1").url, "reuses_connections": True,
                                 "spn": "HTTP/cas1.corp.example.test"}]


def test_long_polls(watched, exchange):
    server, backend = exchange()
    gw = watched(location(backend.url + PATH, path=PATH))
    before = numbers(gw)
    with ThreadPoolExecutor(2) as pool:
        pings = [pool.submit(gw.post, plain("Ping", user, device), PING, user, PASSWORDS[user],
                             [("Content-Type", TYPE)])
                 for user, device in (("alice", "phone1"), ("bob", "phone2"))]
        until(lambda: numbers(gw).get("long_polls_held") == 2, 20, "two polls")
        assert numbers(gw).get("backend_connections", state="busy") == 2
        server.change()
        assert [ping.result().status for ping in pings] == [200, 200]
    after = until(lambda: (now := numbers(gw)).get("long_polls_held") == 0 and now, 5, "their end")
    assert after.get("long_polls_total") == before.get("long_polls_total") + 2


def test_parked_long_polls(watched, exchange):
    """One that has parked and gets its answer, and one that cannot park."""
    server, backend = exchange()
    gw = watched("AsyncRequestWorkerFactor 200\n"
                 + location(backend.url + PATH, "EasKcdPark On", path=PATH)
                 + location(backend.url + PATH, "EasKcdPark On", "EasKcdBackendReuse Off",
                            "EasKcdParseEas On", path="/kept" + PATH))
    with ThreadPoolExecutor(2) as pool:
        pings = [pool.submit(gw.post, path + plain("Ping", "alice", f"phone{len(path)}"), PING,
                             "alice", PASSWORDS["alice"], [("Content-Type", TYPE)])
                 for path in ("", "/kept")]
        until(lambda: numbers(gw).get("long_polls_parked_now") == 1
              and numbers(gw).get("long_polls_unparked_total", cause="not_kept") == 1, 20,
              "a parked poll, and one that keeps its thread")
        server.change()
        assert [ping.result().status for ping in pings] == [200, 200]
    after = until(lambda: (now := at_rest(gw)).get("long_polls_parked_now") == 0 and now, 5, "end")
    assert after.get("long_polls_parked_total") == 1
    assert after.get("long_polls_woken_total", by="data") == 1
    assert after.get("long_polls_woken_total", by="client") == 0


def test_mod_status(watched):
    gw = watched('<Location "/server-status">\nSetHandler server-status\n</Location>\n',
                 modules=(*MODULES, "status"))
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    at_rest(gw)
    assert b"<p>mod_eas_kcd: 1 requests to backends, 0 long polls held, 0 connections busy, 1 kept, " \
        b"0 KDCs silent, 0 users locked</p>" in gw.get("/server-status").body
    lines = gw.get("/server-status?auto").body.decode().splitlines()
    assert {line for line in lines if line.startswith("EasKcd")} == {
        "EasKcdExchanges: 1", "EasKcdLongPolls: 0", "EasKcdConnectionsBusy: 0",
        "EasKcdConnectionsKept: 1", "EasKcdSilentKdcs: 0", "EasKcdLockedUsers: 0"}


LAYOUT = """
import ctypes, sys
notes = ctypes.CDLL(sys.argv[1])
notes.eas_notes_layout.restype = ctypes.c_uint32
notes.eas_notes_size.restype = ctypes.c_size_t
print(notes.eas_notes_size(), notes.eas_notes_layout())
"""


def test_layout_of_notes(lab_dir):
    """Fields that change places change the name of the memory, though not its size."""
    def layout(name, change=lambda text: text):
        tree = lab_dir / name
        (tree / "auth/base").mkdir(parents=True)
        for unit, ending in product(("notes", "fnv", "shm_mutex", "clock"), "ch"):
            text = (TOP / f"auth/base/{unit}.{ending}").read_text()
            (tree / f"auth/base/{unit}.{ending}").write_text(
                change(text) if unit == "notes" else text)
        flags = subprocess.run(["apr-1-config", "--includes", "--cppflags", "--link-ld"], text=True,
                               capture_output=True, check=True).stdout.split()
        subprocess.run(["gcc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", tree / "notes.so",
                        f"-I{tree}", *tree.glob("auth/base/*.c"), *flags], check=True)
        return subprocess.run([sys.executable, "-c", LAYOUT, tree / "notes.so"], text=True,
                              capture_output=True, check=True).stdout.split()
    size, number = layout("notes-now")
    assert layout("notes-again") == [size, number]
    for name, old, new in (("order", "answers, failures;", "failures, answers;"),
                           ("meaning", "named_at", "left_at")):
        changed = layout(f"notes-{name}", lambda text: text.replace(old, new))
        assert changed[0] == size and changed[1] != number, name


# --- what is shown to whom -------------------------------------------------------------------

def test_no_name_without_an_administrator(watched):
    """Names stand in messages and lockouts. `Require` decides, not the log-on alone."""
    gw = watched(f'{status_location("/any", "AuthType EasKcd", "AuthName x", "Require all granted")}')
    gw.expect("EAS1063", "EAS1310", "AH01631")
    assert gw.get(ADMIN, "bob", PASSWORDS["bob"]).status == 403
    for n in range(3):
        assert gw.get("/eas", "carol", f"guess-{n}").status == 401
    names = (b"alice", b"bob", b"carol")
    for query in ("", "?json", "?prometheus"):
        for answer in (gw.get(STATUS + query), gw.get(f"/any{query}", "alice", PASSWORDS["alice"])):
            assert answer.status == 200
            assert [name for name in names if name in answer.body.lower()] == []
    assert numbers(gw).get("accounts_locked") == 1
    assert numbers(gw).get("errors_total", tag="EAS1063") == 1
    for query in ("?json",):
        body = as_admin(gw, query).body
        assert f"Require refuses the authenticated user bob@{REALM}".encode() in body
        assert f"carol@{REALM}".encode() in body
    assert b"bob" not in as_admin(gw, "?prometheus").body


def test_other_users_are_refused(watched):
    gw = watched()
    gw.expect("EAS1063", "AH01631")
    assert gw.get(ADMIN).status == 401
    assert gw.get(ADMIN, "alice", "wrong").status == 401
    refused = gw.get(ADMIN, "bob", PASSWORDS["bob"])
    assert refused.status == 403 and b"Refusals" not in refused.body


@pytest.mark.parametrize("header, status", [
    (("X-Client", "203.0.113.9"), 403), (("X-Client", "2001:db8::1"), 403),
    (("X-Client", "192.168.7.7"), 200), (("X-Forwarded-For", "10.0.0.1"), 403),
    (("X-Real-IP", "10.0.0.1"), 403), (("X-Forwarded-Proto", "https"), 403),
    (("Via", "1.1 proxy"), 403), (("Forwarded", "for=10.0.0.1"), 403)])
def test_open_status_is_closed_to_the_internet(gateway, header, status):
    """`Require all granted` by an oversight."""
    gw = gateway("RemoteIPHeader X-Client\nRemoteIPInternalProxy 127.0.0.1\n"
                 + status_location(STATUS, "Require all granted"),
                 modules=(*MODULES, "remoteip"), reuse=True)
    answer = gw.get(STATUS, headers=[header])
    assert answer.status == status
    if status == 403:
        gw.expect("EAS2200")
        assert b"Long polls" not in answer.body
        until(lambda: gw.logged(STATUS)["EAS_KCD_ERROR"] == "EAS2200", 5, "the log")


def test_nothing_without_the_handler(gateway, ok_backend):
    gw = gateway(location(ok_backend.url + "/", path="/mail"), reuse=True)
    for path in (STATUS, "/eas-kcd/status", "/eas-kcd/eas-kcd-status"):
        assert gw.get(path).status == 404


def test_below_a_whole_host(gateway, backends):
    """Without an exception for ProxyPass."""
    cas1 = backends("cas1")
    gw = gateway(f'ProxyPass "/" "{cas1.url}/"\n' + LOCATIONS)
    assert b"Long polls held" in gw.get(STATUS).body
    assert cas1.requests() == []


def test_headers(watched):
    gw = watched()
    for query, kind in (("", "text/html; charset=utf-8"), ("?x", "text/html; charset=utf-8"),
                        ("?json", "application/json"), ("?json=", "application/json"),
                        ("?prometheus=", "text/plain; version=0.0.4; charset=utf-8"),
                        ("?prometheusx", "text/html; charset=utf-8")):
        answer = gw.get(STATUS + query)
        assert answer.header("Content-Type") == kind
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Content-Security-Policy").startswith("default-src 'none'; ")
        head = gw.request("HEAD", STATUS + query)
        assert head.status == 200 and head.body == b""
    assert gw.request("PUT", STATUS, body=b"").status == 405


# --- what an administrator does --------------------------------------------------------------

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def post(gw, fields, user: str | None = "alice", path: str = ADMIN, headers=()):
    return gw.post(f"{path}?json", urlencode(fields).encode(), user,
                   PASSWORDS[user] if user else None, [*FORM, *headers])


def token_of(gw) -> str:
    return as_admin(gw, "?json").json()["token"]


def signed_in(gw, user: str) -> Visitor:
    visitor = Visitor(gw)
    visitor.log_on(user, PASSWORDS[user], "/eas")
    assert visitor.get("/eas").status == 200
    return visitor


def test_sign_out(watched):
    gw = watched()
    bobs, carols = [signed_in(gw, "bob") for _ in range(2)], signed_in(gw, "carol")
    answer = post(gw, {"token": token_of(gw), "signout": f"bob@{REALM}"})
    assert answer.status == 200
    assert answer.json()["message"] == f"All sessions of bob@{REALM} have ended."
    assert [visitor.get("/eas").status for visitor in (*bobs, carols)] == [302, 302, 200]
    assert numbers(gw).get("log_ons_total", by="session", outcome="over") == 2
    assert signed_in(gw, "bob")
    assert f"EAS2204: {ADMINISTRATOR} ended all sessions of bob@{REALM}" in gw.error_log.text()
    gw.graceful()
    assert bobs[0].get("/eas").status == 302


def test_sign_out_needs_a_name_as_sessions_have_it(watched):
    """Else an administrator believes that sessions have ended."""
    gw = watched()
    bob = signed_in(gw, "bob")
    for name in ("bob.builder@mail.example.test", "bob@OTHER.EXAMPLE.TEST", "bob@", "bob"):
        gw.expect("EAS2203")
        assert post(gw, {"token": token_of(gw), "signout": name}).status == 400
        assert bob.get("/eas").status == 200
    answer = post(gw, {"token": token_of(gw), "signout": f"bob@{REALM.lower()}"})
    assert answer.json()["message"] == f"All sessions of bob@{REALM} have ended."
    assert bob.get("/eas").status == 302


def test_unlock(watched):
    """The refused passwords stay refused, without a question to the KDC."""
    gw = watched()
    gw.allow("EAS1310", because="carol is locked on purpose")
    for n in range(3):
        assert gw.get("/eas", "carol", f"guess-{n}").status == 401
    assert gw.get("/eas", "carol", PASSWORDS["carol"]).status == 503
    assert gw.get("/eas", "carol", "guess-0").status == 401
    now = numbers(gw)
    assert now.get("lockouts_total") == 1
    assert now.get("throttled_log_ons_total", state="locked") == 1
    assert now.get("throttled_log_ons_total", state="remembered") == 1
    assert now.get("log_ons_total", by="basic", outcome="throttled") == 1
    throttled, = as_admin(gw, "?json").json()["throttled"]
    assert (throttled["user"], throttled["address"]) == (f"carol@{REALM}", "127.0.0.1")
    answer = post(gw, {"token": token_of(gw), "unlock": f"CAROL@{REALM.lower()}"})
    assert answer.status == 200
    assert answer.json()["message"] == f"The lockout of carol@{REALM} has ended."
    assert gw.get("/eas", "carol", "guess-1").status == 401
    assert gw.get("/eas", "carol", PASSWORDS["carol"]).status == 200
    assert as_admin(gw, "?json").json()["throttled"] == []
    assert f"EAS2205: {ADMINISTRATOR} ended the lockout of carol@{REALM}" in gw.error_log.text()
    again = post(gw, {"token": token_of(gw), "unlock": f"carol@{REALM}"})
    assert again.status == 404
    assert again.json()["message"] == f"carol@{REALM} is not locked here."


ALL = status_location("/any", "AuthType EasKcd", 'AuthName "x"', "Require all granted")
USERS = status_location("/users", "AuthType EasKcd", 'AuthName "x"', "Require valid-user")
BAD = {"none": {}, "empty": {"token": ""}, "wrong": {"token": "A" * 43}}
CROSS_SITE = [("Sec-Fetch-Site", "cross-site")]


@pytest.mark.parametrize("act", ["signout", "unlock"])
def test_forged_forms_change_nothing(watched, act):
    gw = watched(ALL + USERS)
    gw.allow("EAS1310", because="carol is locked on purpose")
    session = signed_in(gw, "carol")
    for n in range(3):
        assert gw.get("/eas", "carol", f"guess-{n}").status == 401
    form = {act: f"carol@{REALM}"}
    token = token_of(gw)
    theirs = gw.get("/users?json", "bob", PASSWORDS["bob"]).json()["token"]

    def refused(tag: str, status: int, fields, *args, **options) -> None:
        gw.expect(tag)
        gw.mark()
        assert post(gw, fields, *args, **options).status == status
        until(lambda: tag in [entry["EAS_KCD_ERROR"] for entry in gw.requests()], 5, tag)
    for bad in (*BAD.values(), {"token": theirs}):
        refused("EAS2202", 403, form | bad)
    refused("EAS2202", 403, form | {"token": token}, headers=CROSS_SITE)
    refused("EAS2202", 403, form | {"token": token},
            headers=[("Origin", "https://evil.example.com")])
    refused("EAS2201", 403, form | {"token": token}, None, STATUS)
    refused("EAS2201", 403, form | {"token": token}, "alice", "/any")
    refused("EAS2203", 400, {"token": token})
    refused("EAS2203", 400, {"token": token, act: ""})
    refused("EAS2203", 400, {"token": token, "signout": "x", "unlock": "x"})
    refused("EAS2203", 400, {"token": token, "signout": "carol"})
    refused("EAS2203", 400, [*form.items(), *form.items(), ("token", token)])
    refused("EAS2203", 400, form | {"token": token, "x": "y" * 5000})
    assert gw.get(f"{ADMIN}?token={token}&{urlencode(form)}", "alice",
                  PASSWORDS["alice"]).status == 200
    assert session.get("/eas").status == 200
    assert gw.get("/eas", "carol", "guess-9").status == 503
    assert not {"EAS2204", "EAS2205"} & set(gw.error_log.tags())


PROGRAM = Path(__file__).parents[1] / "build/package/eas-kcd-admin"


def test_program_keeps_secrets(tmp_path):
    """No .curlrc, no form field in an argument, no password over plain HTTP."""
    seen, curl = tmp_path / "seen", tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\necho "$1 $#" >> {seen}\necho "$*" >> {seen}.all\ncat > {tmp_path}/stdin\n'
                    """printf '{"user":"a","token":"t0ken"}\\n200\\n'\n""")
    curl.chmod(0o755)

    def run(url: str):
        return subprocess.run(["sh", PROGRAM, "-u", "alice", url, "signout", "bob"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=os.environ | {"EAS_KCD_PASSWORD": "s3cret",
                                                "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    refused = run("http://gateway.example/status")
    assert (refused.returncode, refused.stdout) == (1, "") and "https:// only" in refused.stderr
    assert not seen.exists()
    assert run("https://gateway.example/status").returncode == 0
    assert seen.read_text() == "-q 7\n" * 2
    arguments = Path(f"{seen}.all").read_text()
    assert "t0ken" not in arguments and "s3cret" not in arguments
    fields = (tmp_path / "stdin").read_text()
    assert 'data-urlencode = "token=t0ken"' in fields and 'data-urlencode = "signout=bob"' in fields


def test_program(watched, authority):
    gw = watched()
    bob = signed_in(gw, "bob")

    def run(*arguments: str, user: str = "alice"):
        command = ["sh", PROGRAM, "-u", user, "-c", authority.ca_file,
                   f"https://{GATEWAY}:{gw.port}{ADMIN}", *arguments]
        return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=os.environ | {"EAS_KCD_PASSWORD": PASSWORDS[user]})
    seen = run()
    assert seen.returncode == 0 and json.loads(seen.stdout)["user"] == ADMINISTRATOR
    done = run("signout", f"bob@{REALM}")
    assert (done.returncode, done.stdout, done.stderr) == (
        0, f"All sessions of bob@{REALM} have ended.\n", "")
    assert bob.get("/eas").status == 302
    failed = run("unlock", f"bob@{REALM}")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"eas-kcd-admin: bob@{REALM} is not locked here.\n"
    gw.expect("EAS1063", "AH01631")
    refused = run("signout", f"bob@{REALM}", user="bob")
    assert refused.returncode == 1 and "is 403" in refused.stderr
    for wrong in (["signout"], ["unlock", "a", "b"], ["lock", "bob"]):
        assert run(*wrong).returncode == 2


# --- the page --------------------------------------------------------------------------------

SIZES = {"phone": (360, 740, True), "desktop": (1280, 800, False)}


@pytest.fixture
def busy(watched):
    """A gateway with all that the page shows."""
    gw = watched(ALL)
    gw.allow("EAS1310", "EAS1063", "AH01631", because="the page shows them")
    for _ in range(3):
        gw.get("/eas", "bob", PASSWORDS["bob"])
        gw.get("/eas")
    for n in range(3):
        gw.get("/eas", "carol", f"guess-{n}")
    gw.get(ADMIN, "bob", PASSWORDS["bob"])
    return gw


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_page(busy, size, scheme, authority, lab_dir):
    """Readable on a phone, without script, and under its own policy."""
    width, height, phone = SIZES[size]
    shots = Path(os.environ.get("EAS_T_SCREENSHOTS") or lab_dir / "screenshots")
    chromium = Browser(lab_dir / f"status-{size}-{scheme}", authority.certificate(GATEWAY))
    try:
        chromium.be_sized(width, height, phone)
        chromium.prefer(scheme)
        chromium.open(busy, "/eas-kcd/login?destination=" + quote(ADMIN))
        chromium.log_on("alice", PASSWORDS["alice"])
        chromium.arrive(ADMIN)
        assert chromium.violations() == []
        wide, fits, tall = chromium.driver.execute_script(
            "const e = document.documentElement; return [e.scrollWidth, e.clientWidth, e.scrollHeight];")
        assert wide <= fits
        assert f"carol@{REALM}" in chromium.text and "Long polls held" in chromium.text
        assert chromium.find("button").size["height"] >= 44
        assert chromium.find("body").value_of_css_property("background-color") == {
            "light": "rgba(238, 241, 245, 1)", "dark": "rgba(18, 23, 30, 1)"}[scheme]
        chromium.be_sized(width, tall, phone)
        chromium.screenshot(shots / f"status-{size}-{scheme}.png")
        if (size, scheme) == ("phone", "dark"):
            chromium.find("button[name=unlock]").click()
            chromium.wait(lambda: chromium.has(".message"))
            assert chromium.find(".message").text == f"The lockout of carol@{REALM} has ended."
    finally:
        chromium.quit()


def test_texts_of_clients_are_escaped(watched):
    gw = watched("EasKcdRequireTLS Off\n")
    evil = "<script>alert(1)</script>"
    assert gw.request("POST", "/eas", "bob", PASSWORDS["bob"],
                      [("Transfer-Encoding", f"{evil}, chunked")], b"0\r\n\r\n").status == 501
    for query in ("", "?json"):
        body = as_admin(gw, query).body.decode()
        assert "<script" not in body and "alert(1)" in body
