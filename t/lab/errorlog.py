# SPDX-License-Identifier: Apache-2.0
"""httpd's error log as an interface: what was complained about since the mark?"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .wait import until

LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
LINE = re.compile(r"^\[[^\]]*\] \[([^:\]]*):(\w+)\] (.*)$")
TAG = re.compile(r"\b(EAS\d{4}|AH\d{5})\b")
RULE = re.compile(r'\[id "(\d+)"\]')       # of mod_security
MORE = re.compile(r"EAS\d{4}: \d+ more in \d+ s, ")
DISTRESS = re.compile(r"exit signal|AddressSanitizer|LeakSanitizer|runtime error:|==\d+== [A-Z]"
                      r"|[Aa]ssertion .*failed|malloc_consolidate|double free|corrupted")


@dataclass(frozen=True)
class Entry:
    module: str
    level: str
    text: str

    @property
    def tag(self) -> str:
        found = (RULE if self.module == "security2" else TAG).search(self.text)
        return found[1] if found else ""

    def at_least(self, level: str) -> bool:
        """As grave as *level*, or graver? The trace levels are below all."""
        return (self.level in LEVELS
                and LEVELS.index(self.level) <= LEVELS.index(level))

    @property
    def wants_naming(self) -> bool:
        """Must a test say that it expects this? Ours from warn, anybody's from error. Advice of the
        start about the configuration, which the lab's do not always follow, is not an entry: httpd
        writes it without time and level. A line that counts more of a tag follows lines of that
        tag."""
        ours = self.tag.startswith("EAS") or self.module == "eas_kcd"
        return self.at_least("warn" if ours else "error") and not MORE.search(self.text)

    @property
    def of_the_start(self) -> bool:
        return self.tag.startswith("EAS3")


class ErrorLog:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = 0

    def mark(self) -> None:
        """Forget what is there so far."""
        self._mark = self.size()

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def text(self) -> str:
        return self._text_from(self._mark)

    def entries(self) -> list[Entry]:
        return _parse(self.text())

    def tags(self) -> list[str]:
        """The EAS tags since the mark, in order, at whatever level; but for notices, which are not
        about a request, and those of the start."""
        return [entry.tag for entry in self.entries()
                if entry.tag.startswith("EAS") and entry.level != "notice"
                and not entry.of_the_start]

    def assert_only_tags(self, *allowed: str) -> None:
        """Fail if something went wrong that nobody named.

        Every EASnnnn from warn and every AHnnnnn from error must be among *allowed*; an error
        without a tag cannot be allowed, nor can a crash or a sanitizer's report.
        """
        unexpected = [f"[{entry.module}:{entry.level}] {entry.text}" for entry in self.entries()
                      if entry.wants_naming and entry.tag not in allowed]
        unexpected += [line for line in self.text().splitlines() if DISTRESS.search(line)]
        assert not unexpected, f"in {self.path}:\n" + "\n".join(unexpected)

    def assert_tags(self, *tags: str, start: int = 0) -> None:
        """Fail unless each of *tags* was logged from *start* on, at whatever level.

        A line may follow the answer, or the next request of another client, so it is waited for.
        """
        def missing() -> set[str]:
            return set(tags) - {entry.tag for entry in _parse(self._text_from(start))}
        with suppress(TimeoutError):
            until(lambda: not missing(), 2, "the log")
        assert not missing(), \
            f"in {self.path}: expected, and not logged: {', '.join(sorted(missing()))}"

    def _text_from(self, start: int) -> str:
        if not self.path.exists():
            return ""
        with self.path.open("rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")


def _parse(text: str) -> list[Entry]:
    return [Entry(*match.groups()) for match in map(LINE.match, text.splitlines()) if match]
