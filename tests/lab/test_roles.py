"""Relays in their roles: a CPE's, a data centre's, and the mark by which an MCP knows what a CPE opened."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row(
    "N-5.2.2.1a", "N-5.2.2.1b", "N-5.2.2.1c", "N-5.2.2.1d", "N-5.2.2.1e", "N-F9", "N-F10", "N-5.3f"
)
def test_native_mptcp_is_broken_without_demux_and_whole_with_it(tmp_path: Path) -> None:
    assert_held(*run_lab(tmp_path, "demux"))
