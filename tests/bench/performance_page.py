"""Writes docs/performance.rst and the plots in docs/performance of docs/performance.json (`python -m tests.bench.curves`) and
docs/bench.json.

usage: python -m tests.bench.performance_page [--bench FILE]... | --check

--bench: what `steering bench` wrote (build/bench.json). Its figures go to docs/bench.json, in the place of those of an earlier
run. `--check` only tells whether everything is up to date.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import log10
from pathlib import Path
from typing import Any

from tests.bench.machines import ROOT
from tests.bench.performance_sections import SECTIONS, Plot, Quantity, Section
from tests.bench.plots import Line, drawing
from tests.bench.report import TARGETS, WANTED

Json = dict[str, Any]
Rows = Sequence[Sequence[str]]

DOCS = ROOT / "docs"
CURVES, BENCH, PAGE = "performance.json", "bench.json", "performance.rst"
PLOTS = "performance"

HEAD = """\
Performance
===========

Made by ``python -m tests.bench.performance_page`` from the JSON of measurements. Do not edit. The first part has figures that are
wanted, beside what was measured, missed ones too. The second has curves: what grows with sessions, switches and MCPs, and how.
"""
AGAIN = """\
How to measure again
--------------------

The curves take some eleven minutes, on a machine that does nothing else meanwhile::

    python -m tests.bench.curves --json docs/performance.json
    steering bench
    python -m tests.bench.performance_page --bench build/bench.json

The last command writes this page. ``tests/unit/test_performance_page.py`` fails where the page tells something else than its figures.
"""
QUICK = """\
.. warning::

   These curves are of small sizes, measured once while other work had the machine: they show that the measurement runs, and nothing else.
"""
CURVES_HEAD = """\
Growth curves
-------------

All times are processor time of the controller or its engine, on one core. Other work on the machine makes a measurement dearer and never
cheaper, so the least of several counts; the most of them stands in brackets. What takes long is measured less often, the largest size
perhaps once (``docs/performance.json`` has each). Plots have the least. The last line of a table is the factor for ten times the size, between the first size and the
last.
"""


def of_bench(report: Json) -> Json:
    """By key: what a run of `steering bench` found of the figures that it has bounds for."""
    here = {"commit": report["commit"], "quick": report["quick"]}
    spread = report.get("spread", {})
    return {
        key: {"value": report[key], "spread": spread.get(key), **here}
        for key, *_ in TARGETS
        if report.get(key) is not None
    }


def generated(curves: Json, bench: Json) -> dict[str, str]:
    """Every file by its name in docs/."""
    files = {PAGE: page(curves, bench)}
    for section in SECTIONS:
        files |= {f"{PLOTS}/{plot.file}.svg": text for plot, text in _drawn(curves, section)}
    return files


def page(curves: Json, bench: Json) -> str:
    """The text."""
    blocks = [HEAD, *_wanted(bench), AGAIN, CURVES_HEAD]
    if curves["quick"]:
        blocks.append(QUICK)
    here = curves["machine"]
    blocks.append(
        f"{here['processor']}, {here['cores']} cores, Linux {here['kernel']}, Python {here['python']}; load before: "
        f"{here['load_before']:.1f}. Commit {_short(curves['commit'])}. ``{curves['command']}`` took {curves['seconds']:.0f} s.\n"
    )
    blocks += [f"Not measured: {what}: {why}.\n" for what, why in curves["not_measured"].items()]
    for section in SECTIONS:
        blocks += _section(curves, section)
    return "\n".join(blocks)


def _short(commit: str) -> str:
    """A hash's beginning, and what is said after it."""
    known, *more = commit.split(" ")
    return " ".join([known[:12], *more])


def _wanted(bench: Json) -> Iterator[str]:
    yield "Figures wanted\n--------------\n"
    yield from _of_which(bench)
    rows = [("Figure", "Measured", "Least to most", "Wanted", "")]
    for key, what, bound, is_more in TARGETS:
        wanted = WANTED.get(key, bound)
        if wanted is None:
            continue
        one = bench.get(key)
        asked = f"at {'least' if is_more else 'most'} {wanted:g}"
        told = f"``{key}``: {what}"
        if one is None:
            rows.append((told, "not measured", "", asked, ""))
            continue
        value = one["value"]
        met = value >= wanted if is_more else value <= wanted
        spread = "{:g} to {:g}".format(*one["spread"]) if one["spread"] else ""
        said = ("met" if met else "missed") + (", in a quick run" if one["quick"] else "")
        rows.append((told, f"{value:g}", spread, asked, said))
    yield _table(rows, (52, 12, 14, 12, 10))


def _of_which(bench: Json) -> Iterator[str]:
    yield (
        "What ``steering bench`` (``make bench``) found. Ratios are to other controllers in the same run, medians of its rounds. Several\n"
        "figures are wanted that the controller does not reach; they stand here as they were measured.\n"
    )
    for commit in sorted({one["commit"] for one in bench.values()}):
        keys = ", ".join(f"``{key}``" for key, one in bench.items() if one["commit"] == commit)
        yield f"At commit {_short(commit)}: {keys}.\n"


def _section(curves: Json, section: Section) -> Iterator[str]:
    yield f"{section.title}\n{'~' * len(section.title)}\n"
    switches, gateways = curves["network"]
    yield section.text.format(switches=f"{switches:,}", gateways=f"{gateways:,}")
    for plot, _ in _drawn(curves, section):
        yield (
            f".. figure:: {PLOTS}/{plot.file}.svg\n"
            f"   :alt: {plot.title}: the figures of the table below\n   :width: 100%\n"
        )
    yield _table(
        list(_rows(curves, section)), (10, *(90 // len(section.quantities),) * len(section.quantities))
    )
    yield "\n".join(_in_words(curves, section)) + "\n"


def least_and_most(curves: Json, quantity: Quantity) -> dict[int, tuple[float, float]]:
    """Of all passes, by size."""
    found = {}
    for size, records in curves["curves"][quantity.curve].items():
        values = [one[quantity.key] for one in records if quantity.key in one]
        if values:
            found[int(size)] = (min(values), max(values))
    return found


def _rows(curves: Json, section: Section) -> Iterator[Sequence[str]]:
    yield (
        section.sizes[0].upper() + section.sizes[1:],
        *(f"{one.heading}, {one.unit}" for one in section.quantities),
    )
    columns = [least_and_most(curves, one) for one in section.quantities]
    for size in sorted({size for column in columns for size in column}):
        yield (f"{size:,}", *(_cell(column, size) for column in columns))
    yield ("tenfold", *(_factor(tenfold(column)) for column in columns))


def _cell(column: Mapping[int, tuple[float, float]], size: int) -> str:
    if size not in column:
        return "not measured"
    least, most = column[size]
    return _number(least) if least == most else f"{_number(least)} ({_number(most)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def tenfold(column: Mapping[int, tuple[float, float]]) -> float | None:
    """What ten times the size multiplies a quantity by, between the first and the last size; None where that cannot be
    told."""
    if len(column) < 2:
        return None
    first, last = min(column), max(column)
    before, after = column[first][0], column[last][0]
    return (after / before) ** (1 / log10(last / first)) if before > 0 and after > 0 else None


def _factor(factor: float | None) -> str:
    return "" if factor is None else f"x {factor:.2f}"


def _in_words(curves: Json, section: Section) -> Iterator[str]:
    for quantity in section.quantities:
        column = least_and_most(curves, quantity)
        factor = tenfold(column)
        if factor is None:
            continue
        first, last = min(column), max(column)
        yield (
            f"* {quantity.subject} {_number(column[first][0])} {quantity.unit} at {first:,} {section.sizes} and "
            f"{_number(column[last][0])} {quantity.unit} at {last:,}: {verdict(factor, section.sizes)}."
        )


def verdict(factor: float, sizes: str) -> str:
    """A growth in words. `factor`: for ten times the size."""
    for bound, words in (
        (0.85, f"less, the more {sizes} there are"),
        (1.18, "about the same"),
        (3.0, f"it grows far slower than the number of {sizes}"),
        (8.0, f"it grows slower than the number of {sizes}"),
        (12.5, f"it grows as the number of {sizes} does"),
    ):
        if factor <= bound:
            return words
    return f"it grows faster than the number of {sizes}"


def _table(rows: Rows, widths: Sequence[int]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {' '.join(map(str, widths))}", ""]
    for row in rows:
        for place, cell in enumerate(row):
            lines.append(f"   {' ' if place else '*'} - {cell}".rstrip())
    return "\n".join(lines) + "\n"


def _drawn(curves: Json, section: Section) -> Iterator[tuple[Plot, str]]:
    """The plots of which something was measured, with their SVG."""
    for plot in section.plots:
        lines = []
        for one in plot.quantities:
            points = [(size, least) for size, (least, _) in least_and_most(curves, one).items() if least > 0]
            if points:
                lines.append(Line(one.heading, points))
        if lines:
            yield plot, drawing(plot.title, (section.axis, plot.axis), lines, plot.is_log)


def main(words: Sequence[str]) -> int:
    """0, or 1 when something is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.performance_page", description=__doc__)
    parser.add_argument("--bench", type=Path, metavar="FILE", action="append", default=[])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args(words)
    bench = json.loads((DOCS / BENCH).read_text())
    for path in args.bench:
        bench |= of_bench(json.loads(path.read_text()))
    files = generated(json.loads((DOCS / CURVES).read_text()), bench)
    there = {f"{PLOTS}/{path.name}" for path in (DOCS / PLOTS).glob("*")} | {PAGE}
    if args.check:
        wrong = [
            name for name, text in files.items() if name not in there or (DOCS / name).read_text() != text
        ]
        wrong += sorted(there - set(files))
        print("\n".join(f"docs/{name} is not what the figures say" for name in wrong) or "up to date")
        return 1 if wrong else 0
    ordered = {key: bench[key] for key, *_ in TARGETS if key in bench}
    (DOCS / BENCH).write_text(json.dumps(ordered, indent=1) + "\n")
    (DOCS / PLOTS).mkdir(exist_ok=True)
    for name in there - set(files):
        (DOCS / name).unlink()
    for name, text in files.items():
        (DOCS / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
