"""Programs that nobody here wrote, through an off-path MCP."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-3.1a", "S-21")
@pytest.mark.lab("clients")
def test_debians_own_programs_use_both_accesses(ran: Ran) -> None:
    assert_held(ran)
    assert {"curl", "iperf3-up", "iperf3-down", "ssh", "scp", "git", "curl-haproxy"} <= ran.report[
        "figures"
    ].keys()
