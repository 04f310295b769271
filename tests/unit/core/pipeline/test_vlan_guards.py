"""What guards a port guards a tag of a port as well: meters of known hosts, leases, and pins that follow a host."""

from dataclasses import replace

import pytest

from steering.core.inputs import SynAckSeen, SynRate, Tick
from steering.core.network.address_claims import PATIENCE
from steering.core.packet_inputs import DhcpSeen, NeighbourSeen
from steering.model.ids import PortNumber
from steering.model.network import FIRST_TAGGED, HostLearning, PortRef, VlanLine
from steering.model.rules import Meter, PacketClass
from steering.wire.dhcp import DhcpType, read_dhcp
from tests.support.dhcp_frames import CLIENT, dhcp_frame
from tests.support.fakes.packet import SYN, Packet
from tests.support.sites import SERVER, UE_LTE, answer, capable, off_path_site, packed
from tests.support.switched import MCP_MAC, SERVER_MAC, UE_MAC, V6, Lab, to_gateway

A, B, TRUSTED = (PortNumber(FIRST_TAGGED + n) for n in range(3))
TAGS = {A: 20, B: 30, TRUSTED: 40}
OTHER = "02:66:66:66:66:66"


def made(**more: object) -> Lab:
    """LTE is at three tags of s1:1."""
    site = off_path_site()
    ports = tuple(PortRef(1, number, VlanLine(PortNumber(1), (tag,))) for number, tag in TAGS.items())
    lte = replace(site.access_networks[0], ports=ports, **more)
    return Lab(replace(site, access_networks=(lte, site.access_networks[1])))


def at(port: PortNumber, packet: Packet) -> Packet:
    return replace(packet, tags=(TAGS[port],))


def heard(lab: Lab, port: PortNumber, address: str, mac: str = UE_MAC) -> None:
    lab.do(NeighbourSeen(1, port, packed(address), bytes.fromhex(mac.replace(":", ""))))
    lab.now += PATIENCE + 0.1
    lab.do(Tick())


def meter(lab: Lab, port: PortNumber, mac: str) -> int:
    """The meter that a SYN of the host's address passes."""
    sent = lab.send(1, 1, at(port, to_gateway(UE_LTE, 40_000, SYN, mac=mac)))
    (syn,) = [copy for copy in sent.copies if copy.packet_class is PacketClass.SYN]
    return syn.meter


@pytest.mark.row("N-7.2c")
def test_a_known_host_of_a_flooded_tag_has_a_meter_of_its_own() -> None:
    lab = made(hosts=HostLearning.LEARNED)
    heard(lab, A, UE_LTE)
    lab.do(SynRate(1, A, 30_000.0))
    assert meter(lab, A, OTHER) == Meter.SYN_BASE + A != meter(lab, A, UE_MAC)
    assert meter(lab, B, UE_MAC) == Meter.SYN_BASE + B, "another tag of its port is another port"


@pytest.mark.row("N-7.2a")
def test_a_lease_binds_to_the_tag_where_it_was_asked_for_and_frames_bear_tags() -> None:
    lab = made(hosts=HostLearning.DHCP, dhcp_ports=(PortRef(1, TRUSTED),))

    def says(port: PortNumber, kind: DhcpType, **more: object) -> list[tuple[int, bytes]]:
        frame = dhcp_frame(kind, **more)  # type: ignore[arg-type]
        outputs = lab.give(DhcpSeen(1, port, read_dhcp(frame), frame))
        lab.network.apply([one for one in outputs if not hasattr(one, "frame")])
        return [(one.port, one.frame[12:16]) for one in outputs if hasattr(one, "frame")]

    assert says(A, DhcpType.REQUEST) == [(1, b"\x81\0\0" + bytes([TAGS[TRUSTED]]))]
    assert says(TRUSTED, DhcpType.ACK, given="10.1.0.9", lease=600) == [(1, b"\x81\0\0" + bytes([TAGS[A]]))]
    assert says(B, DhcpType.ACK, given="10.1.0.9", lease=600) == []
    segment = to_gateway("10.1.0.9", 40_000, mac=CLIENT.hex(":"))
    assert lab.send(1, 1, at(A, segment)).deliveries and not lab.send(1, 1, at(B, segment)).deliveries


@pytest.mark.row("D-3.3a")
@pytest.mark.parametrize("host", [UE_LTE, V6[UE_LTE]])
def test_a_host_that_moves_to_another_tag_of_its_port_is_reached_there_and_the_old_tag_sends_nothing(
    host: str,
) -> None:
    lab = made()
    heard(lab, A, host)
    heard(lab, B, host)
    server = SERVER if host == UE_LTE else V6[SERVER]
    segment = to_gateway(host, 40_000, dst=server)
    assert lab.send(1, 1, at(B, segment)).deliveries and not lab.send(1, 1, at(A, segment)).deliveries
    back = to_gateway(server, 5201, dst=host, mac=SERVER_MAC, dport=40_000)
    (out,) = lab.send(4, 1, back).deliveries
    assert (out.dpid, out.port, out.packet.tags) == (1, 1, (TAGS[B],))


def test_subflows_of_a_host_that_moves_to_another_tag_are_there() -> None:
    lab = made()
    heard(lab, A, UE_LTE)
    opening = capable(UE_LTE, 40_000)
    lab.steer(lab.syn(1, A, opening))
    lab.steer(lab.give(SynAckSeen(3, 1, answer(opening))))
    (session,) = lab.table
    lab.life.heard(session)
    heard(lab, B, UE_LTE)
    assert [(one.dpid, one.port) for one in session.subflows] == [(1, B)]
    (out,) = lab.send(1, 1, at(B, to_gateway(UE_LTE, 40_000))).deliveries
    assert (out.dpid, out.port) == (3, 1), "to its MCP"
    back = to_gateway(SERVER, 5201, dst=UE_LTE, mac=MCP_MAC, dport=40_000)
    (out,) = lab.send(3, 1, back).deliveries
    assert (out.dpid, out.port, out.packet.tags) == (1, 1, (TAGS[B],)), "of its MCP, to the host"
