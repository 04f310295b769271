"""A next hop with a link-local address is asked for, learned and used at the port that the site file names."""

from dataclasses import replace
from ipaddress import ip_address

from steering.core.outputs import SendFrame
from steering.core.packet_inputs import NeighbourSeen
from steering.model.network import PortRef
from tests.support.sites import UE_LTE, off_path_site, packed
from tests.support.switched import Lab, to_gateway

ROUTER, ROUTER_MAC = ip_address("fe80::1%s4:1"), "02:00:00:00:0f:01"
V6 = {UE_LTE: "fd00:1::2"}


def lab(port: int) -> Lab:
    site = off_path_site()
    gateway = replace(site.gateways[0], link_hops=((PortRef(4, port), ROUTER),))
    return Lab(replace(site, gateways=(gateway,)))


def test_it_is_asked_for_and_all_traffic_goes_to_it() -> None:
    made = lab(1)
    asked = [o for o in made.later(2.0) if isinstance(o, SendFrame) and (o.dpid, o.port) == (4, 1)]
    assert any(ROUTER.packed in one.frame for one in asked)
    made.do(NeighbourSeen(4, 1, ROUTER.packed, bytes.fromhex(ROUTER_MAC.replace(":", ""))))
    (out,) = made.send(1, 1, to_gateway(V6[UE_LTE], 40_000, dst="fd00:9::77")).deliveries
    assert (out.dpid, out.port) == (4, 1) and out.packet.eth_dst == ROUTER_MAC


def test_at_another_port_the_same_address_is_nobodys() -> None:
    made = lab(9)
    made.do(NeighbourSeen(4, 1, packed("fe80::1"), bytes.fromhex(ROUTER_MAC.replace(":", ""))))
    assert not made.send(1, 1, to_gateway(V6[UE_LTE], 40_000, dst="fd00:9::77")).deliveries
