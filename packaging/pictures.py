"""Pictures of which state or table follows which, as SVG: one column each, one row for each pair, with an arrow and what leads there.

The same rows give the same text. A picture brings its own ground and two sets of colours, of which a reader's light or dark scheme
chooses.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

GAP, MARGIN = 118, 66  # between columns, and beside the outer ones
HEADS, TOP, ROW = 40, 92, 28  # where heads and rows begin, and the height of a row
LOOP = 20  # width of an arrow that leads back
LETTER = 7  # width of a letter, at most on the average


class Arrow(NamedTuple):
    """One column leads to another, or to itself. `why`: events or rules."""

    source: str
    target: str
    why: str


def merged(arrows: Iterable[Arrow], columns: Sequence[str]) -> list[Arrow]:
    """The arrows in the order of the columns; those between the same two columns as one."""
    found: dict[tuple[str, str], list[str]] = {}
    for arrow in arrows:
        found.setdefault((arrow.source, arrow.target), []).append(arrow.why)
    order = sorted(found, key=lambda pair: (columns.index(pair[0]), columns.index(pair[1])))
    return [
        Arrow(source, target, "; ".join(dict.fromkeys(found[source, target]))) for source, target in order
    ]


def picture(title: str, columns: Sequence[str], arrows: Iterable[Arrow]) -> str:
    """SVG. Raises ValueError for an arrow of a column that is not there."""
    rows = merged(arrows, columns)
    place = {column: MARGIN + GAP * number for number, column in enumerate(columns)}
    ends = [min(place[row.source], place[row.target]) + LOOP + LETTER * len(row.why) for row in rows]
    width = max(2 * MARGIN + GAP * (len(columns) - 1), *ends, 0) + 16
    height = TOP + ROW * len(rows) + 16
    parts = [*_head(title, width, height), *_columns(place, height)]
    for number, row in enumerate(rows):
        parts += _row(place[row.source], place[row.target], row.why, TOP + ROW * number + 20)
    return "\n".join([*parts, "</svg>", ""])


def _head(title: str, width: int, height: int) -> Iterator[str]:
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
    yield f"<title>{escape(title)}</title>"
    yield "<style>"
    yield "text { font: 12px sans-serif; paint-order: stroke; stroke-width: 4px } .title { font-size: 15px; font-weight: bold }"
    yield ".arrow { fill: none; stroke-width: 1.6 } .column { stroke-dasharray: 2 4 }"
    yield _scheme("#ffffff", "#1f2933", "#aab3bd", "#0b5fa5")
    yield f"@media (prefers-color-scheme: dark) {{\n{_scheme('#14181d', '#e4e8ec', '#56606b', '#6cb6ff')}\n}}"
    yield "</style>"
    yield '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield '<path class="tip" d="M0 0 L8 4 L0 8 z"/></marker>'
    yield f'<rect class="ground" width="{width}" height="{height}"/>'
    yield f'<text class="title" x="16" y="24">{escape(title)}</text>'


def _scheme(ground: str, text: str, column: str, arrow: str) -> str:
    return (
        f".ground {{ fill: {ground} }} text {{ fill: {text}; stroke: {ground} }} .column {{ stroke: {column} }} "
        f".box {{ fill: {ground}; stroke: {text} }} .arrow {{ stroke: {arrow} }} .tip {{ fill: {arrow} }}"
    )


def _columns(place: dict[str, int], height: int) -> Iterator[str]:
    for name, x in place.items():
        yield f'<line class="column" x1="{x}" y1="{HEADS + 26}" x2="{x}" y2="{height - 8}"/>'
        yield f'<rect class="box" x="{x - 52}" y="{HEADS}" width="104" height="26" rx="8"/>'
        yield f'<text x="{x}" y="{HEADS + 17}" text-anchor="middle">{escape(name)}</text>'


def _row(source: int, target: int, why: str, y: int) -> Iterator[str]:
    if source == target:
        way, start = f"M{source} {y - 10} h{LOOP} v10 h-{LOOP - 2}", source + LOOP + 6
    else:
        way, start = f"M{source} {y} H{target}", min(source, target) + 8
    yield f'<text x="{start}" y="{y - 6}">{escape(why)}</text>'
    yield f'<path class="arrow" d="{way}" marker-end="url(#head)"/>'  # over the text's edge


def pipeline() -> str:
    """docs/design/pipeline.svg: the tables of a switch, in the order in which packets come to them."""
    from steering.core.pipeline.priorities import LEVELS
    from steering.model.rules import Table

    columns = [table.name for table in Table if table is not Table.SOURCE]
    columns.insert(1, Table.SOURCE.name)  # whatever its number
    pairs = Counter((level.table, then) for level in LEVELS for then in level.then)
    arrows = [
        # Of several levels the first words of each are enough: the tables below have all.
        Arrow(level.table.name, then.name, level.what if number == 1 else re.split("[,;:]", level.what)[0])
        for level in LEVELS
        for then in sorted(level.then)
        for number in (pairs[level.table, then],)
    ]
    return picture("Which table follows which, and for what", columns, arrows)


def session_life() -> str:
    """docs/design/session-life.svg: the states of a session, and the events between them."""
    from steering.core.sessions.transitions import BEGINNINGS, TRANSITIONS
    from steering.model.session import SessionState

    columns = ["begins", *SessionState, "is over"]
    arrows = [Arrow("begins", state.value, how.value) for how, (state, _) in BEGINNINGS.items()]
    arrows += [
        Arrow(before.value, step.state.value if step.state else "is over", event.value)
        for (before, event), step in TRANSITIONS.items()
    ]
    return picture("The life of a session", columns, arrows)
