# SPDX-License-Identifier: Apache-2.0
"""Results: tables for people, and figures for the promises."""

from dataclasses import dataclass, field

from .pairs import Pair, cpu, foreign, p50, p99, per_second

HEAD = ("pair (B against A)", "cores", "conn", "thr. B/A", "CPU B/A", "thr. quartiles",
        "CPU quartiles", "CPU B-A", "A req/s", "B req/s", "A µs", "B µs", "A p50", "B p50",
        "A p99", "B p99", "foreign")


@dataclass
class Results:
    """Filled by the cases, one after another, and printed as they go."""

    figures: dict[str, float] = field(default_factory=dict)
    pairs: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    curve: list[Pair] = field(default_factory=list)

    def figure(self, name: str, value: float) -> None:
        self.figures[name] = value

    def pair(self, pair: Pair, layout: str, connections: int, name: str) -> Pair:
        row = (f"{pair.b.name} / {pair.a.name}", layout, str(connections),
               f"{pair.throughput:.2f}", f"{pair.cpu:.2f}",
               *("–".join(f"{ratio:.2f}" for ratio in pair.spread(figure))
                 for figure in (per_second, cpu)),
               f"{pair.difference(cpu) * 1e6:+.1f}",
               *(f"{pair.of(side, per_second):.0f}" for side in (0, 1)),
               *(f"{pair.of(side, cpu) * 1e6:.1f}" for side in (0, 1)),
               *(milliseconds(pair.of(side, figure)) for figure in (p50, p99) for side in (0, 1)),
               f"{max(pair.of(side, foreign) for side in (0, 1)):.0%}")
        self.pairs.append(row)
        if name:
            self._figures_of(pair, name)
        say(f"  {row[0]}: throughput {row[3]} ({row[5]}), CPU {row[4]} ({row[6]}; {row[7]} µs), "
            f"{row[8]} and {row[9]} requests/s, p99 {row[14]} and {row[15]} ms; foreign {row[16]}")
        return pair

    def _figures_of(self, pair: Pair, name: str) -> None:
        self.figure(f"{name}.throughput", pair.throughput)
        self.figure(f"{name}.cpu", pair.cpu)
        self.figure(f"{name}.us", pair.difference(cpu) * 1e6)
        for side, letter in enumerate("ab"):
            self.figure(f"{name}.{letter}.p99", pair.of(side, p99))

    def note(self, case: str, what: str, value: str) -> None:
        self.notes.append((case, what, value))
        say(f"  {what}: {value}")

    def report(self) -> str:
        """Everything once more, in two tables."""
        parts = []
        if self.pairs:
            parts.append(table(HEAD, self.pairs) + "\n\nMedians over pairs; µs is gateway CPU per "
                         "request; p50 and p99 in ms; foreign is the part of the cores that other "
                         "programs had.")
        if self.notes:
            parts.append(table(("case", "what", "value"), self.notes))
        return "\n\n".join(parts)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown that can also be read as it is."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = [head, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f}" if seconds < 1 else f"{seconds * 1000:.0f}"


def say(text: str) -> None:
    print(text, flush=True)
