"""Implicit mode on real kernels: ADD_ADDR, the C flag, and what hosts do with them."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab_for_rate


@pytest.mark.row("N-5.2.2b", "N-5.2.2c", "N-5.2.2d", "N-5.2.2e", "N-F7", "N-F8")
def test_later_subflows_go_to_the_mcps_own_address(tmp_path: Path) -> None:
    assert_held(*run_lab_for_rate(tmp_path, "implicit"))
