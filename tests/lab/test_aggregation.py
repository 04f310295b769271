"""The labs of draft-deng Figures 2 and 3 on the real kernel, and that their checks can fail."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-F3", "D-4.2c", "D-4.c", "D-4.d", "D-1.a", "D-1.b", "D-6.1b")
@pytest.mark.lab("off-path")
def test_off_path_with_steering_off_and_on(ran: Ran) -> None:
    assert_held(ran)
    off, on = ran.report["figures"]["off"], ran.report["figures"]["on"]
    assert on["goodput_mbit"] >= 1.7 * 20
    assert off["goodput_mbit"] <= 1.05 * 20
    assert on["counters"]["edge"].get("MPJoinSynRx", 0) == 0
    assert on["counters"]["core"]["MPJoinAckRx"] == on["counters"]["ue"]["MPJoinSynTx"] >= 1
    assert all(count > 1_000_000 for count in on["access_bytes"].values())


@pytest.mark.row("D-F3", "D-4.2c")
@pytest.mark.lab("off-path-v6")
def test_off_path_over_ipv6(ran: Ran) -> None:
    assert_held(ran)


@pytest.mark.row("D-F2", "D-4.b", "D-4.1a", "D-4.1b", "N-F1", "N-F4", "N-3.1", "S-3")
@pytest.mark.lab("on-path")
def test_on_path_serves_the_m_session_and_leaves_legacy_tcp_alone(ran: Ran) -> None:
    assert_held(ran)


@pytest.mark.row("D-4.c")
@pytest.mark.lab("off-path", "--without", "steering", "--seconds", "3")
def test_off_path_without_steering_fails_by_its_own_checks(ran: Ran) -> None:
    assert ran.status == 1
    assert "on: goodput over one access" in ran.failed()
    assert ran.failed("kernel") and ran.failed("capture") and ran.failed("REST")


@pytest.mark.row("D-6.2c")
@pytest.mark.lab("off-path", "--without", "wrong-mcp", "--seconds", "3")
def test_off_path_notices_a_join_at_the_wrong_mcp(ran: Ran) -> None:
    assert ran.status == 1
    assert "on: joins at other MCPs" in ran.failed("kernel")
    assert "on: first segments captured at other MCPs" in ran.failed("capture")
    assert ran.report["figures"]["on"]["counters"]["edge"]["MPJoinNoTokenFound"] >= 1
