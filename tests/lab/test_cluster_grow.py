"""Controllers on the real kernel that join and leave: shares move with their sessions, while all kernels join on all of them."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.7.1", "D-6.2c")
@pytest.mark.lab("cluster-grow", "--sessions", "18")
def test_sessions_and_joins_go_with_their_share(ran: Ran) -> None:
    assert_held(ran)
