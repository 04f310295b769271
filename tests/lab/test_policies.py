"""Rules decide what real connections get: the example files one by one, and services of one customer at once."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("S-22", "D-3.2f", "D-6.5j", "D-6.5p1", "D-6.5p2", "D-6.6.3")
def test_every_example_policy_does_what_it_says(tmp_path: Path) -> None:
    assert_held(*run_lab(tmp_path, "policies"))


@pytest.mark.row("N-5.6.3a", "N-5.6.3b", "S-22", "D-3.2c")
def test_two_mcps_serve_one_customer_by_service_and_a_rule_comes_live(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "services")
    assert_held(status, report)
    assert report["figures"]["in_force_s"] < 1.0
