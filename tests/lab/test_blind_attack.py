"""A neighbour that speaks in a victim's name, against real kernels and switches."""

from collections.abc import Callable

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.4h", "N-7.2c")
@pytest.mark.lab("blind-attack")
def test_a_hundred_sessions_do_not_notice_a_neighbour_that_speaks_in_their_name(
    ran: Ran, record_property: Callable[[str, object], None]
) -> None:
    lost = ran.report["figures"]["lost"]
    record_property("felt", f"{sum(lost.values())} of 100 sessions lost")
    assert len(lost) == 7
    assert_held(ran)
