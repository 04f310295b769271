"""Two hundred sessions with everything against them, and each protection taken away in turn."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, failed, run_lab

SHORT = ("--sessions", "60")


@pytest.mark.row("D-6.2c", "D-4.a", "D-4.c", "D-4.d", "D-6.4h")
def test_no_join_is_mispinned_and_no_steered_segment_takes_the_natural_path(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "pinning")
    assert_held(status, report)
    figures = report["figures"]
    assert figures["sessions"] == 200 and figures["natural"] >= 2000 and figures["leaked"] == 0
    assert figures["joins_held"] > 0  # joins did overtake their token


@pytest.mark.row("D-6.2c")
def test_joins_decided_anew_are_caught(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "pinning", "--without", "token-lookup", *SHORT)
    assert status == 1
    assert "mis-pinned or missing joins" in failed(report, "kernel")
    assert "joins that came to an MCP without their token" in failed(report, "kernel")
    assert "joins captured at an MCP whose key is another" in failed(report, "capture")
    assert failed(report, "REST")


@pytest.mark.row("D-6.2c")
def test_a_join_steered_to_the_wrong_mcp_is_caught(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "pinning", "--without", "wrong-mcp", *SHORT)
    assert status == 1
    assert "joins that came to an MCP without their token" in failed(report, "kernel")
    assert "joins captured at an MCP whose key is another" in failed(report, "capture")


@pytest.mark.row("D-6.2c")
def test_joins_that_overtake_their_token_are_caught_without_the_hold_queue(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "pinning", "--without", "hold-queue", *SHORT)
    assert status == 1
    assert "segments of steered 5-tuples on natural links" in failed(report, "capture")
    assert "mis-pinned or missing joins" in failed(report, "kernel")


@pytest.mark.row("D-6.2c")
def test_a_shared_megaflow_is_caught_without_un_wildcarding(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "pinning", "--without", "un-wildcarding", *SHORT)
    assert status == 1
    assert "segments of steered 5-tuples on natural links" in failed(report, "capture")
