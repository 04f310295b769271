"""Restart without a database, and natural routing, on the real kernel."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, failed, run_lab


@pytest.mark.row("D-6.2c", "D-4.d", "D-1.m3")
def test_sessions_survive_the_controller_and_join_after_its_return(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "restart", "--seconds", "15")
    assert_held(status, report)
    assert report["figures"]["sessions"] == 200


@pytest.mark.row("D-3.4b", "D-6.1a", "D-2.7")
def test_natural_routing(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "natural")
    assert failed(report) == []
    assert status == 0 and report["passed"]
