"""RADIUS, the live access list, closed ports and explicit clients, on real switches and against FreeRADIUS."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("N-5.3.0", "N-5.3a", "N-5.3b", "N-5.3d", "N-5.3f", "N-7.2d", "S-14")
@pytest.mark.lab("authorisation")
def test_who_may_is_asked_once_told_live_and_enforced_at_the_first_switch(ran: Ran) -> None:
    assert_held(ran)
