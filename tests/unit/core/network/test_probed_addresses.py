"""An MCP that has addresses of both families lives while it answers for one of them, whichever that is."""

import pytest

from steering.core.inputs import Tick
from steering.core.network.probed_addresses import ProbedAddresses
from steering.core.outputs import SendFrame
from steering.core.packet_inputs import NeighbourSeen
from steering.model.ids import WaypointId
from tests.support.sites import Driver

HERE = WaypointId(7)
FIRST, SECOND, THIRD = b"\1", b"\2", b"\3"


def asked(probed: ProbedAddresses) -> bytes:
    return probed.in_turn(HERE, {FIRST, SECOND, THIRD})[0]


def test_each_address_has_its_turn_until_one_answers_and_that_one_is_asked_while_it_does() -> None:
    probed = ProbedAddresses()
    assert [asked(probed) for _ in range(4)] == [FIRST, SECOND, THIRD, FIRST]
    for _ in range(3):
        probed.answered(HERE, SECOND)
        assert asked(probed) == SECOND
    assert asked(probed) != SECOND, "it fell silent"
    assert {asked(probed) for _ in range(3)} == {FIRST, SECOND, THIRD}
    assert probed.in_turn(HERE, {THIRD}) == [THIRD], "the site has other addresses now"
    assert probed.in_turn(HERE, ()) == []


def target(frame: bytes) -> bytes:
    """The address that an ARP request or a neighbour solicitation asks for."""
    return frame[38:42] if frame[12:14] == b"\x08\x06" else frame[62:78]


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("family", [4, 16], ids=["ipv4", "ipv6"])
def test_an_mcp_that_answers_for_one_family_alone_is_not_taken_for_dead(family: int) -> None:
    driver = Driver()
    core = driver.site.mcps[0]
    health = driver.engine.chooser.health[core.id]
    answered = 0
    for _ in range(400):
        driver.now += 0.05
        for output in driver.give(Tick()):
            if isinstance(output, SendFrame) and output.dpid == core.inside.dpid:
                address = target(output.frame)
                if len(address) == family and address in {one.packed for one in core.addresses}:
                    answered += 1
                    driver.give(NeighbourSeen(output.dpid, output.port, address, b"\2\0\0\0\0\x08"))
        assert health.fault is None or driver.now < 101.0, driver.now
    assert answered > 50
