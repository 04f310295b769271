"""Reservations on real links: the lab as a whole."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab_for_rate


@pytest.mark.row("D-6.4g")
def test_a_session_keeps_its_reserved_rate_for_its_lease(tmp_path: Path) -> None:
    status, report = run_lab_for_rate(tmp_path, "reservation")
    assert_held(status, report)
    assert report["figures"]["within_mbit"] >= 10 > 7 >= report["figures"]["before_mbit"]
