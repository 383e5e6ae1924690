# SPDX-License-Identifier: Apache-2.0
"""README and the pages say what the sources say. Their examples: test_examples.py."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Iterator

import pytest

from lab.pages import (DOCTOR, MESSAGES, OPERATING, PAGES, README, REFERENCE, TEXT, TOP, prose,
                       sections, table, terms)
from test_precedence import HOW_TO_ASK, OUTCOMES

DEFINITIONS = (TOP / "auth/directives.def", TOP / "delegation/directives.def")
SOURCES = sorted([*TOP.glob("*.[ch]"), *(TOP / "auth").rglob("*.[ch]"),
                  *(TOP / "delegation").rglob("*.[ch]")])
CONFIGURE, MAKEFILE = ((TOP / name).read_text() for name in ("configure.ac", "Makefile.am"))


def test_all_sources_are_seen():
    """As many as make compiles, wherever they are."""
    built = set(re.findall(r"(?:auth|delegation)/[\w/]+\.c\b|\bmod_eas_kcd\.c\b", MAKEFILE))
    assert len(built) > 60
    assert {str(path.relative_to(TOP)) for path in SOURCES if path.suffix == ".c"} == built


# --- as much C as is needed ------------------------------------------------------------------

STRING = r'"(?:\\.|[^"\\])*"|' r"'(?:\\.|[^'\\])*'"
COMMENT = r"/\*.*?\*/|//[^\n]*"


@cache
def code_of(path: Path) -> str:
    """A C file without its comments."""
    return re.sub(f"({STRING})|{COMMENT}", lambda match: match[1] or " ", path.read_text(),
                  flags=re.DOTALL)


def calls(code: str, name: str) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments of what looks like a call: a declaration does, too."""
    for match in re.finditer(rf"\b({name})\s*\(", code):
        yield match[1], arguments(code[match.end():])


def arguments(code: str) -> list[str]:
    """Up to the parenthesis that closes; adjacent strings become one."""
    found, depth = [""], 0
    for token in re.findall(f"{STRING}|.", code, flags=re.DOTALL):
        depth += (token == "(") - (token == ")")
        if depth < 0:
            return [re.sub(r'"\s*"', "", argument).strip() for argument in found]
        if token == "," and depth == 0:
            found.append("")
        else:
            found[-1] += token
    raise ValueError(f"no end of the arguments: {code[:80]}")


# --- directives ------------------------------------------------------------------------------

CONTEXTS = {"RSRC_CONF": "server config, virtual host",
            "RSRC_CONF | ACCESS_CONF": "server config, virtual host, directory"}
GLOBAL = "server config"        # which a handler sees to, since a row cannot say it


@dataclass(frozen=True)
class Directive:
    name: str
    syntax: str
    default: str
    context: str


def defined() -> list[Directive]:
    """The rows of the .def files."""
    found = []
    for path in DEFINITIONS:
        rows = [args for _, args in calls(code_of(path), "EAS_DIRECTIVE")]
        assert rows, f"no directive found in {path}"
        for name, _take, handler, context, syntax, default, _help in rows:
            name, syntax, default = (json.loads(text) for text in (name, syntax, default))
            where = GLOBAL if "GLOBAL_ONLY" in body_of(handler) else CONTEXTS[context]
            found.append(Directive(name, f"{name} {syntax}", default, where))
    return found


def body_of(function: str) -> str:
    """The definition of a function, by the way that our C is formatted."""
    found = [match[0] for path in SOURCES if path.suffix == ".c" for match in re.finditer(
        rf"^[\w *]+\b{function}\([^;{{]*\n{{\n.*?^}}\n", code_of(path), re.DOTALL | re.MULTILINE)]
    assert len(found) == 1, (function, found)
    return found[0]


def documented() -> list[Directive]:
    """The sections of the reference that are headed by a directive."""
    return [Directive(name, *(field(text, what) for what in ("Syntax", "Default", "Context")))
            for name, text in sections(REFERENCE, 2).items() if name.startswith("EasKcd")]


def field(section: str, name: str) -> str:
    found = re.findall(rf"^ *{name}: +(.*)$", section, re.MULTILINE)
    return found[0] if len(found) == 1 else f"{len(found)} lines {name}:"


def test_directives():
    """Every one, in the same order, with its syntax, default and context."""
    assert [row.name for row in documented()] == [row.name for row in defined()]
    for written, meant in zip(documented(), defined()):
        assert written == meant


def test_backup_names_each_file():
    """Of a directive that reads one."""
    read = {row.name for row in defined() if re.search(r" (path|file|directory)\b", row.syntax)}
    assert len(read) >= 3
    chapter = sections(OPERATING, 1)["BACKUP"]
    assert read - {"EasKcdEventLog"} == set(re.findall(r"\[(EasKcd\w+)\]", chapter))


# --- log tags --------------------------------------------------------------------------------

FAIL = {"eas_fail": 2, "eas_kdc_fail": 3}       # which argument is the tag


def tags_in_sources() -> Counter[str]:
    """Each EASnnnn in a string, and each four-digit argument of a function that *fails*."""
    found: Counter[str] = Counter()
    for path in SOURCES:
        code = code_of(path)
        found.update(re.findall(r"EAS(\d{4})", code))
        for name, args in calls(code, r"\w*fail\w*"):
            found.update(arg for arg in args if re.fullmatch(r"\d{4}", arg))
            if name in FAIL:
                # One that comes by a variable of another name would escape us.
                assert re.fullmatch(r"\d{4}|(int )?tag|err->tag", args[FAIL[name]]), (path, name,
                                                                                     args)
    assert found, "no tag found in the sources"
    return found


def test_every_log_tag_is_used_once():
    assert [tag for tag, times in tags_in_sources().items() if times > 1] == []


def test_every_log_tag_is_explained_once_and_in_order():
    explained = list(sections(MESSAGES, 2))
    used = {f"EAS{tag}" for tag in tags_in_sources()}
    assert sorted(used - set(explained)) == [], "in the sources, but not among the messages"
    assert sorted(set(explained) - used) == [], "among the messages, but not in the sources"
    assert explained == sorted(used)


def test_every_log_tag_has_a_meaning_and_a_cure():
    for tag, text in sections(MESSAGES, 2).items():
        meaning, cure = text.strip().split("\n\n")
        assert len(meaning) > 15 and re.match(r"\*Cure:\* [A-Z[].", cure), tag


def test_tags_in_the_pages_exist():
    """The pages and README name no other."""
    used = {f"EAS{tag}" for tag in tags_in_sources()}
    for page, text in TEXT.items():
        assert set(re.findall(r"\bEAS\d{4}\b", text)) <= used, page


# --- what the sources say elsewhere ----------------------------------------------------------

def renamed(rows: dict[str, dict[str, str]], words: dict[str, str]) -> dict[str, dict[str, str]]:
    """In the reference's words."""
    def say(word: str) -> str:
        return words.get(word, word)
    return {say(row): {say(column): say(cell) for column, cell in cells.items()}
            for row, cells in rows.items()}


def test_precedence_is_that_of_the_tests():
    """test_precedence.py plays each cell; here they are in words, and all dead cookies are one."""
    dead = {"bad": "damaged, another host's, or sent twice", "expired": "idle too long, or at its end",
            "revoked": "signed out"}
    rows = {"no": "none", "user-only": "a name without a colon", "wrong": "wrong password",
            "empty": "empty password", "good": "alice's password", "other": "bob's password"}
    assert set(OUTCOMES) == {"no", *dead, "good"}
    for cookie, words in dead.items():
        assert f"- {words}" in TEXT[REFERENCE]
        assert OUTCOMES[cookie] == OUTCOMES["no"]
    assert table(REFERENCE, "Basic credentials") == {
        row: {"no live session": OUTCOMES["no"][basic], "live session": OUTCOMES["good"][basic]}
        for basic, row in rows.items()}


def test_challenges_are_those_of_the_tests():
    words = {"browser": "a person in a browser", "phone": "a phone",
             "none": "a client without a User-Agent", "no cookie": "without a cookie",
             "below an EAS path": "path of Exchange's programs",
             "basic": "Basic", "script": "440"}
    written = table(REFERENCE, "client")
    script = written.pop("a script in a browser")
    assert written == renamed(HOW_TO_ASK, words)
    assert list(script.values()) == ["440", "440", "Basic"]


def strings_of(name: str) -> str:
    """A C string that is made of literals and of macros in the same file."""
    (code, value), = [(code, match[1]) for code in map(code_of, SOURCES) for match in
                      re.finditer(rf"\b{name}\[\] =(.*?);$", code, re.DOTALL | re.MULTILINE)]
    macros = dict(re.findall(r'^#define (\w+) ("[^\n]*")$', code, re.MULTILINE))
    return "".join(json.loads(macros.get(token, token))
                   for token in re.findall(f"{STRING}|\\w+", value))


def test_built_in_rule_of_form_for():
    """To the letter, but for where the lines end."""
    printed, = re.findall(r'^```apache\nEasKcdFormFor "([^"]*)"\n```',
                          sections(REFERENCE, 2)["EasKcdFormFor"], re.MULTILINE)
    rule = strings_of("eas_challenge_form_rule")
    assert re.sub(r" \\\n *", " ", printed) == rule


def test_minutes_that_a_disabled_account_has():
    factors, = [found for path in SOURCES for found in
                re.findall(r"^#define ALIVE_FOR apr_time_from_sec\(([\d *]+)\)$", code_of(path),
                           re.MULTILINE)]
    minutes, = re.findall(r"^- within (\d+) minutes after the account was disabled",
                          TEXT[OPERATING], re.MULTILINE)
    assert prod(map(int, factors.split("*"))) == int(minutes) * 60


def test_placeholders():
    """Each is explained, and marked where it must be there."""
    code, = [code_of(path) for path in SOURCES if path.name == "page.c"]
    meant = {f"{{{{{name}}}}}": required == "true" for name, required in
             re.findall(r'\{ "(\w+)", (true|false) \}', code)}
    assert len(meant) > 5
    assert {name: text.endswith("Required.") for name, text in
            terms(sections(REFERENCE, 2)["EasKcdLoginPage"]).items()} == meant


FILTERS = {"EAS_KCD_PRIVATE", "EAS_KCD_GUARD", "EAS_KCD_EXCHANGE", "EAS_KCD_RESPONSE",
           "EAS_KCD_REFUSAL_PAGE", "EAS_KCD_COALESCE", "EAS_KCD_FLUSH",
           "EAS_KCD_FLUSH_CLIENT"}
MUTEX = "eas-kcd-cache"
HANDLER = "eas-kcd-status"
DEFINE = "EAS_KCD_DUMP"     # of httpd's option -D


def test_variables():
    """Each that is set is explained, and each that is read is named; what else is called so is no
    variable."""
    strings = [string for path in SOURCES for string in
               re.findall(r'"((?:EAS_|eas-kcd-)[\w-]+)"', code_of(path))]
    chapter = sections(REFERENCE, 1)["VARIABLES"]
    written = {name for name in strings if name.startswith("EAS_")}
    assert FILTERS < written
    assert set(terms(chapter)) == written - FILTERS - {DEFINE}
    assert set(re.findall(r"`(eas-kcd-[\w-]+)`", chapter)) | {MUTEX, HANDLER} == {
        name for name in strings if name.startswith("eas-kcd-")}


def families_defined() -> dict[str, dict[str, str]]:
    """The families of counters.def, as the page has them."""
    code = code_of(TOP / "auth/base/counters.def")
    suffixes = {"COUNTER": "_total", "GAUGE": "", "HISTOGRAM": "_seconds"}
    labels: dict[str, list[str]] = {}
    for _, (_constant, family, text) in calls(code, "EAS_(?:COUNTER|GAUGE|HISTOGRAM)"):
        labels.setdefault(family, []).extend(re.findall(r"(\w+)=", text))
    rows = [args for _, args in calls(code, "EAS_FAMILY") if args[0] != "id"]
    assert len(rows) > 15
    return {f"eas_kcd_{json.loads(name)}{suffixes[kind.rpartition('_')[2]]}": {
        "type": kind.rpartition("_")[2].lower(), "meaning": json.loads(help_text),
        "labels": " ".join(dict.fromkeys(labels[family])) or "-"}
        for family, kind, name, help_text in rows}


def test_metrics():
    """Each family is explained; those that no row defines, test_status.py compares."""
    written = table(OPERATING, "metric")
    for name, family in families_defined().items():
        assert written[name] == family, name


# --- the pages themselves --------------------------------------------------------------------

def test_readme_is_an_administrators_first_hour():
    assert len(TEXT[README].splitlines()) <= 430


def test_readme_installs_what_the_build_needs():
    command, = re.findall(r"^    apt-get install ((?:.*\\\n)*.*)$", TEXT[README], re.MULTILINE)
    needed = re.findall(r"^build: (.*)$", (TOP / "build/packages").read_text(), re.MULTILINE)
    assert set(command.replace("\\", " ").split()) == {*" ".join(needed).split(), "krb5-user"}


def test_readme_installs_the_commands_that_it_names():
    """kinit and klist, each way of installing; and the keytab comes before it is used."""
    installs = re.findall(r"^ +apt(?:-get)? install ((?:.*\\\n)*.*)$", TEXT[README], re.MULTILINE)
    assert len(installs) == 2 and all("krb5-user" in packages.split() for packages in installs)
    assert TEXT[README].index("    install -D -o root") < TEXT[README].index("\nEasKcdKeytab ")


def test_news_begins_with_this_version():
    version, = re.findall(r"^AC_INIT\(\[mod_eas_kcd\], \[([\d.]+)\]\)$", CONFIGURE, re.MULTILINE)
    news = (TOP / "build/doc/NEWS").read_text()
    assert re.findall(r"^Version ([\d.]+)\b", news, re.MULTILINE)[0] == version


def anchors(page: Path) -> set[str]:
    """As web sites make them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(),
                                               flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)", TEXT[page])
    assert links and len(links) == TEXT[page].count("](")
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), path
        assert not anchor or anchor in anchors(target), (path, anchor)


def test_readme_links_to_each_page():
    for path in (*PAGES[1:], TOP / "build/doc/NEWS", TOP / "build/doc/LICENSE"):
        assert f"]({path.relative_to(TOP)})" in TEXT[README]


RIDDLE = re.compile(r"(who|whoever|whom|what|whatever)\b", re.IGNORECASE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_are_short_and_about_things(page):
    sentences = prose(TEXT[page])
    assert len(sentences) > 30
    assert [sentence for sentence in sentences if len(sentence.split()) > 25] == []
    assert [sentence for sentence in sentences if RIDDLE.match(sentence)] == []


# --- man pages -------------------------------------------------------------------------------

MAN_PAGES = dict(re.findall(r"^(build/doc/\S+\.[78]): (build/doc/\S+\.md) ", MAKEFILE, re.MULTILINE))
ROFF = {r"\(dq": '"', r"\(ga": "`", r"\(oq": "'", r"\(cq": "'", r"\(aq": "'", r"\(ha": "^",
        r"\(ti": "~", r"\-": "-", r"\&": "", r"\e": "\\"}


@pytest.mark.parametrize("name", MAN_PAGES)
def test_man_page_has_every_heading_and_example(name):
    if "\nman_MANS = " not in (TOP / "Makefile").read_text():
        pytest.skip("configured without lowdown")
    page = TOP / MAN_PAGES[name]
    roff = re.sub("|".join(map(re.escape, ROFF)), lambda match: ROFF[match[0]],
                  (TOP / name).read_text())
    lines = roff.splitlines()
    assert lines[3] == "NAME" and lines[5].startswith(f"{Path(name).stem} - ")
    assert set(re.findall(r"^#+ (.+)$", TEXT[page], re.MULTILINE)) <= set(lines)
    for block in re.findall(r"^```\w+\n(.*?)^```$", TEXT[page], re.DOTALL | re.MULTILINE):
        assert f".EX\n{block}.EE\n" in roff


def test_every_page_of_build_doc_is_a_man_page():
    assert {TOP / page for page in MAN_PAGES.values()} == set((TOP / "build/doc").glob("*.md"))


# --- the doctor ------------------------------------------------------------------------------

def findings_defined() -> dict[str, dict[str, str]]:
    """The rows of findings.def, as the page has them."""
    rows = [args for _, args in
            calls(code_of(TOP / "delegation/check/findings.def"), "EAS_FINDING")]
    assert len(rows) > 50
    return {f"`{json.loads(name)}`": {"weight": weight.lower(), "meaning": json.loads(meaning)}
            for _constant, name, weight, meaning, _powershell, _samba in rows}


def test_findings_of_the_doctor():
    """Each has its line on the page, in the same order."""
    written = table(DOCTOR, "finding")
    assert list(written.items()) == list(findings_defined().items())


def test_findings_are_made_by_tests():
    """Each on purpose in the lab."""
    lab = "".join((TOP / "t" / name).read_text() for name in ("test_doctor.py", "test_doctor_mit.py"))
    names = [name.strip("`") for name in findings_defined()]
    assert [name for name in names if f'"{name}"' not in lab] == []


def test_causes_of_findings():
    """A cause has its findings, all of which exist."""
    rows = table(DOCTOR, "cause")
    assert len(rows) > 20
    for cause, cells in rows.items():
        named = set(re.findall(r"`[\w-]+`", cells["finding"]))
        assert named and named <= set(findings_defined()), cause
