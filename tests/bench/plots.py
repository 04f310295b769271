"""A plot as SVG text: lines over sizes on a logarithmic axis. The same figures give the same text.

It brings its own ground and two sets of colours, of which a reader's light or dark scheme chooses. Lines differ in marker and
dash too, and stand in a legend in the order in which they end.
"""

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 84, 548, 48, 338  # of the area of lines
LEGEND = 572
TICKS = 6  # at most some, of an axis
DASHES = ("", "7 4", "2 4", "10 4 2 4")
LIGHT = ("#0b5fa5", "#b8400a", "#0a7052", "#7d3c98")
DARK = ("#6cb6ff", "#ff9b62", "#4fd1a1", "#d6a1f0")


class Line(NamedTuple):
    """Sizes with what was measured of them; all above 0."""

    name: str
    points: Sequence[tuple[float, float]]


class Scale(NamedTuple):
    """Of one axis. `low`, `high`: values at its ends, `start`, `end`: their places."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool

    def place(self, value: float) -> float:
        """Where a value stands."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = log10(low), log10(high), log10(value)
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def steps_of_ten(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten that hold both values between them, or the powers alone where those are many.
    There are two at least."""
    for parts in ((1, 2, 5), (1,)):
        known = [
            part * 10.0**power
            for power in range(floor(log10(low)) - 1, ceil(log10(high)) + 2)
            for part in parts
        ]
        below = max(one for one in known if one <= low * (1 + 1e-9))
        above = min(one for one in known if one >= high * (1 - 1e-9) and one > below)
        found = [one for one in known if below <= one <= above]
        if len(found) <= TICKS:
            break
    return found


def even_steps(high: float) -> list[float]:
    """0 and equal steps, of which the last is not below a value."""
    rough = high / (TICKS - 1)
    power = 10.0 ** floor(log10(rough))
    step = next(part * power for part in (1, 2, 2.5, 5, 10) if part * power >= rough * (1 - 1e-9))
    return [number * step for number in range(ceil(high / step - 1e-9) + 1)]


def number(value: float) -> str:
    """As on an axis."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:g}"


def drawing(title: str, axes: tuple[str, str], lines: Sequence[Line], is_log: bool) -> str:
    """SVG. `axes`: labels with units, of sizes and of values; `is_log`: values on a logarithmic axis too, which begins near
    the least of them, otherwise at 0."""
    sizes = sorted({size for line in lines for size, _ in line.points})
    values = [value for line in lines for _, value in line.points]
    ticks = steps_of_ten(min(values), max(values)) if is_log else even_steps(max(values))
    x = Scale(sizes[0], sizes[-1] if len(sizes) > 1 else 10 * sizes[0], LEFT + 16, RIGHT - 16, True)
    y = Scale(ticks[0], ticks[-1], BOTTOM, TOP, is_log)
    parts = [*_head(title, axes), *_grid(x, y, sizes, ticks), *_axis_labels(axes, is_log)]
    order = sorted(range(len(lines)), key=lambda one: -lines[one].points[-1][1])
    for place, one in enumerate(order):
        parts += _line(one, [(x.place(size), y.place(value)) for size, value in lines[one].points])
        parts += _named(one, lines[one].name, TOP + 14 + 24 * place)
    return "\n".join([*parts, "</svg>", ""])


def _head(title: str, axes: tuple[str, str]) -> Iterator[str]:
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
    yield f"<title>{escape(title)}</title>"
    yield f"<desc>{escape(axes[1])}, against {escape(axes[0])}</desc>"
    yield "<style>"
    yield "text { font: 13px sans-serif } .title { font-size: 15px; font-weight: bold } .line { fill: none; stroke-width: 2 }"
    yield _scheme("#ffffff", "#1f2933", "#d5dae0", LIGHT)
    yield f"@media (prefers-color-scheme: dark) {{\n{_scheme('#14181d', '#e4e8ec', '#3a424c', DARK)}\n}}"
    yield "</style>"
    yield f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>'
    yield f'<text class="title" x="{LEFT}" y="28">{escape(title)}</text>'


def _scheme(ground: str, text: str, grid: str, colours: Sequence[str]) -> str:
    rules = [f".ground {{ fill: {ground} }} text {{ fill: {text} }} .grid {{ stroke: {grid} }}"]
    rules += [
        f".line.c{n} {{ stroke: {colour} }} .mark.c{n} {{ fill: {colour} }}"
        for n, colour in enumerate(colours)
    ]
    return "\n".join(rules)


def _grid(x: Scale, y: Scale, sizes: Sequence[float], ticks: Sequence[float]) -> Iterator[str]:
    for tick in ticks:
        at = y.place(tick)
        yield f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{RIGHT}" y2="{at:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4.5:.1f}" text-anchor="end">{number(tick)}</text>'
    for size in sizes:
        at = x.place(size)
        yield f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{BOTTOM}"/>'
        yield f'<text x="{at:.1f}" y="{BOTTOM + 20}" text-anchor="middle">{number(size)}</text>'


def _axis_labels(axes: tuple[str, str], is_log: bool) -> Iterator[str]:
    across, up = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    yield f'<text x="{across:g}" y="{BOTTOM + 46}" text-anchor="middle">{escape(axes[0])} (logarithmic)</text>'
    told = escape(axes[1]) + (" (logarithmic)" if is_log else "")
    yield f'<text x="20" y="{up:g}" text-anchor="middle" transform="rotate(-90 20 {up:g})">{told}</text>'


def _line(one: int, places: Sequence[tuple[float, float]]) -> Iterator[str]:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = f' stroke-dasharray="{DASHES[one]}"' if DASHES[one] else ""
    yield f'<polyline class="line c{one}"{dash} points="{points}"/>'
    for x, y in places:
        yield _mark(one, x, y)


def _mark(one: int, x: float, y: float) -> str:
    """A disc, a square, a triangle or a diamond."""
    corners = (
        (),
        ((-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)),
        ((0, -6), (5.5, 4.5), (-5.5, 4.5)),
        ((0, -6), (6, 0), (0, 6), (-6, 0)),
    )[one]
    if not corners:
        return f'<circle class="mark c{one}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    return (
        f'<polygon class="mark c{one}" points="{" ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)}"/>'
    )


def _named(one: int, name: str, at: float) -> Iterator[str]:
    yield _mark(one, LEGEND, at)
    dash = f' stroke-dasharray="{DASHES[one]}"' if DASHES[one] else ""
    yield f'<line class="line c{one}"{dash} x1="{LEGEND - 14}" y1="{at}" x2="{LEGEND + 14}" y2="{at}"/>'
    yield f'<text x="{LEGEND + 22}" y="{at + 4.5:g}">{escape(name)}</text>'
