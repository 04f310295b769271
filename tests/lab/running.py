"""Runs a lab the way an operator does, by its command, and reads its JSON report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run_lab(tmp_path: Path, name: str, *options: str, seconds: float = 300) -> tuple[int, dict[str, Any]]:
    """Exit status and report of `steering lab run NAME --json FILE`; the report is {} if there is none."""
    file = tmp_path / f"{name}.json"
    command = [sys.executable, "-m", "steering", "lab", "run", name, "--json", str(file), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    print(done.stdout, done.stderr)  # pytest shows it when the test fails
    return done.returncode, json.loads(file.read_text()) if file.exists() else {}


def run_lab_for_rate(tmp_path: Path, name: str) -> tuple[int, dict[str, Any]]:
    """As `run_lab`, and once more if nothing but a rate fell short: other users of the machine cost rate, and
    nothing else that these labs check."""
    status, report = run_lab(tmp_path, name)
    if status == 1 and failed(report) and all("goodput" in check for check in failed(report)):
        status, report = run_lab(tmp_path, name)
    return status, report


def failed(report: dict[str, Any], view: str = "") -> list[str]:
    """Names of the checks that did not hold, of one view or of all."""
    return [c["name"] for c in report["checks"] if not c["held"] and (not view or c["view"] == view)]


def assert_held(status: int, report: dict[str, Any]) -> None:
    """Every check held, there were some, and each of the three views made some of them."""
    assert failed(report) == []
    assert status == 0 and report["passed"]
    assert {"kernel", "capture", "REST"} <= {check["view"] for check in report["checks"]}
