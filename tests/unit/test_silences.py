"""docs/silences.rst is made of reports of labs, and of nothing else."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from topologies import catalogue
from topologies.campaign.runs import Attempts, Campaign, Outcome
from topologies.kit.report import Progress, Report

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("silences", ROOT / "packaging" / "silences.py")
assert _spec is not None and _spec.loader is not None
silences = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(silences)

FIGURES = {
    "core, carrier": {"longest_silence_s": 0.0512, "told_of_an_error": False},
    "core, silent": {"longest_silence_s": 2.5, "told_of_an_error": True},
    "another": {"goodput_mbit": 3.0},
    "untouched": {"longest_silence_s": None, "told_of_an_error": False},
    "count": 7,
}
LAB = {"scenario": "link-loss", "without": [], "figures": FIGURES}


def test_the_page_is_what_its_figures_say():
    words = [sys.executable, "packaging/silences.py", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run python packaging/silences.py: {done.stdout}{done.stderr}"


def test_each_lab_on_the_page_is_a_lab():
    known = {scenario.name for scenario in catalogue.all_of_them()}
    told = json.loads(silences.FIGURES.read_text())
    assert set(told) == set(silences.LABS) <= known and all(told.values())


def of_a_lab(where: Path) -> Path:
    """What `steering lab run --json` writes."""
    report = Report("link-loss", "docs/failover.rst", (), figures=FIGURES)
    report.write(str(where))
    return where


def of_a_campaign(where: Path) -> Path:
    """What `steering lab all --json` writes: the lab, and a control of it that is left out."""
    campaign = Campaign(Attempts(where.parent / "labs"), Progress(quiet=True))
    run = Outcome(
        scenario="link-loss", without="", verdict="passed", seconds=1.0, runs=1, held=1, checks=1, failed=[], first=[],
        unbroken=[], strays=[], figures=FIGURES,
    )  # fmt: skip
    campaign.outcomes = [run, replace(run, without="failover", figures={"count": 7})]
    where.write_text(json.dumps(campaign.document()))
    return where


@pytest.mark.parametrize("written", [of_a_lab, of_a_campaign])
def test_a_labs_report_and_a_campaigns_give_the_same_rows(written, tmp_path):
    found = silences.of_reports([json.loads(written(tmp_path / "report.json").read_text())])
    assert found == {
        "link-loss": {
            "core, carrier": {"silence_s": 0.0512, "told": False},
            "core, silent": {"silence_s": 2.5, "told": True},
        }
    }
    shown = silences.page(found)
    assert "   * - core, carrier\n     - 51 ms\n     - no\n" in shown
    assert "   * - core, silent\n     - 2.50 s\n     - yes\n" in shown


def test_controls_and_other_labs_are_left_out_and_a_lab_without_a_silence_is_refused():
    control, other = LAB | {"without": ["bfd"]}, LAB | {"scenario": "off-path"}
    assert silences.of_reports([control, {"runs": [other | {"without": ""}]}]) == {}
    with pytest.raises(ValueError, match="link-loss"):
        silences.of_reports([LAB | {"figures": {"count": 7}}])
