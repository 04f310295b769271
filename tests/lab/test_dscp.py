"""DSCP through a real MCP, by capture."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("N-5.6.5a", "N-5.6.5b")
@pytest.mark.lab("dscp")
def test_dscp_is_carried_over_on_both_legs_both_ways(ran: Ran) -> None:
    assert_held(ran)
