"""Servers that MPTCP makes slow, and those that are never offered it, on real kernels."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("N-5.6.1a", "N-5.6.1b", "N-5.6.1c", "N-5.6.1d", "N-5.6.1e", "N-5.6.1f", "D-3.4a", "D-5.4c")
def test_only_the_slow_server_is_dialled_plain_and_only_for_a_time(tmp_path: Path) -> None:
    assert_held(*run_lab(tmp_path, "slow-server"))
