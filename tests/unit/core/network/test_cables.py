"""Which switches are off, as the carrier at their neighbours' ports shows it."""

import pytest

from steering.core.network.cables import Cables
from steering.core.network.switch import Switch, Switches
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef


def port(dpid: int, number: int) -> PortRef:
    return PortRef(DatapathId(dpid), PortNumber(number))


class Ring:
    """Switches 1 to `size`; port 2 of each leads to port 1 of the next one."""

    def __init__(self, size: int) -> None:
        self.switches = Switches()
        self.elsewhere = False
        self.cables = Cables(self.switches, lambda dpid: self.elsewhere)
        self.size = size
        for dpid in range(1, size + 1):
            self.switches[DatapathId(dpid)] = one = Switch()
            one.connected, one.fills, one.ports = True, 1, {PortNumber(1): True, PortNumber(2): True}
            self.cables.lay(port(dpid, 2), port(dpid % size + 1, 1))

    def disconnect(self, *dpids: int) -> None:
        for dpid in dpids:
            self.switches[DatapathId(dpid)].connected = False

    def carrier(self, dpid: int, number: int, up: bool) -> None:
        self.switches[DatapathId(dpid)].ports[PortNumber(number)] = up

    def off(self, *dpids: int) -> None:
        self.disconnect(*dpids)
        for dpid in dpids:
            for neighbour, number in ((dpid % self.size + 1, 1), ((dpid - 2) % self.size + 1, 2)):
                if self.switches.is_connected(DatapathId(neighbour)):
                    self.carrier(neighbour, number, False)

    def are_off(self, *dpids: int) -> list[bool]:
        return [self.cables.is_off(DatapathId(dpid)) for dpid in dpids]


def test_a_switch_is_off_when_no_neighbour_has_carrier() -> None:
    ring = Ring(5)
    ring.off(3)
    assert ring.are_off(2, 3, 4) == [False, True, False]
    ring.carrier(4, 1, True)
    assert ring.are_off(3) == [False]


def test_switches_that_lose_power_together_are_all_off() -> None:
    ring = Ring(6)
    ring.off(3, 4)
    assert ring.are_off(2, 3, 4, 5) == [False, True, True, False]


def test_where_connections_alone_are_lost_nobody_is_off() -> None:
    ring = Ring(5)
    ring.disconnect(*range(1, 6))
    assert not any(ring.are_off(*range(1, 6)))


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("pulled", [(2,), (2, 4)])
def test_where_connections_are_lost_a_cable_that_was_pulled_before_tells_nothing(
    pulled: tuple[int, ...],
) -> None:
    ring = Ring(5)
    for dpid in pulled:
        ring.carrier(dpid, 2, False)
        ring.carrier(dpid + 1, 1, False)
    for dpid in range(1, 6):
        ring.disconnect(dpid)
    assert not any(ring.are_off(*range(1, 6))), "the controller has lost its own network"


def test_what_another_controllers_switch_sees_counts() -> None:
    ring = Ring(3)
    ring.off(2)
    ring.disconnect(1, 3)
    ring.elsewhere = True
    assert ring.are_off(2) == [True]


def test_a_neighbour_that_has_lost_its_connection_may_forward() -> None:
    ring = Ring(6)
    ring.disconnect(3, 4)
    ring.carrier(2, 2, False)  # the cable between 2 and 3 was pulled
    assert ring.are_off(3, 4) == [False, False]


def test_when_a_controller_starts_who_has_not_come_yet_is_not_off() -> None:
    ring = Ring(6)
    for dpid in range(2, 7):
        ring.switches[DatapathId(dpid)].connected, ring.switches[DatapathId(dpid)].fills = False, 0
    ring.carrier(1, 1, False)
    ring.carrier(1, 2, False)
    assert ring.are_off(*range(2, 7)) == [False] * 5, "1 came first, and its cables are pulled"
    ring.switches[DatapathId(3)].connected = True
    ring.carrier(3, 1, False)
    assert ring.are_off(2) == [True], "both neighbours are here, and see no carrier"


def test_a_neighbour_that_may_be_connected_elsewhere_is_on() -> None:
    ring = Ring(6)
    ring.off(3, 4)
    ring.elsewhere = True
    assert ring.are_off(3) == [False]


def test_a_cable_that_is_put_elsewhere_is_no_longer_where_it_was() -> None:
    ring = Ring(4)
    ring.cables.lay(port(3, 2), port(1, 3))
    ring.carrier(1, 3, True)
    ring.disconnect(4)
    ring.carrier(1, 1, False)
    assert ring.are_off(4) == [True], "3 is no neighbour of 4 any more, and has carrier at its port"
    ring.disconnect(3)
    ring.carrier(2, 2, False)
    assert ring.are_off(3) == [False], "there is carrier where its cable leads now"


def test_a_switch_without_known_cables_is_never_off() -> None:
    assert not Ring(3).cables.is_off(DatapathId(9))
