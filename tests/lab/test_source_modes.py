"""The six source modes on the real kernel and real switches; the control without the pools' routes is `make labs`'."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row(
    "N-5.4.1.2a", "N-5.4.1b", "N-5.4.1.3", "N-5.4.2a", "N-5.4.2.1a", "N-5.4.2.1b", "N-5.4.2.2", "N-5.4.2.3"
)
@pytest.mark.row("N-F11", "N-F12", "D-5.1a", "D-5.1c", "D-6.7.2", "N-5.6.7a")
@pytest.mark.lab("source-modes")
def test_servers_see_what_the_mode_says_and_answers_find_their_mcp(ran: Ran) -> None:
    assert_held(ran)
