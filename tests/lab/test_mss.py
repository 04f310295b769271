"""The segment size through a real MCP, by capture and by a router's own count of fragments."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.7.5a", "D-6.7.5b", "N-5.6.4")
@pytest.mark.lab("mss")
def test_no_fragments_on_a_narrow_path_unless_policy_says_so(ran: Ran) -> None:
    assert_held(ran)
