# SPDX-License-Identifier: Apache-2.0
"""First requests: what they cost the KDC, how long they take, and many at once."""

from collections import Counter

from lab.ad import PASSWORDS
from lab.gateway import Gateway
from lab.krbmsg import Message

from . import cost
from .load import Answers, at_once, exactly, in_turn, request
from .pairs import Side, cpu
from .results import milliseconds
from .rig import children, restart, session
from .warm import Bench

THREADS = 64        # of the child whose memory is looked at
STORM_TIMEOUT = 4   # EasKcdKdcTimeout, seconds
TOO_LATE = ("EAS1250", "EAS1253", "EAS1257")    # the KDC has not come to it in that time
CLIENTS = 8         # of whom each has one cold log-on under way


def cold_gateway(bench: Bench, name: str, *lines: str, relay: bool = True,
                 **options: object) -> Gateway:
    """A gateway with delegated Locations, /mail and /fresh; behind the relay, which counts."""
    text = "".join(f"{line}\n" for line in lines) + bench.rig.mail()
    made = bench.rig.gateway(name, text, relay=relay, **options)
    made.start()
    bench.rig.lay_out(bench.rig.layouts["shared"], [made])
    return made


def first_requests(bench: Bench, users: list[str]) -> list[bytes]:
    return [request("/mail", bench.rig.basic(user)) for user in users]


# --- what the KDC hears ----------------------------------------------------------------------

def messages(bench: Bench) -> None:
    """Messages to the KDC: of a cold log-on, of a cold session, and of warm requests."""
    gateway = cold_gateway(bench, "messages", processes=1)
    relay, results = bench.rig.relay, bench.results
    gateway.get("/mail", "carol", PASSWORDS["carol"])   # the gateway's own log-on
    relay.reset()
    gateway.get("/mail", "alice", PASSWORDS["alice"])
    counts = _without_gateway(relay.messages)
    results.note("messages", "cold password log-on", _spelled(counts))
    results.figure("messages.logon", _requests(counts) - max(0, _plain(counts) - 1))

    cookie = session(gateway, "bob")
    gateway.graceful()                                  # the children are new, the store is not
    gateway.get("/mail", "carol", PASSWORDS["carol"])
    relay.reset()
    answer = gateway.get("/mail", headers=cookie)
    if answer.status != 200:
        raise RuntimeError(f"the session is answered {answer.status}")
    counts = _without_gateway(relay.messages)
    results.note("messages", "cold session", _spelled(counts))
    results.figure("messages.session", _requests(counts))
    gateway.stop()
    _warm_messages(bench)


def _warm_messages(bench: Bench) -> None:
    rig, number = bench.rig, bench.effort.messages
    gateway = rig.gateway("messages", rig.everything(), relay=True)
    gateway.start()
    for name, path, headers, requests in (
            ("Basic", "/mail", rig.basic("alice"), number),
            ("session", "/mail", session(gateway, "bob"), number),
            ("mod_auth_gssapi Basic", "/mag", rig.basic("alice"), max(20, number // 100))):
        exactly(max(20, requests // 10), gateway.port, path, headers)
        rig.relay.reset()
        exactly(requests, gateway.port, path, headers)
        heard = _requests(rig.relay.counts) / requests
        bench.results.note("messages", f"{requests} warm requests by {name}, "
                           f"{len(children(gateway))} children", f"{heard:g} a request")
        bench.results.figure(f"messages.warm.{name}", heard)
    gateway.stop()


def _without_gateway(heard: list[Message]) -> Counter[str]:
    """The gateway's own log-ons are no user's: it may make several, when it likes."""
    return Counter(label for message in heard for label in message.labels()
                   if not (message.kind == "AS-REQ" and message.client == "gateway"))


def _requests(counts: Counter[str]) -> int:
    return counts["AS-REQ"] + counts["TGS-REQ"]


def _plain(counts: Counter[str]) -> int:
    """AS requests that carry no proof: one asks what kind is wanted, or for an account's salt."""
    return counts["AS-REQ"] - counts["AS-REQ/timestamp"]


def _spelled(counts: Counter[str]) -> str:
    return (f"{_requests(counts)} (AS-REQ {counts['AS-REQ']}, of these {_plain(counts)} without "
            f"proof; TGS-REQ {counts['TGS-REQ']}, S4U2Proxy {counts['TGS-REQ/s4u2proxy']})")


# --- log-ons ---------------------------------------------------------------------------------

def logons(bench: Bench) -> None:
    """Cold log-ons per second, with the KDC next to the gateway on the same two cores."""
    users = bench.rig.users(2 * bench.effort.cold + 1)
    for armor, who in (("Off", users[1::2]), ("Try", users[2::2])):
        gateway = cold_gateway(bench, "logons", f"EasKcdArmor {armor}", relay=False)
        in_turn(gateway.port, first_requests(bench, users[:1]), 1)
        log_on(bench, f"logons.{armor}", gateway, bench.rig.domain.pid,
               first_requests(bench, who))
        gateway.stop()


def log_on(bench: Bench, name: str, gateway: Gateway, kdc: int, requests: list[bytes]) -> None:
    """Cold log-ons by these requests; the figures begin with *name*: a case, and its EasKcdArmor."""
    case, armor = name.split(".")
    pids = kdc, gateway.daemon.process.pid
    before = [cost.cpu_seconds(pid) for pid in pids]
    answers = in_turn(gateway.port, requests, CLIENTS)
    number = len(answers.answers)
    # Few log-ons may take less than a tick.
    of_kdc, of_httpd = (max(cost.cpu_seconds(pid) - used, 1 / cost.TICK) / number
                        for pid, used in zip(pids, before))
    note_answers(bench, case, f"{number} cold log-ons, {CLIENTS} at a time, EasKcdArmor {armor}",
                 answers)
    bench.results.note(case, "per second", f"{number / answers.seconds:.0f}; for each core of the "
                       f"gateway's, {1 / of_httpd:.0f}")
    bench.results.note(case, "CPU per log-on", f"KDC {milliseconds(of_kdc)} ms, gateway "
                       f"{milliseconds(of_httpd)} ms")
    for figure, value in (("rate", number / answers.seconds), ("p99", answers.percentile(0.99)),
                          ("kdc.ms", of_kdc * 1000), ("ms", of_httpd * 1000),
                          ("core", 1 / of_httpd), ("refused", number - answers.statuses[200])):
        bench.results.figure(f"{name}.{figure}", value)


def storm(bench: Bench) -> None:
    """Simultaneous first requests: of one user, and of as many users."""
    number, relay = bench.effort.storm, bench.rig.relay
    users = bench.rig.users(number)
    gateway = cold_gateway(bench, "storm", f"EasKcdKdcTimeout {STORM_TIMEOUT}s", processes=2,
                           threads=max(64, number // 2 + 8), log_level="crit eas_kcd:error")
    for case, who in (("one", ["alice"] * number), ("many", users)):
        if case == "many":
            restart(gateway)
        relay.reset()
        gateway.error_log.mark()
        before = cost.cpu_seconds(bench.rig.domain.pid)
        answers = at_once(gateway.port, first_requests(bench, who))
        spent = cost.cpu_seconds(bench.rig.domain.pid) - before
        heard, processes = _requests(relay.counts), len(children(gateway))
        tags = Counter(gateway.error_log.tags())
        late = sum(tags[tag] for tag in TOO_LATE)
        title = f"{number} first requests at once, {len(set(who))} users"
        note_answers(bench, "storm", title, answers)
        bench.results.note("storm", f"{title}: KDC messages", f"{heard}, that is "
                           f"{heard / processes:.1f} a child, {heard / len(set(who)):.1f} a user; "
                           f"the KDC, on one core, computed for {spent:.1f} of "
                           f"{answers.seconds:.1f} s; {late} were told that it takes too long")
        bench.results.figure(f"storm.{case}.messages", heard / processes)
        bench.results.figure(f"storm.{case}.p99", answers.percentile(0.99))
        bench.results.figure(f"storm.{case}.refused", number - answers.statuses[200])
        bench.results.figure(f"storm.{case}.requests", number)
        bench.results.figure(f"storm.{case}.200", answers.statuses[200])
        bench.results.figure(f"storm.{case}.503", answers.statuses[503])
        bench.results.figure(f"storm.{case}.served", answers.statuses[200] / number)
        bench.results.figure(f"storm.{case}.failed",
                             max(number - answers.statuses[200] - late, sum(tags.values()) - late))
    gateway.stop()


def note_answers(bench: Bench, case: str, title: str, answers: Answers) -> None:
    statuses = ", ".join(f"{count} × {status or 'no answer'}"
                         for status, count in sorted(answers.statuses.items()))
    bench.results.note(case, title, f"{statuses}; p50 {milliseconds(answers.percentile(0.5))} ms, "
                       f"p99 {milliseconds(answers.percentile(0.99))} ms")


# --- many users ------------------------------------------------------------------------------

def cached(bench: Bench) -> None:
    """Many users who cycle through the cache of one child: memory, and what a hit costs."""
    rig, number = bench.rig, bench.effort.users
    everybody = rig.users(number + THREADS)
    first, names = everybody[:THREADS], everybody[THREADS:]
    gateway = cold_gateway(bench, "cached", "EasKcdPasswordCache 8h", relay=False, processes=1,
                           threads=THREADS)
    port = gateway.port
    one = rig.wrk.header_file("one", [*rig.basic("alice")] * number)
    many = rig.wrk.header_file("many", [header for name in names for header in rig.basic(name)])
    # Every thread needs these for its work; they belong to no user.
    in_turn(port, first_requests(bench, first), THREADS // 2)
    rig.wrk(port, "/mail", each=one, connections=THREADS)
    before = cost.resident_bytes(children(gateway))
    answers = in_turn(port, first_requests(bench, names), CLIENTS)
    grown = (cost.resident_bytes(children(gateway)) - before) / number
    note_answers(bench, "cached", f"{number} users log on", answers)
    bench.results.note("cached", "memory of the child, per user", f"{grown / 1024:.1f} KB; tickets "
                       f"alone, two a user: {2 * rig.ticket_bytes / 1024:.1f} KB")
    bench.results.figure("cached.users", number)
    bench.results.figure("cached.kb", grown / 1024)
    bench.results.figure("cached.tickets.kb", 2 * rig.ticket_bytes / 1024)
    bench.results.figure("cached.bytes", grown - 2 * rig.ticket_bytes)
    # Each user has backend connections of their own; what they cost is not what a hit costs.
    bench.compare(Side("one user", gateway, "/mail", each=one),
                  Side(f"{number} users", gateway, "/mail", each=many))
    pair = bench.compare(Side("one user, no reuse", gateway, "/fresh", each=one),
                         Side(f"{number} users, no reuse", gateway, "/fresh", each=many))
    bench.results.figure("cached.cpu", pair.ratio(cpu))
    gateway.stop()
