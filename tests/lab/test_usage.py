"""Policy on live subflows on the real kernel: the modes of use and a quota."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-1.m1", "D-1.m2", "D-1.m3", "D-3.3b", "N-0.a", "N-5.6.1k3", "N-5.6.1n")
@pytest.mark.lab("usage")
def test_sessions_use_their_accesses_as_policy_says(ran: Ran) -> None:
    assert_held(ran)
    assert ran.report["figures"]["active-backup"]["waiting"] == 0


@pytest.mark.row("D-1.u2", "D-3.2b", "D-3.2d", "D-5.1f", "D-6.3e", "N-5.6.2c")
@pytest.mark.lab("access-type")
def test_access_information_and_offload_act_on_live_subflows(ran: Ran) -> None:
    assert_held(ran)
