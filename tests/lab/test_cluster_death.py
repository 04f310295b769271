"""Two controllers on the real kernel: who follows the one that is killed knows every session, and changes no rule."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.7.1", "D-6.2c")
@pytest.mark.lab("cluster-death", "--sessions", "20")
def test_sessions_live_through_the_death_of_the_controller_that_decides(ran: Ran) -> None:
    assert_held(ran)
    assert ran.report["figures"]["sessions"] == 20
