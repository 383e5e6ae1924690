# SPDX-License-Identifier: Apache-2.0
"""The documentation: README and the pages that it links to."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
README, REFERENCE, DOCTOR, MESSAGES, OPERATING, RECIPES, BENCHMARK = (
    TOP / name for name in ("README", "build/doc/reference.md", "build/doc/doctor.md",
                            "build/doc/messages.md",
                            "build/doc/operating.md", "build/doc/recipes.md",
                            "t/benchmark/README.md"))
PAGES = (README, REFERENCE, DOCTOR, MESSAGES, OPERATING, RECIPES, BENCHMARK)
TEXT = {page: page.read_text() for page in PAGES}


def fenced(language: str) -> list[str]:
    """The code blocks of all pages, README's first."""
    found = [block for text in TEXT.values() for block in
             re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
    assert found, f"no {language} block in the pages"
    return found


def sections(page: Path, level: int) -> dict[str, str]:
    """{heading: text below it, down to the next heading of this level or above}."""
    found = re.findall(rf"^#{{{level}}} ([^\n]+)\n(.*?)(?=^#{{1,{level}}} |\Z)", TEXT[page],
                       re.DOTALL | re.MULTILINE)
    assert found and len(dict(found)) == len(found), f"no heading in {page}, or one twice"
    return dict(found)


def table(page: Path, corner: str) -> dict[str, dict[str, str]]:
    """{row: {column: cell}} of the one table whose first cell this is."""
    found = re.findall(rf"^\| {corner} \|.*\n(?:\|.*\n)+", TEXT[page], re.MULTILINE)
    assert len(found) == 1, (corner, found)
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")]
                      for line in found[0].splitlines()]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def terms(text: str) -> dict[str, str]:
    """{`term`: its explanation} of a list whose items begin so."""
    return dict(re.findall(r"^- `([^`]+)`: (.*(?:\n {2,}\S.*)*)", text, re.MULTILINE))


def prose(text: str) -> list[str]:
    """Its sentences: paragraphs, items of lists and cells of tables, without examples."""
    for pattern, instead in (
            (r"^```.*?^```$", ""),                          # code in fences
            (r"^ {4,}(?!- ).*$", ""),                       # indented code
            (r"^#.*$", ""), (r"^\|[-|]+\|$", ""),           # headings, lines of tables
            (r"`[^`]*`", "code"), (r"\[([^\]]*)\]\([^)]*\)", r"\1"),
            (r" *\|(?: |$)", "\n\n"),
            (r"^ *(?:- |\d+\. )", "\n\n")):
        text = re.sub(pattern, instead, text, flags=re.DOTALL | re.MULTILINE
                      if pattern.startswith("^```") else re.MULTILINE)
    return [sentence for paragraph in re.split(r"\n\s*\n", text)
            for sentence in re.split(r"(?<=[.!?]) +", " ".join(paragraph.split())) if sentence]
