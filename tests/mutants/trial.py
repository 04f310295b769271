"""Tries changes that must make a test fail, each in a copy of the tree, and prints those that none noticed.

usage: python -m tests.mutants.trial [--list] [NAME ...]    (a part of a name is enough; without one: all)

Exit status 0: every change made a test fail; 1: one survived, or could not be tried.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).with_name("mutants.toml")
COPIED = ("steering", "tests", "topologies", "policies", "packaging", "docs", "setup.cfg", "pyproject.toml")
SECONDS = 600
TESTS_FAILED = 1  # pytest's exit status; others say that the tests could not run


class Untried(RuntimeError):
    """A change that cannot be tried: its place is gone, or its tests did not run."""


@dataclass(frozen=True)
class Mutant:
    """A change that some test must notice. `old` stands once in `file`; `tests` are paths for pytest."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def changed(self, text: str) -> str:
        """The file's text with the change. Raises Untried unless `old` stands in it exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise Untried(f"{self.name}: its old text stands {found} times in {self.file}")
        return text.replace(self.old, self.new)


def kept() -> list[Mutant]:
    """The kept list, in its order."""
    rows = tomllib.loads(KEPT.read_text())["mutant"]
    return [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def survives(mutant: Mutant) -> bool:
    """Whether no test of the mutant's fails. Raises Untried where the tests did not run to an end."""
    with tempfile.TemporaryDirectory(prefix="steering-mutant-") as name:
        copy = Path(name)
        for part in COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        path = copy / mutant.file
        path.write_text(mutant.changed(path.read_text()))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests]
        environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    if done.returncode not in (0, TESTS_FAILED):
        raise Untried(
            f"{mutant.name}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-500:]}"
        )
    return done.returncode == 0


def main(words: Sequence[str] | None = None) -> int:
    """Try the mutants that are named, a line each."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.trial", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only those whose name has this in it")
    parser.add_argument("--list", action="store_true", help="print the names and try nothing")
    args = parser.parse_args(words)
    chosen = [m for m in kept() if not args.names or any(name in m.name for name in args.names)]
    if not chosen:
        parser.error("no such mutant; --list prints their names")
    failed = 0
    for place, mutant in enumerate(chosen, 1):
        if args.list:
            print(mutant.name)
            continue
        began = time.monotonic()
        try:
            word = "SURVIVED" if survives(mutant) else "noticed"
        except (Untried, subprocess.TimeoutExpired) as error:
            word = f"NOT TRIED ({error})"
        failed += word != "noticed"
        print(f"[{place}/{len(chosen)}] {mutant.name}: {word}, {time.monotonic() - began:.0f} s", flush=True)
    if not args.list:
        print(f"{len(chosen)} tried, {failed} not noticed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
