"""Labs that tests asked for, run a few at a time before the tests that judge them come up.

Labs mostly wait. Each runs as an operator runs it, by `steering lab run`, in namespaces and with an Open vSwitch
of its own (topologies/kit/isolation.py). They start in the order of their tests, so that a test waits for its own
lab and for nothing that comes after it.
"""

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from tests.lab.running import ROOT, Ran
from topologies.campaign.lab_slots import LabSlots
from topologies.campaign.verdicts import only_rates
from topologies.kit import isolation

LIMIT_S = 400.0  # of one lab; the longest take a minute, and one may run twice within a test's limit


class Wanted(NamedTuple):
    """What follows `steering lab run`, and whether nothing else may run beside it."""

    words: tuple[str, ...]
    alone: bool = False

    @classmethod
    def by(cls, item: pytest.Item) -> "Wanted | None":
        """What a test's marker `lab` says."""
        marker = item.get_closest_marker("lab")
        return cls(marker.args, **marker.kwargs) if marker else None


class Pool:
    """Reports and output go to `directory`. `end` has to be called; nothing runs before `allow`."""

    def __init__(self, directory: Path, jobs: int) -> None:
        self._directory = directory
        self._threads = ThreadPoolExecutor(jobs, "lab")
        self._slots = LabSlots(0)
        self._runs: dict[Wanted, Future[Ran]] = {}
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False
        self._allowed = 0
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, wanted: Iterable[Wanted]) -> None:
        """Run these in this order; what two tests want runs once."""
        for one in wanted:
            if one not in self._runs:
                self._runs[one] = self._threads.submit(self._run, one.words, one.alone)

    def allow(self, most: int) -> None:
        """Labs at a time from now on, at most `jobs`; with 0 this waits until none runs."""
        if most != self._allowed:
            self._allowed = most
            self._slots.allow(most)

    def result(self, one: Wanted) -> Ran:
        """Wait for a lab that was started. One that missed nothing but rates runs once more, alone, and the run's
        summary says so: two labs and whoever else is on the machine cost rate. What else is missed is a failure."""
        ran = self._runs[one].result()
        if only_rates(ran.report) and "--without" not in one.words:
            warnings.warn(f"{' '.join(one.words)} ran once more, alone; first: {ran.failed()}", stacklevel=1)
            again = self._run(one.words, alone=True)
            again.said = f"{ran.said}\n--- once more, alone ---\n{again.said}"
            return again
        return ran

    def end(self) -> None:
        """End what runs, run nothing more."""
        self._ended = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._slots.allow(1)  # who waits at them finds that all is over
        for running in list(self._running):
            isolation.end(running)
        self._threads.shutdown()

    def _run(self, words: tuple[str, ...], alone: bool) -> Ran:
        with self._slots.entered(alone):
            return self._do(words)

    def _do(self, words: tuple[str, ...]) -> Ran:
        self._count += 1
        stem = self._directory / f"{self._count}-{words[0]}"
        report = stem.with_suffix(".json")
        command = [sys.executable, "-m", "steering", "lab", "run", *words, "--json", str(report)]
        began = time.monotonic()
        with stem.with_suffix(".txt").open("w+") as output:
            if self._ended:
                return Ran(-1, {}, "not run: the tests have ended", 0.0)
            running = subprocess.Popen(
                isolation.command(command, stem.with_suffix(".logs")),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C reaches pytest alone, which then ends them in order
            )
            self._running.add(running)
            try:
                running.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                isolation.end(running)
                output.write(f"\nended after {LIMIT_S:.0f} s\n")
            finally:
                self._running.discard(running)
            output.flush()
            output.seek(0)
            said = output.read()
        found = json.loads(report.read_text()) if report.exists() else {}
        return Ran(running.returncode, found, said, time.monotonic() - began)


POOL = pytest.StashKey[Pool]()
