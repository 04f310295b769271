"""Entries set ahead, with real kernels. What it is without each protection `make labs` shows."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("S-18", "D-4.d", "D-6.7.1")
@pytest.mark.lab("proactive")
def test_no_syn_waits_and_every_join_finds_its_session(ran: Ran) -> None:
    assert_held(ran)
    assert set(ran.report["figures"]["set_up_ms"]) == {"reactive", "proactive"}
