"""A host that changes its switch within an access network keeps its pins."""

from dataclasses import replace

import pytest

from steering.core.inputs import Tick
from steering.core.network.address_claims import PATIENCE
from steering.core.outputs import RemoveEntries
from steering.core.packet_inputs import NeighbourSeen
from steering.model.network import PortRef
from tests.support.fakes.packet import ACK
from tests.support.sites import KEY, UE_LTE, UE_WLAN, Driver, join, link, off_path_site, packed, steered
from tests.support.switched import MCP_MAC, UE_MAC, Lab, to_gateway

MAC = bytes.fromhex(UE_MAC.replace(":", ""))


def two_cells():
    """The LTE network has a second port, at s2, where the WLAN is too."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=(PortRef(1, 1), PortRef(2, 7)))
    links = (*site.links, link("2:9", "3:9"))
    return replace(site, access_networks=(lte, site.access_networks[1]), links=links)


@pytest.mark.row("D-3.3a")
def test_entries_follow_a_host_to_its_new_switch_and_lead_to_the_same_mcp() -> None:
    driver = Driver(two_cells())
    session = driver.session(key=KEY)
    driver.syn(2, 1, join(UE_WLAN, 40001))
    (old,) = [e for e in session.entries(3) if e.dpid == 1]
    outputs = driver.give(NeighbourSeen(2, 7, packed(UE_LTE), MAC))
    assert steered(outputs).entries == (old._replace(dpid=2),) and steered(outputs).release is None
    assert [o.entries for o in outputs if isinstance(o, RemoveEntries)] == [(old,)]
    assert session.token >= 0 and {s.dpid for s in session.subflows} == {2}
    assert not [o for o in driver.give(NeighbourSeen(2, 7, packed(UE_LTE), MAC)) if not hasattr(o, "add")]


def test_segments_without_a_syn_reach_the_mcp_from_there() -> None:
    lab = Lab(two_cells())
    session = lab.session()
    for entry in session.entries(3):
        lab.network.switches[entry.dpid].add_entry(entry)
    lab.do(NeighbourSeen(2, 7, packed(UE_LTE), MAC))
    assert not lab.send(2, 7, to_gateway(UE_LTE, 40000, ACK)).deliveries, "its old place may still answer"
    lab.now += PATIENCE + 0.1
    lab.do(Tick())
    ((at, port, packet),) = lab.send(2, 7, to_gateway(UE_LTE, 40000, ACK)).deliveries
    assert (at, port, packet.eth_dst) == (3, 1, MCP_MAC)


def test_a_strangers_address_moves_nothing() -> None:
    driver = Driver(two_cells())
    driver.session()
    assert not [
        o for o in driver.give(NeighbourSeen(2, 7, packed("10.1.0.77"), MAC)) if hasattr(o, "entries")
    ]
    driver.engine.sessions.teardown.end(next(iter(driver.table)))
    assert driver.table.subflows_of(packed(UE_LTE)) == []
