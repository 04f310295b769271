"""A narrow link behind the gateway: ICMP errors about an MCP's legs reach that MCP, on real kernels."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("N-5.6.4", "D-6.7.5a", "N-5.4.1b")
@pytest.mark.lab("path-mtu")
def test_uploads_go_on_where_a_router_says_what_does_not_fit(ran: Ran) -> None:
    assert_held(ran)
    streams = [figures for figures in ran.report["figures"].values() if "longest_silence_s" in figures]
    assert len(streams) == 4
    assert not any(one["told_of_an_error"] for one in streams)
