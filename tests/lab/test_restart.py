"""Restart without a database, and natural routing, on the real kernel."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.2c", "D-4.d", "D-1.m3")
@pytest.mark.lab("restart", "--seconds", "15")
def test_sessions_survive_the_controller_and_join_after_its_return(ran: Ran) -> None:
    assert_held(ran)
    assert ran.report["figures"]["sessions"] == 200


@pytest.mark.row("D-6.2c", "D-4.d")
@pytest.mark.lab("controller-loss", alone=True)
def test_without_a_controller_new_connections_pass_and_no_host_gives_up_mptcp(ran: Ran) -> None:
    assert ran.failed() == []
    assert ran.status == 0 and ran.report["passed"]
    assert {"kernel", "REST"} <= {check["view"] for check in ran.report["checks"]}


@pytest.mark.row("D-3.4b", "D-6.1a", "D-2.7")
@pytest.mark.lab("natural")
def test_natural_routing(ran: Ran) -> None:
    assert ran.failed() == []
    assert ran.status == 0 and ran.report["passed"]
