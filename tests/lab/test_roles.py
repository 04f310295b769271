"""Relays in their roles: a CPE's, a data centre's, and the mark by which an MCP knows what a CPE opened."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row(
    "N-5.2.2.1a", "N-5.2.2.1b", "N-5.2.2.1c", "N-5.2.2.1d", "N-5.2.2.1e", "N-F9", "N-F10", "N-5.3f"
)
@pytest.mark.lab("demux")
def test_native_mptcp_is_broken_without_demux_and_whole_with_it(ran: Ran) -> None:
    assert_held(ran)
