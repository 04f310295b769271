"""A rogue beside the genuine host, behind one NAT, against real kernels and switches."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("D-6.4h", "D-6.4.0")
def test_a_rogue_behind_the_same_nat_is_turned_down_with_little_and_disturbs_nobody(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "rogue-nat")
    assert_held(status, report)
    assert report["figures"]["packet_ins"] == 3 and report["figures"]["forged"][-1] == "reset"
