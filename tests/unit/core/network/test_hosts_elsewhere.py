"""A host behind another port of its network than the first: reached from everywhere, for a few rules."""

from dataclasses import replace

import pytest

from steering.core.inputs import Tick
from steering.core.outputs import SyncRules
from steering.core.packet_inputs import NeighbourSeen
from steering.model.network import PortRef, Site
from steering.model.rules import VIRTUAL_MAC
from tests.support.fakes.packet import udp
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, Driver, access, link, off_path_site, packed
from tests.support.switched import SERVER_MAC, UE_MAC, V6, WLAN_MAC, Lab

THERE = (6, 1)
MAC = bytes.fromhex(UE_MAC.replace(":", ""))


def site(edges: int = 0) -> Site:
    """The LTE network has a second port, at a switch behind s3; and there are so many more access networks, each at a
    switch of its own."""
    base = off_path_site()
    lte = replace(base.access_networks[0], ports=(PortRef(1, 1), PortRef(*THERE)))
    more = [access(f"a{n}", [PortRef(10 + n, 1)], f"10.100.{n}.0/24") for n in range(edges)]
    links = [link("6:2", "3:9"), *(link(f"{10 + n}:2", f"3:{20 + n}") for n in range(edges))]
    return replace(
        base, access_networks=(lte, base.access_networks[1], *more), links=(*base.links, *links),
        switches={f"s{n}": n for n in (*range(1, 7), *range(10, 10 + edges))},
    )  # fmt: skip


@pytest.mark.parametrize("family", [4, 6])
def test_it_is_reached_from_gateways_directly_and_from_other_accesses_past_the_first_port(
    family: int,
) -> None:
    lab = Lab(site())
    host, wlan, server = (a if family == 4 else V6[a] for a in (UE_LTE, UE_WLAN, SERVER))
    lab.do(NeighbourSeen(*THERE, packed(host), MAC))
    lab.now += 1.0  # its old place stays silent
    lab.do(Tick())
    for dpid, src, mac in ((4, server, SERVER_MAC), (2, wlan, WLAN_MAC)):
        result = lab.send(dpid, 1, udp(src, 1, host, 2, eth_src=mac, eth_dst=VIRTUAL_MAC))
        ((at, port, packet),) = result.deliveries
        assert (at, port, packet.eth_dst, packet.nw_ttl) == (*THERE, UE_MAC, 63)
        assert (1 in {hop for hop, _ in result.hops}) is (dpid == 2)


def test_a_claim_costs_no_more_where_there_are_more_access_networks() -> None:
    """It cost two rules at every edge: at a hundred of them and 500 claims a second, several processors."""
    costs = []
    for edges in (2, 40):
        driver = Driver(site(edges))
        outputs = driver.give(NeighbourSeen(*THERE, packed("10.1.0.99"), MAC))
        costs.append(sum(len(one.add) for one in outputs if isinstance(one, SyncRules)))
    assert costs[0] == costs[1] <= 2 * 3 + 3, costs
