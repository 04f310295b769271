"""A rogue beside the genuine host, behind one NAT, against real kernels and switches."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.4h", "D-6.4.0")
@pytest.mark.lab("rogue-nat")
def test_a_rogue_behind_the_same_nat_is_turned_down_with_little_and_disturbs_nobody(ran: Ran) -> None:
    assert_held(ran)
    assert ran.report["figures"]["packet_ins"] >= 3 and ran.report["figures"]["forged"][-1] == "reset"
