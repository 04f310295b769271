"""All labs and their controls in one table: what counts as caught, missed and broken, and that labs are isolated."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.running import ROOT
from topologies import catalogue
from topologies.campaign.runs import Attempts, Campaign
from topologies.kit.report import Progress
from topologies.kit.scenario import Breaks

CONTROLS = ("steering", "wrong-mcp")  # of off-path


def document(*failed: str) -> dict[str, Any]:
    """A report in which these checks failed; those of goodput are rates."""
    checks = [{"name": name, "held": False, "rate": "goodput" in name} for name in failed]
    return {"passed": not failed, "checks": [*checks, {"name": "another", "held": True, "rate": False}]}


class Told(Attempts):
    """Answers that were written down before."""

    def __init__(self, directory: Path, answers: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
        super().__init__(directory)
        self._answers = answers

    def run(self, name: str, control: str) -> dict[str, Any]:
        return self._answers[name, control].pop(0)


def campaign(tmp_path: Path, lab: list[dict[str, Any]], control: dict[str, Any]) -> Campaign:
    told = Told(
        tmp_path,
        {("off-path", ""): lab, ("off-path", "steering"): [control], ("off-path", "wrong-mcp"): [control]},
    )
    breaks = {name: Breaks(frozenset({"joins completed"}), frozenset({"a moment"})) for name in CONTROLS}
    done = Campaign(
        told, Progress(quiet=True), load=lambda name: replace(catalogue.load(name), breaks=breaks)
    )
    done.run(["off-path"], with_controls=True)
    return done


def test_a_control_that_fails_a_check_is_caught_and_the_figure_is_drawn(tmp_path: Path) -> None:
    done = campaign(tmp_path, [document()], document("joins completed"))
    assert done.passed
    assert [one.verdict for one in done.outcomes] == ["passed", "caught", "caught"]
    assert done.figures()["D-F3"] == {"off-path": "passed"}
    assert "N-F9" in done.document()["missing"]


def test_a_control_that_fails_nothing_is_missed(tmp_path: Path) -> None:
    done = campaign(tmp_path, [document()], document())
    assert not done.passed
    assert "off-path without steering: missed: 'joins completed' held" in done.text()


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        (["joins completed"], "caught"),
        (["joins completed", "a moment"], "caught"),
        (["joins completed", "on: goodput over one access"], "caught"),
        (["joins completed", "bytes on each leg"], "astray"),
        (["joins completed", "all are told within a second"], "astray"),
        (["a moment"], "missed"),
        (["bytes on each leg"], "missed"),
        (["on: goodput over one access"], "missed"),
    ],
)
def test_a_control_has_to_fail_the_checks_that_its_scenario_names_and_no_other(
    tmp_path: Path, failed: list[str], verdict: str
) -> None:
    done = campaign(tmp_path, [document()], document(*failed))
    assert [one.verdict for one in done.outcomes[1:]] == [verdict] * 2
    assert done.passed == (verdict == "caught")
    if verdict == "astray":
        assert f"off-path without wrong-mcp: astray: '{failed[-1]}' failed too" in done.text()


def test_a_run_that_broke_proves_nothing(tmp_path: Path) -> None:
    for broken in ({}, document("the lab itself works")):
        done = campaign(tmp_path, [document()], broken)
        assert not done.passed and done.outcomes[1].verdict == "broken"


def test_a_rate_alone_is_measured_once_more_and_the_table_says_so(tmp_path: Path) -> None:
    again = campaign(
        tmp_path, [document("on: goodput over one access"), document()], document("joins completed")
    )
    assert again.passed and again.outcomes[0].runs == 2
    assert "off-path: ran once more, alone; at first: on: goodput over one access" in again.text()
    assert again.outcomes[1].rates == []
    slow = [document("on: goodput"), document("on: goodput")]
    twice = campaign(tmp_path, slow, document("joins completed"))
    assert twice.outcomes[0].verdict == "failed" and not twice.passed
    assert twice.outcomes[0].rates == ["on: goodput"]
    for missed in (
        ["joins completed"],
        ["on: goodput", "joins completed"],
        ["the lab itself works"],
        ["all are told within a second"],
    ):
        other = campaign(tmp_path, [document(*missed)], document("joins completed"))
        assert not other.passed and other.outcomes[0].runs == 1


def test_nothing_runs_beside_a_second_run_or_a_lab_that_is_alone(tmp_path: Path) -> None:
    inside: list[str] = []
    beside: dict[str, set[str]] = {}

    class Slow(Attempts):
        def run(self, name: str, control: str) -> dict[str, Any]:
            run = f"{name} again" if name in beside else name
            inside.append(run)
            beside[run] = set()
            limit = time.monotonic() + 30  # for the second of those that may run beside the first to begin
            while run == "off-path" and len(inside) < 2 and time.monotonic() < limit:
                time.sleep(0.02)
            for _ in range(10):
                beside[run] |= set(inside)
                time.sleep(0.02)
            inside.remove(run)
            return document("goodput") if run == "on-path" else document()

    done = Campaign(Slow(tmp_path), Progress(quiet=True), jobs=3)
    done.run(["off-path", "on-path", "flood", "natural", "dscp"], with_controls=False)
    assert done.passed
    assert beside["off-path"] > {"off-path"}  # those that may do run at a time
    assert beside["flood"] == {"flood"} and beside["on-path again"] == {"on-path again"}


def test_a_lab_of_a_campaign_is_isolated_and_its_interruption_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steering", "lab", "all", "off-path", "--keep", str(tmp_path)]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    text = tmp_path / "off-path.txt"
    limit = time.monotonic() + 240
    while not (text.exists() and "upload of" in text.read_text()) and time.monotonic() < limit:
        time.sleep(0.2)
    assert "upload of" in text.read_text()
    assert not list(Path("/sys/class/net").glob("st-lab-*"))  # its bridges are in a namespace of its own
    inside = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert len(inside.stdout.split()) > 1
    running.send_signal(signal.SIGINT)
    assert running.wait(240) == 130
    assert running.stderr is not None and "taken down" in running.stderr.read()
    assert "interrupted; everything is taken down" in text.read_text()
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert left.stdout.split() == []


def test_bad_usage_is_one_line(tmp_path: Path) -> None:
    for words, says in ((["off-pth"], "did you mean 'off-path'?"), (["off-path", "--jobs", "0"], "--jobs")):
        command = [sys.executable, "-m", "steering", "lab", "all", *words, "--json", str(tmp_path / "x")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and says in done.stderr and len(done.stderr.splitlines()) == 1
