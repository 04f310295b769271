"""Runs the attacks of docs/security.rst, each by the tests that stand beside it, and prints a table.

usage: python -m tests.attack.trial [--list] [ATTACKER ...]    (a part of an attacker's name is enough; without: all)

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

ROOT = Path(__file__).resolve().parents[2]
TEXT = ROOT / "docs" / "security.rst"
_HEADING = re.compile(r"^(?P<title>[^\n]+)\n-{3,}$", re.M)
_ROW = re.compile(r"^   \* - (.*?)(?=^   \* - |^\S|\Z)", re.M | re.S)
_TEST = re.compile(r"``([\w/]+\.py(?:::\w+)?)``")
WIDTH = 60


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


def failed_tests(tests: Sequence[str]) -> set[str]:
    """Of tests (paths below tests/), those with a failure, an error, or no result at all. One run of pytest."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run([*command, *(f"tests/{test}" for test in tests)], cwd=ROOT, check=False)
        if not report.exists():
            return set(tests)
        good: set[str] = set()
        bad: set[str] = set()
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            module = case.attrib["classname"].removeprefix("tests.").replace(".", "/")
            test = f"{module}.py::{case.attrib['name'].split('[')[0]}"
            lost = any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
            (bad if lost else good).update((test, test.split("::")[0]))
    return {test for test in tests if test in bad or test not in good}


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; a line an attack."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack.trial", description=__doc__)
    parser.add_argument("attackers", nargs="*", metavar="ATTACKER", help="only these")
    parser.add_argument("--list", action="store_true", help="print the attacks and run nothing")
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
    lost = failed_tests(sorted({test for attack in chosen for test in attack.tests}))
    rows = [
        (attack.attacker, attack.attempt, "held" if not lost.intersection(attack.tests) else "NOT HELD")
        for attack in chosen
    ]
    print(f"\n{'ATTACKER':<12}  {'ATTACK':<{WIDTH}}  BOUND")
    for attacker, attempt, word in rows:
        print(f"{attacker[:12]:<12}  {attempt[:WIDTH]:<{WIDTH}}  {word}")
    failed = sum(word != "held" for *_, word in rows)
    print(f"{len(rows)} attacks, {failed} not held, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
