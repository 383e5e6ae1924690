# SPDX-License-Identifier: Apache-2.0
"""The tables of README.md with the figures of a run: t/bench --write

A table stands between two comments. Each of its cells is a text with figures as {name:format}; the
first part of a name is its case. A cell keeps its text on the page if one of its figures was not
measured. A name may contain the number of users, as far as that depends on the effort.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Iterator, Mapping

from .instructions import PARTS
from .warm import FULL

PAGE = Path(__file__).with_name("README.md")
FIGURE = re.compile(r"\{([^{}:]+):([^{}]*)\}")
EFFORT = "Effort: "
NOT_YET = "–"
Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    name: str
    head: Row
    rows: tuple[Row, ...]

    def texts(self) -> Iterator[str]:
        for row in self.rows:
            yield from row


@dataclass
class Written:
    """What the page has: by the cells of a row that have no figure, and the effort of each case."""

    rows: dict[Row, Row] = field(default_factory=dict)
    efforts: dict[str, str] = field(default_factory=dict)


# --- what the tables have --------------------------------------------------------------------

def _pair(name: str) -> Row:
    return f"{{{name}.throughput:.2f}}", f"{{{name}.cpu:.2f}} ({{{name}.us:+.0f}} µs)"


def _by_level(name: str, form: str) -> Row:
    return tuple(f"{{curve.{level}.{name}:{form}}}" for level in FULL.levels)


def _instructions(name: str) -> Row:
    return f"{{instructions.{name}.number:hundreds}}", f"{{instructions.{name}:.2f}}"


def _users(name: str) -> Row:
    return (f"{{users.{name}.throughput:.2f}}", f"{{users.{name}.cpu:.2f}}",
            f"{{users.{name}.opens:.3f}}")


def _phones(name: str) -> Row:
    name = f"phones.{name}"
    return (f"{{{name}.served:,.0f}} in {{{name}.seconds:.1f}} s",
            f"{{{name}.200:,.0f}} × 200, {{{name}.503:,.0f}} × 503", f"{{{name}.messages:,.0f}}",
            f"{{{name}.ms:.1f}} ms")


def _parked(label: str, text: str) -> Row:
    """The text has @ in place of what the figures of either begin with."""
    return label, *(text.replace("@", f"parked.1000.{park}") for park in ("Off", "On"))


TABLES = (
    Table("warm", ("warm users, 16 connections", "against", "cores", "throughput", "gateway CPU"), (
        ("Basic, delegated", "bare proxy", "shared", *_pair("basic.shared")),
        ("the same", "bare proxy", "split", *_pair("basic.split")),
        ("the same by TLS to the backend", "bare proxy by TLS", "shared", *_pair("tls.basic")),
        ("session, delegated", "bare proxy", "shared", *_pair("cookie.shared")),
        ("the same session", "bare proxy", "split", *_pair("cookie.split")),
        ("session, by TLS to the backend", "bare proxy by TLS", "shared", *_pair("tls.cookie")),
        ("Basic, not delegated", "bare proxy", "shared", *_pair("parts.known")),
        ("Basic, delegated", "not delegated", "shared", *_pair("parts.delegated")),
        ("mutual authentication, a real acceptor", "the same without it", "shared",
         *_pair("mutual")),
        ("the same by TLS", "the same without it", "shared", *_pair("mutual.tls")),
        ("EasKcdBackendReuse Off", "On", "shared", *_pair("reuse")),
        ("the same by TLS", "On", "shared", *_pair("reuse.tls")),
        ("bare proxy, this module loaded", "not loaded", "shared", *_pair("guard")),
        ("Basic, delegated", "mod_auth_gssapi, `GssapiBasicAuth`", "shared",
         "{others.mag.throughput:.0f}", "{others.mag.cpu:.2f}"),
        ("Basic, delegated", "mod_auth_basic with bcrypt and mod_authn_socache", "shared",
         "{others.bcrypt.throughput:.0f}", "{others.bcrypt.cpu:.2f}"))),
    Table("curve", ("warm Basic, delegated, by connections", *map(str, FULL.levels)), (
        ("throughput, of the bare proxy's", *_by_level("throughput", ".2f")),
        ("p99, ms", *_by_level("b.p99", "ms")),
        ("p99 of the bare proxy, ms", *_by_level("a.p99", "ms")))),
    Table("token", ("a token", "CPU"), (
        ("in libkrb5: `krb5_mk_req_extended`", "{token.libkrb5:.1f} µs"),
        ("in the module, base64 included", "{token.native:.1f} µs"),
        ("by `EasKcdToken gssapi`", "{token.gssapi:.0f} µs"),
        ("verification of the backend's proof, in the module", "{token.proof:.1f} µs"),
        ("connection filter, pools, retry and mutual authentication, beyond libkrb5's token",
         "{token.over:.0f} µs"))),
    Table("instructions", ("warm request", "instructions", "of the bare proxy's"), (
        ("bare proxy", "{instructions.bare.number:hundreds}", ""),
        ("bare proxy that gets Basic's header, and sends one token again and again",
         *_instructions("fixed")),
        ("Basic, delegated", *_instructions("Basic")),
        ("session, delegated", *_instructions("session")))),
    Table("parts", ("more than the bare proxy's", "Basic", "session"), (
        *((f"{text}: `{function}`", f"{{instructions.Basic.{function}:hundreds}}",
           f"{{instructions.session.{function}:hundreds}}") for text, function in PARTS),
        ("all else, such as httpd's work on longer heads", "{instructions.Basic.else:hundreds}",
         "{instructions.session.else:hundreds}"))),
    Table("users", ("users", "throughput of bare", "CPU of bare", "opens a request"), (
        ("1, connection of their own", *_users("own.1")),
        ("16", *_users("own.16")),
        ("256", *_users("own.256")),
        ("1 000", *_users("own.1000")),
        ("256 in turns, room for 64 of them a process", *_users("turns.256.64")),
        ("256 in turns, room for 128", *_users("turns.256.128")),
        ("256 in turns, room for all", *_users("turns.256.272")))),
    Table("cold", ("cold users, the domain controller on the same two cores", "figures"), (
        ("log-ons, 8 at a time", "{logons.Try.rate:.0f} a second, p99 {logons.Try.p99:ms} ms"),
        ("CPU of a log-on with its first request, with armour",
         "gateway {logons.Try.ms:.1f} ms; Samba {logons.Try.kdc.ms:.0f} ms"),
        ("the same without armour",
         "gateway {logons.Off.ms:.1f} ms; Samba {logons.Off.kdc.ms:.0f} ms"),
        ("first requests of one user at once",
         "{storm.one.200:,.0f} of {storm.one.requests:,.0f} served, p99 {storm.one.p99:.2f} s; "
         "{storm.one.messages:.1f} messages a process"),
        ("first requests of as many users at once",
         "{storm.many.200:,.0f} of {storm.many.requests:,.0f} served within the EasKcdKdcTimeout "
         "of 4 s that was set; {storm.many.503:,.0f} × 503, p99 {storm.many.p99:.1f} s"),
        ("warm users in turn, in one process",
         "{cached.users:,.0f}: {cached.kb:.1f} KB a user, {cached.tickets.kb:.1f} KB of them "
         "tickets; CPU of a hit {cached.cpu:.2f} of one user's"))),
    Table("phones", ("phones at once", "served in", "answers", "KDC messages",
                     "gateway CPU a phone"), (
        ("warm, 1 000 of them", *_phones("1000.warm")),
        ("warm, 10 000 of 1 000 users", *_phones("10000.warm")),
        ("just started, with a shared cache (redis), 1 000 of them", *_phones("1000.shared")),
        ("just started, 1 000 of them", *_phones("1000.cold")))),
    Table("outage", ("domain controller silent, 50 log-ons a second", "figures"), (
        ("warm users", "throughput {outage.throughput:.2f} and p99 {outage.p99:.2f} of before; "
         "{outage.failed:.0f} failed"),
        ("cold requests",
         "503 at once, or after EasKcdKdcTimeout and {outage.beyond:ms} ms at the latest"),
        ("waiting threads", "{outage.waiting:.0%} at most, from one second after the silence "
         "began; before that, one for each request"))),
    Table("parked", ("1 000 Pings", "a thread each", "parked"), (
        _parked("processes; threads", "{@.processes:.0f}; {@.threads:,.0f}"),
        _parked("memory (PSS) for each Ping; once its connection has had an answer",
                "{@.pss:.0f} KB; {@.pss_later:.0f} KB"),
        _parked("httpd's CPU for an answer and the next Ping", "{@.cpu:ms} ms"),
        _parked("all woken", "{@.wake:.1f} s"),
        ("after a graceful restart, old processes stay", "as long as their Pings",
         "{parked.1000.On.stayed:.1f} s"),
        _parked("each Ping answered, and for its own user; in three restarts", "{@.good:yes}"),
        _parked("short requests, p99; longest in three restarts",
                "{@.calm.p99:ms} ms; {@.restarts.most:.1f} s"),
        _parked("short requests that fail; in three restarts",
                "{@.calm.failed:.0f}; {@.restarts.failed:.0f}"))),
)


# --- how a table is written ------------------------------------------------------------------

def spelled(value: float, form: str) -> str:
    """With three forms of our own: seconds as milliseconds, hundreds, and yes or no."""
    if form == "ms":
        value *= 1000
        form = ".2f" if value < 1 else ".1f" if value < 10 else ",.0f"
    elif form == "hundreds":
        value, form = round(value, -2), ",.0f"
    elif form == "yes":
        return "yes" if value else "no"
    return format(value, form).replace(",", " ").replace("-", "−").replace("%", " %")


def _cell(text: str, figures: Mapping[str, float], old: str) -> str:
    names = [name for name, _ in FIGURE.findall(text)]
    if any(name not in figures for name in names):
        return old
    return FIGURE.sub(lambda match: spelled(figures[match[1]], match[2]), text)


def _key(texts: Row, cells: Row) -> Row:
    """Those cells that have no figure."""
    return tuple(cell for text, cell in zip(texts, cells) if not FIGURE.search(text))


def _read(table: Table, text: str) -> Written:
    """What stands between the comments."""
    seen = Written()
    cells = [tuple(cell.strip() for cell in line[1:-1].split("|"))
             for line in text.splitlines() if line.startswith("|")]
    for texts in table.rows:
        for row in cells[2:]:
            if len(row) == len(texts) and _key(texts, row) == _key(texts, texts):
                seen.rows[_key(texts, texts)] = row
    for line in text.splitlines():
        if line.startswith(EFFORT):
            for part in line[len(EFFORT):].rstrip(".").split("; "):
                effort, _, names = part.partition(": ")
                seen.efforts |= dict.fromkeys(names.split(", ") if names else cases([table]),
                                              effort)
    return seen


def _effort(table: Table, case: str, figures: Mapping[str, float], effort: str) -> str:
    """Of a case: nothing if it has not run, and a remark if other figures of it stay."""
    wanted = [name for name in names([table]) if name.partition(".")[0] == case]
    measured = [name for name in wanted if name in figures]
    return f"{effort} in part" if len(measured) not in (0, len(wanted)) else effort * bool(measured)


def _effort_line(efforts: Mapping[str, str]) -> str:
    kinds = list(dict.fromkeys(efforts.values()))
    if len(kinds) == 1:
        return f"{EFFORT}{kinds[0]}."
    return EFFORT + "; ".join(
        f"{kind}: {', '.join(case for case in efforts if efforts[case] == kind)}"
        for kind in kinds) + "."


def _lines(table: Table, seen: Written, figures: Mapping[str, float], effort: str) -> list[str]:
    rows = []
    for texts in table.rows:
        old = seen.rows.get(_key(texts, texts), (NOT_YET,) * len(texts))
        rows.append(tuple(_cell(text, figures, cell) for text, cell in zip(texts, old)))
    efforts = {case: _effort(table, case, figures, effort) or seen.efforts.get(case, NOT_YET)
               for case in cases([table])}
    return [_line(table.head), "|" + "---|" * len(table.head), *map(_line, rows), "",
            _effort_line(efforts)]


def _line(cells: Row) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def names(tables: Iterable[Table] = TABLES) -> list[str]:
    """Of all figures in these tables."""
    return [name for table in tables for text in table.texts() for name, _ in FIGURE.findall(text)]


def cases(tables: Iterable[Table]) -> list[str]:
    """Those that these tables have figures of."""
    return list(dict.fromkeys(name.partition(".")[0] for name in names(tables)))


def kind(name: str) -> str:
    """Numbers depend on the effort."""
    return re.sub(r"\d+", "N", name)


def unknown(figures: Iterable[str], done: Iterable[str]) -> list[str]:
    """Figures of the tables that these cases should have measured, with any number of users."""
    kinds = set(map(kind, figures))
    return [name for name in names() if name.partition(".")[0] in done and kind(name) not in kinds]


def written(page: str, figures: Mapping[str, float], effort: str) -> str:
    """The page with these figures; all else is as it was."""
    for table in TABLES:
        begin, end = f"<!-- figures: {table.name} -->\n", "<!-- /figures -->\n"
        before, found, rest = page.partition(begin)
        old, ended, after = rest.partition(end)
        if not found or not ended or begin in after or "<!--" in old:
            raise ValueError(f"the page has not one table between {begin.strip()} and "
                             f"{end.strip()}")
        new = "\n".join(_lines(table, _read(table, old), figures, effort))
        page = f"{before}{begin}\n{new}\n\n{end}{after}"
    return page
