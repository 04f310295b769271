"""Relays in their roles: a CPE's, a data centre's, and the mark by which an MCP knows what a CPE opened."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab, run_lab_for_rate


@pytest.mark.row(
    "D-1.c", "D-F1", "D-5.4a", "N-3.3", "N-4.2a", "N-F3", "N-F5", "S-2", "S-6", "S-17a", "S-21", "S-F2"
)
def test_a_home_with_dsl_and_lte_and_the_networks_mcp_off_path(tmp_path: Path) -> None:
    status, report = run_lab_for_rate(tmp_path, "hybrid-access")
    assert_held(status, report)
    assert report["figures"]["cpe_rss_mib"] <= 40


@pytest.mark.row(
    "N-5.2.2.1a", "N-5.2.2.1b", "N-5.2.2.1c", "N-5.2.2.1d", "N-5.2.2.1e", "N-F9", "N-F10", "N-5.3f"
)
def test_native_mptcp_is_broken_without_demux_and_whole_with_it(tmp_path: Path) -> None:
    assert_held(*run_lab(tmp_path, "demux"))
