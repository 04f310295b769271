"""The labs of draft-deng Figures 2 and 3 on the real kernel, and that their checks can fail."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, failed, run_lab, run_lab_for_rate


@pytest.mark.row("D-F3", "D-4.2c", "D-4.c", "D-4.d", "D-1.a", "D-1.b", "D-6.1b")
def test_off_path_with_steering_off_and_on(tmp_path: Path) -> None:
    status, report = run_lab_for_rate(tmp_path, "off-path")
    assert_held(status, report)
    off, on = report["figures"]["off"], report["figures"]["on"]
    assert on["goodput_mbit"] >= 1.7 * 20
    assert off["goodput_mbit"] <= 1.05 * 20
    assert on["counters"]["edge"].get("MPJoinSynRx", 0) == 0
    assert on["counters"]["core"]["MPJoinAckRx"] == on["counters"]["ue"]["MPJoinSynTx"] >= 1
    assert all(count > 1_000_000 for count in on["access_bytes"].values())


@pytest.mark.row("D-F3", "D-4.2c")
def test_off_path_over_ipv6(tmp_path: Path) -> None:
    assert_held(*run_lab_for_rate(tmp_path, "off-path-v6"))


@pytest.mark.row("D-F2", "D-4.b", "D-4.1a", "D-4.1b", "N-F1", "N-F4", "N-3.1", "S-3")
def test_on_path_serves_the_m_session_and_leaves_legacy_tcp_alone(tmp_path: Path) -> None:
    assert_held(*run_lab_for_rate(tmp_path, "on-path"))


@pytest.mark.row("D-4.c")
def test_off_path_without_steering_fails_by_its_own_checks(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "off-path", "--without", "steering", "--seconds", "3")
    assert status == 1
    assert "on: goodput over one access" in failed(report)
    assert failed(report, "kernel") and failed(report, "capture") and failed(report, "REST")


@pytest.mark.row("D-6.2c")
def test_off_path_notices_a_join_at_the_wrong_mcp(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "off-path", "--without", "wrong-mcp", "--seconds", "3")
    assert status == 1
    assert "on: joins at other MCPs" in failed(report, "kernel")
    assert "on: first segments captured at other MCPs" in failed(report, "capture")
    assert report["figures"]["on"]["counters"]["edge"]["MPJoinNoTokenFound"] >= 1
