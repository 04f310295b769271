"""Planted identifiers, searched for on the Internet side, in logs and in what a reader may GET."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("N-7.1")
def test_nothing_planted_leaves_the_local_domain(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "privacy")
    assert_held(status, report)
