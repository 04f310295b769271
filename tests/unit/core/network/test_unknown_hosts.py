"""Packets to hosts that nobody has seen: each is asked for, and a scan of a whole prefix keeps nobody from an answer."""

import pytest

from steering.core.network.address_queries import QUESTIONS, QUESTIONS_EACH
from steering.core.outputs import SendFrame
from steering.core.packet_inputs import HostMissed, NeighbourSeen
from steering.model.network import PortRef
from tests.support.sites import Driver, packed

MAC = bytes.fromhex("020000000077")
FRAME = bytes(12) + b"\x08\x00" + bytes(40)


def missed(driver: Driver, place: tuple[int, int], address: str) -> list[tuple[int, int]]:
    """A packet to an address behind a port; the ports where it is asked for."""
    waypoint = driver.engine.map.attachments[PortRef(*place)].waypoint.id
    outputs = driver.give(HostMissed(place[0], waypoint, packed(address), FRAME))
    return [(one.dpid, one.port) for one in outputs if isinstance(one, SendFrame)]


@pytest.mark.parametrize(
    ("scanned", "wanted"), [((1, 1), (2, 1)), ((1, 1), (1, 1))], ids=["another port", "the same"]
)
def test_a_host_is_found_through_a_scan_of_a_whole_prefix(
    scanned: tuple[int, int], wanted: tuple[int, int]
) -> None:
    driver = Driver()
    for number in range(2, 4 * QUESTIONS):
        assert missed(driver, scanned, f"fd00:1::{number:x}") == [scanned]
    assert len(driver.engine.neighbours._queries) == QUESTIONS_EACH
    address = f"10.{wanted[0]}.0.77"
    assert missed(driver, wanted, address) == [wanted]
    for number in range(2, QUESTIONS_EACH // 2):  # the scan goes on until it answers
        missed(driver, scanned, f"fd00:1:0:0:1::{number:x}")
    answered = driver.give(NeighbourSeen(*wanted, packed(address), MAC))
    sent = [one for one in answered if isinstance(one, SendFrame) and one.frame[:6] == MAC]
    assert [(one.dpid, one.port) for one in sent] == [wanted]
