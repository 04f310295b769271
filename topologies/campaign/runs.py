"""Runs all labs and their negative controls, a few at a time and each isolated. Makes one table and one JSON
document.

`verdicts` says what a run shows. A lab in which only checks of rates failed is run once more, alone, and the table
says so: labs that run side by side, and other work on the machine, lower each other's rates. Any other failed check
is final.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from topologies import catalogue
from topologies.campaign import verdicts
from topologies.campaign.lab_slots import LabSlots
from topologies.kit import isolation
from topologies.kit.report import Progress, columns
from topologies.kit.scenario import Scenario

LIMIT_S = 600.0
FIGURES = (
    *(f"D-F{n}" for n in range(1, 5)),
    *(f"N-F{n}" for n in range(1, 17)),
    *(f"S-F{n}" for n in range(1, 6)),
)
FIGURE_ID = re.compile(r"^[DNS]-F\d+$")


@dataclass
class Outcome:
    """The result of one run. `verdict` is passed, failed or broken; for a control caught, missed, astray or broken.

    `figures`: what the lab measured. `rates`: those of `failed` that are rates. `first`: checks of rates that failed in the first of two
    runs. For a control, `unbroken` are the checks that should have failed and held, `strays` the checks that failed and should have held.
    """

    scenario: str
    without: str
    verdict: str
    seconds: float
    runs: int
    held: int
    checks: int
    failed: list[str]
    rates: list[str] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    unbroken: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def why(self) -> str:
        """Why the verdict is not a good one, in words."""
        told = [f"'{name}' held" for name in self.unbroken] + [f"'{name}' failed too" for name in self.strays]
        return "; ".join((told or self.failed)[:3]) or "no check failed"


class Attempts:
    """Runs of `steering lab run`, each isolated; reports, output and logs go to `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[subprocess.Popen[str]] = []
        self._ended = False
        self._begun: set[str] = set()
        directory.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, control: str) -> dict[str, Any]:
        """Run a lab once; its report as a JSON document, empty if there is none. Files of a second run end in
        `-again`."""
        if self._ended:
            return {}
        stem = f"{name}-without-{control}" if control else name
        stem += "-again" * (stem in self._begun)
        self._begun.add(stem)
        report = self._directory / f"{stem}.json"
        report.unlink(missing_ok=True)
        logs = self._directory / f"{stem}.logs"
        shutil.rmtree(logs, ignore_errors=True)
        words = [sys.executable, "-m", "steering", "lab", "run", name, "--json", str(report)]
        words += ["--without", control] if control else []
        with (self._directory / f"{stem}.txt").open("w") as output:
            running = subprocess.Popen(
                isolation.command(words, logs),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                # Ctrl-C then reaches this process alone, and this process ends the labs in order.
                start_new_session=True,
            )
            self._running.append(running)
            try:
                running.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                isolation.end(running)
            finally:
                self._running.remove(running)
        found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
        return found

    def end(self) -> None:
        """End the labs that run now, and start no further ones."""
        self._ended = True
        for running in list(self._running):
            isolation.end(running)


@dataclass
class Campaign:
    """Runs of scenarios and their results, in the catalogue's order."""

    attempts: Attempts
    say: Progress
    jobs: int = 1
    load: Callable[[str], Scenario] = catalogue.load
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._slots = LabSlots(self.jobs)

    def run(self, names: Sequence[str], with_controls: bool) -> None:
        """Run these scenarios and, if asked, their controls. KeyboardInterrupt ends the labs that run."""
        work = [(name, "") for name in names]
        if with_controls:
            work += [(name, control) for name in names for control in catalogue.load(name).controls]
        self.say(f"{len(work)} runs, {self.jobs} at a time")
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                self.outcomes = list(pool.map(lambda one: self._one(*one), work))
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                self.attempts.end()
                raise

    def _one(self, name: str, control: str) -> Outcome:
        began = time.monotonic()
        scenario = self.load(name)
        with self._slots.entered(scenario.alone):
            document = self.attempts.run(name, control)
        first: list[str] = []
        if not control and verdicts.only_rates(document):
            first = verdicts.missed(document)
            with self._slots.entered(alone=True):
                document = self.attempts.run(name, control)
        checks = document.get("checks", [])
        failed = verdicts.missed(document)
        breaks = scenario.breaks.get(control)
        verdict = verdicts.of_control(document, breaks) if control else verdicts.of_lab(document)
        outcome = Outcome(
            scenario=name,
            without=control,
            verdict=verdict.word,
            seconds=round(time.monotonic() - began, 1),
            runs=2 if first else 1,
            held=len(checks) - len(failed),
            checks=len(checks),
            failed=failed,
            rates=verdicts.rates(document),
            first=first,
            unbroken=list(verdict.held),
            strays=list(verdict.strays),
            figures=document.get("figures", {}),
        )
        title = f"{name} without {control}" if control else name
        self.say(
            f"{title}: {outcome.verdict}, {outcome.held} of {outcome.checks} checks, {outcome.seconds:.0f} s"
        )
        return outcome

    @property
    def passed(self) -> bool:
        """Whether every lab passed and every control was caught."""
        return bool(self.outcomes) and all(one.verdict in ("passed", "caught") for one in self.outcomes)

    def document(self) -> dict[str, Any]:
        """{"passed", "figures": {id: {scenario: verdict}}, "missing": [id], "runs": [Outcome]}."""
        drawn = self.figures()
        return {
            "passed": self.passed,
            "figures": drawn,
            "missing": [figure for figure in FIGURES if figure not in drawn],
            "runs": [asdict(one) for one in self.outcomes],
        }

    def figures(self) -> dict[str, dict[str, str]]:
        """Each figure of the drafts and slides that was tested: the scenarios that build it, and their verdicts."""
        drawn: dict[str, dict[str, str]] = {}
        for one in self.outcomes:
            if not one.without:
                for figure in filter(FIGURE_ID.match, catalogue.load(one.scenario).rows):
                    drawn.setdefault(figure, {})[one.scenario] = one.verdict
        return {figure: drawn[figure] for figure in FIGURES if figure in drawn}

    def text(self) -> str:
        """The table for people: figures, scenario, what it shows, its result, and the results of its controls."""
        rows = [["FIGURES", "SCENARIO", "ORACLE", "RESULT", "WITHOUT"]]
        for one in self.outcomes:
            if one.without:
                continue
            scenario = catalogue.load(one.scenario)
            drawn = " ".join(filter(FIGURE_ID.match, scenario.rows)) or "-"
            taken = [
                f"{c.without}: {c.verdict}" for c in self.outcomes if c.scenario == one.scenario and c.without
            ]
            held = f"{one.held} of {one.checks} checks"
            rows.append([drawn, one.scenario, held, one.verdict, ", ".join(taken) or "-"])
        failed = [
            f"{one.scenario}{f' without {one.without}' if one.without else ''}: {one.verdict}: {one.why()}"
            for one in self.outcomes
            if one.verdict not in ("passed", "caught")
        ]
        again = [
            f"{one.scenario}: ran once more, alone; at first: {'; '.join(one.first)}"
            for one in self.outcomes
            if one.first
        ]
        drawn_count = len(self.figures())
        return "\n".join(
            [*columns(rows), "", f"{drawn_count} of {len(FIGURES)} figures drawn", *failed, *again]
        )
