"""Copies of SYN/ACKs, FINs and resets have meters of their own for each access network: a busy one takes none of
another's."""

import pytest

from steering.core.outputs import FillSwitch
from steering.model.rules import Meter, PacketClass, Rule, ToController, access_meter, port_meter
from tests.support.fakes.packet import ACK, FIN, RST, SYN
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, Driver
from tests.support.switched import MCP_MAC, SERVER_MAC, UE_MAC, Lab, to_gateway

COPIED = (PacketClass.SYN_ACK, PacketClass.FIN)


def copying(fill: FillSwitch) -> list[Rule]:
    return [rule for rule in fill.admission if rule.cookie & 0xFFFF_FFFF in COPIED]


def meters_of(rules: list[Rule], what: PacketClass, **fields: object) -> set[int]:
    """Meters of the copies of a class that match these fields."""
    return {
        action.meter
        for rule in rules
        if rule.cookie & 0xFFFF_FFFF == what and fields.items() <= dict(rule.match).items()
        for action in rule.actions
        if isinstance(action, ToController)
    }


@pytest.mark.row("N-7.2c")
def test_each_access_network_has_meters_of_its_own_at_mcps_and_gateways() -> None:
    fills = Driver().fills
    networks = (("10.1.0.0", "fd00:1::"), ("10.2.0.0", "fd00:2::"))
    for dpid in (3, 5):
        rules = copying(fills[dpid])
        for number, (v4, v6) in enumerate(networks):
            for to in ({"ipv4_dst": (v4, "255.255.255.0")}, {"ipv6_dst": (v6, "ffff:ffff:ffff:ffff::")}):
                assert meters_of(rules, PacketClass.SYN_ACK, **to) == {
                    access_meter(Meter.SYN_ACK_BASE, number)
                }
                assert meters_of(rules, PacketClass.FIN, **to) == {access_meter(Meter.FIN_BASE, number)}
            leg = {"ipv4_src": (v4, "255.255.255.0")}  # an MCP's leg towards a server
            assert meters_of(rules, PacketClass.FIN, **leg) == {access_meter(Meter.FIN_BASE, number)}
    rules = copying(fills[4])
    for number, (v4, _) in enumerate(networks):
        to = {"ipv4_dst": (v4, "255.255.255.0")}
        assert meters_of(rules, PacketClass.FIN, **to) == {access_meter(Meter.FIN_BASE, number)}


def test_hosts_share_only_with_those_of_their_port() -> None:
    fills = Driver().fills
    assert meters_of(copying(fills[1]), PacketClass.FIN) == {port_meter(Meter.FIN_PORT_BASE, 1)}


def test_every_meter_that_a_copy_goes_through_is_there() -> None:
    for fill in Driver().fills.values():
        used = {a.meter for rule in fill.admission for a in rule.actions if isinstance(a, ToController)}
        assert used <= {band.meter for band in fill.meters}


@pytest.mark.parametrize("flags", [FIN | ACK, RST | ACK])
def test_what_goes_to_hosts_and_from_them_is_copied_once_and_goes_on(flags: int) -> None:
    lab = Lab()
    for number, (host, dpid) in enumerate(((UE_LTE, 1), (UE_WLAN, 2))):
        sent = lab.send(3, 1, to_gateway(SERVER, 5201, flags, host, MCP_MAC))
        assert [one.dpid for one in sent.copies] == [3] and sent.deliveries[0][0] == dpid, number
        sent = lab.send(3, 1, to_gateway(host, 40_000, flags, SERVER, MCP_MAC))
        assert [one.dpid for one in sent.copies] == [3] and sent.deliveries[0][0] == 4
        sent = lab.send(4, 1, to_gateway(SERVER, 5201, flags, host, SERVER_MAC))
        assert len(sent.copies) == (flags & 1) and sent.deliveries
    sent = lab.send(1, 1, to_gateway(UE_LTE, 40_000, flags, SERVER, UE_MAC))
    assert len(sent.copies) == (flags & 1) and sent.deliveries
    assert lab.send(1, 1, to_gateway(UE_LTE, 40_000, SYN, SERVER, UE_MAC)).copies
