"""Runs the attacks of docs/security.rst, each by the tests that stand beside it, and prints a table: what was tried, what its
victims felt where a test measured it, the bound, and whether it held.

usage: python -m tests.attack.trial [--list] [--without-labs] [ATTACKER ...]    (a part of an attacker's name is enough;
without: all)

Some of the tests are labs on real kernels (root). Exit status 0: all held; 1: one did not, or could not be tried.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TEXT = ROOT / "docs" / "security.rst"
_HEADING = re.compile(r"^(?P<title>[^\n]+)\n-{3,}$", re.M)
_ROW = re.compile(r"^   \* - (.*?)(?=^   \* - |^\S|\Z)", re.M | re.S)
_TEST = re.compile(r"``([\w/]+\.py(?:::\w+)?)``")
WIDTH = 60  # characters of a column
FELT = "felt"  # the property of a test's result that says what its victims felt


@dataclass(frozen=True)
class Attack:
    """What an attacker tries, what is to become of it, and the tests (paths below tests/) that show it."""

    attacker: str
    attempt: str
    outcome: str
    tests: tuple[str, ...]


def attacks(text: str) -> list[Attack]:
    """Every row of the tables of docs/security.rst, in its order."""
    found: list[Attack] = []
    headings = [(match.end(), match["title"]) for match in _HEADING.finditer(text)]
    for place, (start, title) in enumerate(headings):
        end = headings[place + 1][0] if place + 1 < len(headings) else len(text)
        for row in _ROW.findall(text[start:end]):
            cells = re.split(r"^     - ", row, flags=re.M)
            if len(cells) == 3 and cells[0].strip() != "It tries":
                attempt, outcome = (" ".join(cell.split()) for cell in cells[:2])
                found.append(Attack(title, attempt, outcome, tuple(_TEST.findall(cells[2]))))
    return found


class Outcome(NamedTuple):
    """`lost`: tests with a failure, an error, or no result at all. `felt`: what tests say that victims felt."""

    lost: set[str]
    felt: dict[str, list[str]]


def outcome_of(tests: Sequence[str]) -> Outcome:
    """What became of tests (paths below tests/). One run of pytest."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run([*command, *(f"tests/{test}" for test in tests)], cwd=ROOT, check=False)
        if not report.exists():
            return Outcome(set(tests), {})
        return read(ElementTree.parse(report).getroot(), tests)


def read(report: ElementTree.Element, tests: Sequence[str]) -> Outcome:
    """What a report of pytest (JUnit's XML) says of tests."""
    felt: dict[str, list[str]] = {}
    good: set[str] = set()
    bad: set[str] = set()
    for case in report.iter("testcase"):
        module = case.attrib["classname"].removeprefix("tests.").replace(".", "/")
        test = f"{module}.py::{case.attrib['name'].split('[')[0]}"
        lost = any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
        (bad if lost else good).update((test, test.split("::")[0]))
        found = [p.attrib["value"] for p in case.iter("property") if p.attrib["name"] == FELT]
        felt.setdefault(test, []).extend(found)
    return Outcome({test for test in tests if test in bad or test not in good}, felt)


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; a line an attack."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack.trial", description=__doc__)
    parser.add_argument("attackers", nargs="*", metavar="ATTACKER", help="only these")
    parser.add_argument("--list", action="store_true", help="print the attacks and run nothing")
    parser.add_argument("--without-labs", action="store_true", help="leave out the tests that are labs")
    args = parser.parse_args(words)
    chosen = [
        attack
        for attack in attacks(TEXT.read_text())
        if not args.attackers or any(word.lower() in attack.attacker.lower() for word in args.attackers)
    ]
    if not chosen:
        parser.error("no such attacker; --list prints them")
    if args.list:
        for attack in chosen:
            print(f"{attack.attacker}: {attack.attempt}")
        return 0
    began = time.monotonic()
    left_out = "lab/" if args.without_labs else "/"
    wanted = [(attack, [test for test in attack.tests if not test.startswith(left_out)]) for attack in chosen]
    outcome = outcome_of(sorted({test for _, tests in wanted for test in tests}))
    failed = 0
    print(f"\n{'HELD':<8}  {'ATTACKER':<12}  {'ATTACK':<{WIDTH}}  {'BOUND':<{WIDTH}}  WHAT VICTIMS FELT")
    for attack, tests in wanted:
        held = bool(tests) and not outcome.lost.intersection(tests)
        failed += bool(tests) and not held
        word = "held" if held else "NOT HELD" if tests else "a lab"
        felt = "; ".join(one for test in tests for one in outcome.felt.get(test, ())) or "what the bound says"
        who = f"{word:<8}  {attack.attacker[:12]:<12}"
        print(f"{who}  {attack.attempt[:WIDTH]:<{WIDTH}}  {attack.outcome[:WIDTH]:<{WIDTH}}  {felt}")
    print(f"{len(wanted)} attacks, {failed} not held, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
