# SPDX-License-Identifier: Apache-2.0
"""The limits that the module must keep, by figures of one run. Never absolute throughput or latency of
warm requests: those are the machine's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    case: str
    text: str
    figure: str
    limit: float
    at_least: bool = False
    unit: str = ""

    def judge(self, figures: dict[str, float]) -> tuple[bool, str]:
        """Is it kept? And a line that says so. What was not measured is not kept."""
        wanted = f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"
        value = figures.get(self.figure)
        if value is None:
            return False, f"NOT MEASURED  {self.text}: {wanted}"
        kept = value >= self.limit if self.at_least else value <= self.limit
        verdict = "kept" if kept else "MISSED"
        return kept, f"{verdict}  {self.text}: {value:.4g}{self.unit}, {wanted}"


PROMISES = (
    Promise("basic", "warm Basic, throughput of the bare proxy's", "basic.shared.throughput", 0.85,
            at_least=True),
    Promise("basic", "warm Basic, gateway CPU of the bare proxy's", "basic.shared.cpu", 1.25),
    Promise("basic", "the same where the gateway has a core for itself, throughput",
            "basic.split.throughput", 0.90, at_least=True),
    Promise("basic", "the same, gateway CPU", "basic.split.cpu", 1.15),
    Promise("cookie", "warm session where the gateway has a core for itself, gateway CPU",
            "cookie.split.cpu", 1.20),
    Promise("others", "warm Basic, throughput of mod_auth_gssapi's Basic", "others.mag.throughput", 100,
            at_least=True),
    Promise("mutual", "verification of the backend's proof, gateway CPU", "mutual.us", 10,
            unit=" µs"),
    Promise("token", "verification of the backend's proof, by itself, CPU", "token.proof", 5,
            unit=" µs"),
    Promise("token", "guard, pools, retry and verification over the token itself, gateway CPU",
            "token.over", 15, unit=" µs"),
    Promise("instructions", "warm Basic, instructions of the bare proxy's", "instructions.Basic",
            1.36),
    Promise("instructions", "warm session, instructions of the bare proxy's",
            "instructions.session", 1.4),
    Promise("messages", "KDC messages per warm request by Basic", "messages.warm.Basic", 0),
    Promise("messages", "KDC messages per warm request by session", "messages.warm.session", 0),
    Promise("messages", "KDC messages of a cold password log-on, a first sight's one not counted",
            "messages.logon", 4),
    Promise("messages", "KDC messages of a cold session", "messages.session", 2),
    Promise("mit", "gateway CPU of a cold log-on with armour", "mit.Try.ms", 3, unit=" ms"),
    Promise("mit", "cold log-ons with armour a second, for each core of the gateway's",
            "mit.Try.core", 150, at_least=True),
    Promise("mit", "the same, not answered 200", "mit.Try.refused", 0),
    Promise("storm", "simultaneous first requests of one user, KDC messages a child",
            "storm.one.messages", 8),
    Promise("storm", "simultaneous first requests of one user, not answered 200",
            "storm.one.refused", 0),
    Promise("storm", "simultaneous first requests of many users, p99", "storm.many.p99", 5,
            unit=" s"),
    Promise("storm", "the same, share of them that is served, though the KDC is one process",
            "storm.many.served", 0.15, at_least=True),
    Promise("storm", "the same, errors other than that the KDC takes too long",
            "storm.many.failed", 0),
    Promise("users", "users with connections of their own, throughput of the bare proxy's",
            "users.own", 0.85, at_least=True),
    Promise("users", "the same, growth with their number of the gateway CPU over the bare proxy's",
            "users.flat", 1.1),
    Promise("users", "users in turns with enough EasKcdBackendPools, opens a request",
            "users.opens", 0.1),
    Promise("cached", "memory a user and child beyond the tickets", "cached.bytes", 8192,
            unit=" bytes"),
    Promise("cached", "gateway CPU of a hit among many users, of one user's", "cached.cpu", 1.1),
    Promise("phones", "warm phones that return at once, time until all are served", "phones.worst",
            20, unit=" s"),
    Promise("phones", "the same, other answers than 200 and failed connections", "phones.failed",
            0),
    Promise("phones", "phones that return, warm or cold, told another status than 200 or 503",
            "phones.wrong", 0),
    Promise("outage", "p99 of warm users in a KDC outage, of that before", "outage.p99", 2),
    Promise("outage", "throughput of warm users in a KDC outage, of that before",
            "outage.throughput", 0.5, at_least=True),
    Promise("outage", "requests of warm users that fail in a KDC outage", "outage.failed", 0),
    Promise("outage", "longest cold request beyond EasKcdKdcTimeout", "outage.beyond", 1,
            unit=" s"),
    Promise("outage", "cold requests in an outage not answered 503", "outage.other", 0),
    Promise("outage", "share of workers waiting in an outage, once it is known", "outage.waiting", 0.25),
    Promise("parked", "memory of a parked Ping in its process", "parked.pss", 127, unit=" KB"),
    Promise("parked", "short requests beside them that fail", "parked.failed", 0),
    Promise("parked", "Pings without an answer, or with another one's, in any number",
            "parked.wrong", 0),
    Promise("parked", "longest stay of an old process", "parked.stayed", 10, unit=" s"),
    Promise("parked", "time until all are woken", "parked.wake", 5, unit=" s"),
    Promise("curve", "gain by concurrency, of the bare proxy's", "curve.scaling", 0.9,
            at_least=True),
)


def judge(cases: set[str], figures: dict[str, float]) -> tuple[bool, str]:
    """The promises of these cases: all kept? And a line for each."""
    verdicts = [promise.judge(figures) for promise in PROMISES if promise.case in cases]
    return all(kept for kept, _ in verdicts), "\n".join(line for _, line in verdicts)
