# SPDX-License-Identifier: Apache-2.0
"""The prefix of an exported function is its file; functions are short and simple."""

import json
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
C_FILES = sorted(path for pattern in ("*.c", "auth/**/*.c", "delegation/**/*.c")
                 for path in TOP.glob(pattern))
TESTS = sorted(path for pattern in ("t/unit/*.c", "t/unit/*.h", "t/fuzz/*.[ch]")
               for path in TOP.glob(pattern))

LINES, COMPLEXITY = 50, 15

# Files that both halves have are called by the half.
OF_A_HALF = {"config", "directives", "start"}
# Short names of what is called from everywhere.
SHORT = {"eas_fail": "error", "eas_unseal": "seal", "main": "main",
         "clpreauth_eas_kcd_initvt": "as_key"}     # libkrb5's name


def name(path):
    return str(path.relative_to(TOP))


def run(*command):
    done = subprocess.run(command, cwd=TOP, check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout.splitlines()


def exported(path):
    """The functions of a file that others can call."""
    rows = [json.loads(line) for line in run(
        "ctags", "--output-format=json", "--fields=+f", "--kinds-c=f", "-o", "-", name(path))]
    return [row["name"] for row in rows if not row.get("file")]


def prefix_of(path):
    stem = path.stem.removesuffix("_httpd")
    return f"eas_{path.parent.name if stem in OF_A_HALF else stem}"


def test_prefix_is_file():
    seen = 0
    for path in C_FILES:
        for function in exported(path):
            seen += 1
            if SHORT.get(function) != path.stem:
                assert function.startswith(prefix_of(path)), name(path)
    assert seen > 2 * len(C_FILES), "ctags shows nothing"


def test_functions_are_short_and_simple():
    """pmccabe's first column is the cyclomatic complexity, its fifth the lines."""
    rows = [line.split("\t") for line in run("pmccabe", *map(name, C_FILES + TESTS))]
    assert len(rows) > 5 * len(C_FILES), "pmccabe shows nothing"
    assert [row[5] for row in rows if int(row[0]) > COMPLEXITY or int(row[4]) > LINES] == []


# A sentence's subject is a thing.
PERSON = re.compile(r"(?:^|[.;:] )(Who|Whoever|Whom|What|Whatever|Nobody|Somebody) (?!if\b)")


def comments(path):
    """Each comment as one line."""
    for comment in re.findall(r"/\*(.*?)\*/", path.read_text(), re.DOTALL):
        yield " ".join(re.sub(r"^[ *]+", "", line).strip() for line in comment.splitlines())


@pytest.mark.parametrize("path", sorted({*C_FILES, *(path for pattern in ("auth/**/*.h", "delegation/**/*.h")
                                                      for path in TOP.glob(pattern)), *TESTS}), ids=name)
def test_subjects_are_things(path):
    assert [text for text in comments(path) if PERSON.search(text.strip())] == []


def test_defaults_stand_once():
    """The default that directives.def shows is the constant that the getter returns."""
    for half in ("auth", "delegation"):
        shown = {upper_snake(directive): text for directive, text in re.findall(
            r'EAS_DIRECTIVE\("EasKcd(\w+)",[^"]*"[^"]*",\s*"([^"]*)"',
            (TOP / half / "directives.def").read_text())}
        constants = re.findall(r"^#define DEFAULT_(\w+) (.*)$",
                               (TOP / half / "config_httpd.c").read_text(), re.MULTILINE)
        seen = {}
        for constant, value in constants:
            # DEFAULT_LOCKOUT_WINDOW is the second word of EasKcdLockout's default.
            directive = max((name for name in shown if f"{constant}_".startswith(f"{name}_")),
                            key=len, default=None)
            assert directive, f"DEFAULT_{constant} is without a directive"
            seen.setdefault(directive, []).extend(words_of_c(value))
        assert len(seen) > 5
        assert seen == {directive: words_of_text(shown[directive]) for directive in seen}


def upper_snake(words):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words).upper()


UNITS = {"SECONDS": "s", "MINUTES": "m", "HOURS": "h", "DAYS": "d"}


def words_of_c(text):
    """MINUTES(5), HOURS(8) as 5m, 8h; "text" as text; EAS_CHALLENGE_AUTO as auto."""
    if text.startswith('"'):
        return [json.loads(text)]
    if text.startswith("EAS_"):
        return [text.rpartition("_")[2].lower()]
    durations = re.findall(r"(\w+)\((\d+)\)", text)
    return [n + UNITS[unit] for unit, n in durations] or [str(eval(text, {"__builtins__": {}}))]


def words_of_text(text):
    """The words of a default that are values: `public 15m 8h, private 8h 24h` has four."""
    flags = {"On": "1", "Off": "0", "required": "1", "Try": "try"}
    return [flags.get(text, text)] if " " not in text else re.findall(r"\b\d+\w*", text)
