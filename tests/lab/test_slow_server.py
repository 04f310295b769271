"""Servers that MPTCP makes slow, and those that are never offered it, on real kernels."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("N-5.6.1a", "N-5.6.1b", "N-5.6.1c", "N-5.6.1d", "N-5.6.1e", "N-5.6.1f", "D-3.4a", "D-5.4c")
@pytest.mark.lab("slow-server")
def test_only_the_slow_server_is_dialled_plain_and_only_for_a_time(ran: Ran) -> None:
    assert_held(ran)
