# SPDX-License-Identifier: Apache-2.0
"""Throughput and p99 over concurrency, as an SVG that is written by hand."""

import math
from pathlib import Path
from typing import Callable, Sequence

from .pairs import Pair, p99, per_second

WIDTH, HEIGHT, LEFT, TOP, GAP = 460, 300, 70, 50, 90
COLOURS = ("#666", "#06c")
Points = Sequence[tuple[float, float]]


def draw(path: Path, levels: Sequence[int], curve: Sequence[Pair], title: str) -> None:
    """Two panels beside each other, in each the bare proxy and ours."""
    names = (curve[0].a.name, curve[0].b.name)
    panels = [
        _panel(0, "requests per second", _lines(levels, curve, per_second, 1), logarithmic=False),
        _panel(1, "p99, milliseconds", _lines(levels, curve, p99, 1000), logarithmic=True)]
    legend = "".join(
        f'<rect x="{LEFT + n * 160}" y="{TOP + HEIGHT + 48}" width="14" height="4" '
        f'fill="{colour}"/><text x="{LEFT + 20 + n * 160}" y="{TOP + HEIGHT + 54}">{name}</text>'
        for n, (name, colour) in enumerate(zip(names, COLOURS)))
    width, height = 2 * (LEFT + WIDTH) + GAP, TOP + HEIGHT + 75
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="{LEFT}" y="22" font-size="16">{title}</text>\n'
        + "".join(panels) + legend + "\n</svg>\n")


def _lines(levels: Sequence[int], curve: Sequence[Pair], figure: Callable, unit: float) \
        -> list[Points]:
    return [[(level, pair.of(side, figure) * unit) for level, pair in zip(levels, curve)]
            for side in (0, 1)]


def _panel(number: int, title: str, lines: list[Points], logarithmic: bool) -> str:
    """Concurrency goes by powers of two; what is measured by ten, or from zero."""
    left = LEFT + number * (WIDTH + LEFT + GAP // 2)
    values = [value for points in lines for _, value in points]
    ticks = _decades(values) if logarithmic else _steps(max(values))
    scale = math.log10 if logarithmic else float
    low, high = scale(ticks[0]), scale(ticks[-1])
    most = math.log2(max(x for points in lines for x, _ in points)) or 1

    def x_of(level: float) -> float:
        return left + WIDTH * math.log2(level) / most

    def y_of(value: float) -> float:
        return TOP + HEIGHT * (1 - (scale(value) - low) / (high - low))
    parts = [f'<text x="{left}" y="{TOP - 10}">{title}</text>']
    for tick in ticks:
        parts.append(f'<path d="M{left} {y_of(tick):.1f}h{WIDTH}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{y_of(tick) + 4:.1f}" text-anchor="end">'
                     f'{tick:g}</text>')
    for level, _ in lines[0]:
        parts.append(f'<text x="{x_of(level):.1f}" y="{TOP + HEIGHT + 18}" '
                     f'text-anchor="middle">{level}</text>')
    parts.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 36}" '
                 'text-anchor="middle">connections</text>')
    for points, colour in zip(lines, COLOURS):
        at = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>'
                  for x, y in points]
    return "\n".join(parts) + "\n"


def _decades(values: list[float]) -> list[float]:
    low = math.floor(math.log10(min(values)))
    high = max(low + 1, math.ceil(math.log10(max(values))))
    return [10.0 ** n for n in range(low, high + 1)]


def _steps(most: float) -> list[float]:
    """Four or five round steps from zero to beyond the most."""
    rough = most / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * n for n in (1, 2, 5, 10) if unit * n >= rough)
    return [step * n for n in range(math.ceil(most / step) + 1)]
