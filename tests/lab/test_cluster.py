"""Three controllers and three members of etcd on the real kernel: joins at another owner's switch reach their session's MCP,
and what one member is told holds at all."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.7.1", "D-6.2c")
@pytest.mark.lab("cluster", "--sessions", "36")
def test_joins_at_another_owners_switch_reach_the_mcp_of_their_session(ran: Ran) -> None:
    assert_held(ran)
    assert ran.report["figures"]["sessions"] == 36
    assert all(ran.report["figures"]["pinned"].values())
