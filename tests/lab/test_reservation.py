"""Reservations on real links: the lab as a whole."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.4g")
@pytest.mark.lab("reservation", alone=True)
def test_a_session_keeps_its_reserved_rate_for_its_lease(ran: Ran) -> None:
    assert_held(ran)
    assert ran.report["figures"]["within_mbit"] >= 10 > 7 >= ran.report["figures"]["before_mbit"]
