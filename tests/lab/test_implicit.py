"""Implicit mode on real kernels: ADD_ADDR, the C flag, and what hosts do with them."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("N-5.2.2b", "N-5.2.2c", "N-5.2.2d", "N-5.2.2e", "N-F7", "N-F8")
@pytest.mark.lab("implicit")
def test_later_subflows_go_to_the_mcps_own_address(ran: Ran) -> None:
    assert_held(ran)
