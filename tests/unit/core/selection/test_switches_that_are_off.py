"""MCPs whose switch loses power, or only its connection to the controller. Links may be declared or discovered."""

import pytest

from steering.core.inputs import EntriesRead, PortStatus, SwitchDown, SwitchUp, Tick
from steering.core.selection.mcp_health import Health, McpFault
from steering.model.network import PortRef
from tests.support.probed_mcp import Probed

FAR = (PortRef(1, 2), PortRef(4, 2))  # the other ends of the links of s3, where `core` is

either = pytest.mark.parametrize("discovers", [False, True], ids=["declared", "discovered"])
lost = pytest.mark.parametrize("loses_connection", [False, True], ids=["silent", "disconnected"])


def power(lab: Probed, on: bool, loses_connection: bool = True) -> None:
    """The power of s3, and of what hangs there, goes or returns."""
    for end in FAR:
        lab.give(PortStatus(end.dpid, end.port, on))
    (lab.hosts.add if on else lab.hosts.discard)("core")
    lab.is_silent = not on and not loses_connection
    if on and loses_connection:
        lab.give(SwitchUp(3, {1: True, 2: True, 3: True}))
        lab.apply(lab.give(EntriesRead(3, [], [])))
    elif loses_connection:
        lab.give(SwitchDown(3))


def left_alone(lab: Probed) -> bool:
    return lab.site.mcps[0].id in lab.engine.sessions.aborted.left_alone


@pytest.mark.row("D-6.7.1")
@either
@lost
def test_when_a_switch_loses_power_its_mcp_is_dead_within_a_second_however_links_are_known(
    discovers: bool, loses_connection: bool
) -> None:
    lab = Probed(discovers=discovers)
    lab.pass_by(1.0)
    power(lab, False, loses_connection)
    lab.pass_by(0.75)
    assert lab.core.fault is McpFault.SWITCH_OFF and left_alone(lab), "no new session, and live ones wait"
    assert lab.state() is Health.DOWN
    lab.pass_by(0.2)
    assert lab.core.fault is McpFault.HOST_GONE and not left_alone(lab)


@pytest.mark.row("D-6.7.1")
@either
@lost
def test_a_switch_that_is_off_for_a_moment_ends_no_session_of_its_mcp(
    discovers: bool, loses_connection: bool
) -> None:
    lab = Probed(discovers=discovers)
    lab.pass_by(1.0)
    for _ in range(3):
        power(lab, False, loses_connection)
        lab.pass_by(0.7)
        assert lab.core.fault is None or left_alone(lab)
        power(lab, True, loses_connection)
        for _ in range(40):
            lab.pass_by(0.05)
            assert lab.core.fault is None or left_alone(lab)
        assert lab.core.fault is None


@either
def test_an_mcp_that_does_not_come_back_with_its_switch_is_gone(discovers: bool) -> None:
    lab = Probed(discovers=discovers)
    lab.pass_by(1.0)
    power(lab, False)
    lab.pass_by(0.7)
    power(lab, True)
    lab.hosts.discard("core")
    lab.pass_by(0.3)
    assert lab.core.fault is McpFault.SWITCH_OFF
    lab.pass_by(0.7)
    assert lab.core.fault is McpFault.HOST_GONE


@pytest.mark.row("D-6.7.1")
@either
def test_a_switch_that_only_loses_its_connection_says_nothing_of_its_mcp(discovers: bool) -> None:
    lab = Probed(discovers=discovers)
    lab.pass_by(1.0)
    lab.give(SwitchDown(3))
    lab.give(PortStatus(FAR[0].dpid, FAR[0].port, False))
    lab.pass_by(20.0)
    assert not lab.core.gone


@pytest.mark.row("D-6.7.1")
@either
def test_when_the_controller_loses_its_own_network_no_mcp_is_gone_for_a_cable_that_was_pulled_before(
    discovers: bool,
) -> None:
    lab = Probed(discovers=discovers)
    lab.pass_by(1.0)
    for end in (PortRef(2, 2), PortRef(4, 3)):  # somewhere else in the network
        lab.give(PortStatus(end.dpid, end.port, False))
    lab.pass_by(5.0)
    for dpid in range(1, 6):
        lab.give(SwitchDown(dpid))
    lab.pass_by(20.0)
    assert not lab.core.gone


@pytest.mark.row("D-6.7.1")
@lost
def test_an_mcp_that_was_dead_before_its_switch_is_off_stays_dead(loses_connection: bool) -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.hosts.discard("core")
    lab.pass_by(1.0)
    assert lab.core.fault is McpFault.HOST_GONE
    power(lab, False, loses_connection)
    for _ in range(14):
        lab.pass_by(0.05)
        assert lab.core.fault is McpFault.HOST_GONE and not left_alone(lab) and not lab.core.answers


def test_time_in_which_the_controller_was_busy_is_none_in_which_a_switch_was_off() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    power(lab, False)
    lab.pass_by(0.7)
    lab.now += 2.0
    lab.give(Tick())
    assert lab.core.fault is McpFault.SWITCH_OFF
    lab.pass_by(0.85)
    assert lab.core.fault is McpFault.HOST_GONE
