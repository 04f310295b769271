"""Planted identifiers, searched for on the Internet side, in logs and in what a reader may GET."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("N-7.1")
@pytest.mark.lab("privacy")
def test_nothing_planted_leaves_the_local_domain(ran: Ran) -> None:
    assert_held(ran)
