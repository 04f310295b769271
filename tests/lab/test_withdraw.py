"""An MCP that is withdrawn from what is MPTCP at both ends, or kept there, on real kernels."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row(
    "N-5.6.1h", "N-5.6.1i", "N-5.6.1j", "N-5.6.1l", "N-5.6.1m", "N-F15", "N-F16", "D-6.1a", "N-7.1"
)
@pytest.mark.lab("withdraw")
def test_capable_pairs_are_left_to_themselves_or_keep_their_mcp(ran: Ran) -> None:
    assert_held(ran)
