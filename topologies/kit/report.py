"""The report of a scenario: its checks, its figures, and the table for people."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """One check. `wanted` and `found` are texts for people.

    `rate`: it measures how much this machine carries, which other work on it costs. Such a check alone may be measured once
    more. A time that a user is promised is no rate, however short it is.
    """

    name: str
    held: bool
    wanted: str
    found: str
    view: str = ""
    rate: bool = False


@dataclass
class Report:
    """A scenario fills its report while it runs. Checks stay in their order."""

    scenario: str
    figure: str
    rows: tuple[str, ...]
    environment: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    table: list[list[str]] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def expect(self, name: str, held: bool, wanted: object, found: object, view: str = "") -> bool:
        """Add a check. `view` says where `found` comes from: kernel, capture or REST. Returns `held`."""
        self.checks.append(Check(name, bool(held), str(wanted), str(found), view))
        return bool(held)

    def equal(self, name: str, wanted: object, found: object, view: str = "") -> bool:
        """Add a check that two values are equal. Returns whether they are."""
        return self.expect(name, wanted == found, wanted, found, view)

    def rate(self, name: str, held: bool, wanted: object, found: object, view: str = "") -> bool:
        """Add a check that measures how much this machine carries (see `Check`). Returns `held`."""
        self.checks.append(Check(name, bool(held), str(wanted), str(found), view, rate=True))
        return bool(held)

    @property
    def failed(self) -> list[Check]:
        """Checks that did not hold."""
        return [check for check in self.checks if not check.held]

    def document(self) -> dict[str, Any]:
        """The report as JSON data: scenario, figure, rows, without, passed, seconds, environment, figures, checks."""
        return {
            "scenario": self.scenario,
            "figure": self.figure,
            "rows": list(self.rows),
            "without": self.without,
            "passed": bool(self.checks) and not self.failed,
            "seconds": round(time.monotonic() - self.started, 1),
            "environment": self.environment,
            "figures": self.figures,
            "checks": [asdict(check) for check in self.checks],
        }

    def write(self, path: str) -> None:
        """Write the document to a file, or to standard output for `-`."""
        text = json.dumps(self.document(), indent=2) + "\n"
        if path == "-":
            sys.stdout.write(text)
        else:
            Path(path).write_text(text)

    def text(self) -> str:
        """The table and the checks as text for people."""
        lines = [*columns(self.table), ""] if self.table else []
        for check in self.checks:
            mark = "held  " if check.held else "FAILED"
            seen = f" [{check.view}]" if check.view else ""
            detail = _plain(check.found)
            if not check.held:
                detail = f"wanted {_plain(check.wanted)}, found {detail}"
            lines.append(f"  {mark}  {check.name}{seen}: {detail}")
        count = len(self.checks)
        verdict = f"{count - len(self.failed)} of {count} checks held"
        return "\n".join([*lines, "", verdict])


def _plain(text: str) -> str:
    """A value as text for people: an empty list or an empty text has a word of its own."""
    return "none" if text in ("", "[]", "set()") else text


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned columns; the first is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * w for w in widths), *lines[1:]]


class Progress:
    """Prints a line for every step: a lab is so slow that silence would look like a hang."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print what begins now, with the seconds since the start."""
        if not self._quiet:
            print(f"[{time.monotonic() - self._start:5.1f} s] {text}", file=sys.stderr, flush=True)
