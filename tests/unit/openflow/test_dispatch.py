"""Packet-ins become inputs by the cookie of the rule that sent them; what cannot be read is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.counters import Counters
from steering.core.inputs import FinSeen, SynAckSeen, SynSeen, WatchedSeen
from steering.core.packet_inputs import HostMissed, NeighbourSeen, RouterSolicited, TtlExpired
from steering.model.ids import WaypointId
from steering.model.rules import PacketClass, static_cookie
from steering.model.session import Refusal, pack_cookie
from steering.openflow.dispatch import NOT_OURS, Dispatch
from steering.openflow.messages.packetin import PacketIn
from steering.wire.craft import ethernet_frame, ip_datagram, tcp_frame
from steering.wire.handshake import read_handshake
from steering.wire.neighbour import arp_request
from tests.support.neighbour_frames import HOST, RS, V6_HOST, nd

A, B = bytes((10, 1, 0, 2)), bytes((10, 9, 0, 2))
A6, B6 = b"\xfd" + bytes(14) + b"\1", b"\xfd" + bytes(14) + b"\2"
MAC = b"\x0a\0\0\0\0\1"


class Bench:
    def __init__(self) -> None:
        self.counters = Counters()
        self.lldp: list[tuple[int, int, bytes, float]] = []
        self.dispatch = Dispatch(self.counters, lambda *heard: self.lldp.append(heard))

    def read(self, kind: PacketClass, frame: bytes, metadata: int = 0):
        packet = PacketIn(static_cookie(3, kind), kind, 7, 0, 1, frame, metadata)
        return self.dispatch.read(5, packet, 1.5)


def test_tcp_segments() -> None:
    bench = Bench()
    syn, answer, fin = (tcp_frame(A, B, 1, 2, flags=flags) for flags in (2, 0x12, 0x11))
    assert bench.read(PacketClass.SYN, syn) == SynSeen(5, 7, read_handshake(syn), syn)
    assert bench.read(PacketClass.SYN_ACK, answer) == SynAckSeen(5, 7, read_handshake(answer))
    assert bench.read(PacketClass.FIN, fin) == FinSeen(5, 7, read_handshake(fin))
    assert bench.counters.packet_ins[PacketClass.SYN] == 1


def test_a_segment_of_a_watched_entry() -> None:
    bench = Bench()
    cut = tcp_frame(A, B, 1, 2, flags=0x10, payload=bytes(600))[:256]
    packet = PacketIn(pack_cookie(0, 0, 5, 9), PacketClass.WATCHED, 7, 1, 1, cut, 0x1_0000)
    assert bench.dispatch.read(5, packet, 1.5) == WatchedSeen(5, 7, read_handshake(cut), cut)
    assert bench.counters.packet_ins[PacketClass.WATCHED] == 1


def test_neighbours() -> None:
    bench = Bench()
    assert bench.read(PacketClass.NEIGHBOUR, arp_request(MAC, A, B)) == NeighbourSeen(5, 7, A, MAC)
    assert bench.read(PacketClass.NEIGHBOUR, arp_request(MAC, bytes(4), B)) is None
    assert not bench.counters.malformed, "a probe is no mistake"


def test_a_router_solicitation() -> None:
    assert Bench().read(PacketClass.NEIGHBOUR, nd(RS, bytes(4))) == RouterSolicited(5, 7, HOST, V6_HOST)


@pytest.mark.parametrize(("src", "dst"), [(A, B), (A6, B6)])
def test_a_missing_host_is_named_by_destination_and_waypoint(src: bytes, dst: bytes) -> None:
    frame = ethernet_frame(ip_datagram(src, dst, bytes(8), protocol=17))
    seen = Bench().read(PacketClass.HOST_MISS, frame, metadata=0x2_1234)
    assert seen == HostMissed(5, WaypointId(0x1234), dst, frame)
    assert Bench().read(PacketClass.TTL_EXPIRED, frame) == TtlExpired(5, 7, frame)


def test_discovery_frames_do_not_reach_the_engine() -> None:
    bench = Bench()
    assert bench.read(PacketClass.LLDP, b"frame") is None
    assert bench.lldp == [(5, 7, b"frame", 1.5)]


def test_a_packet_no_rule_of_ours_sent_is_counted() -> None:
    bench = Bench()
    assert bench.read(PacketClass.NONE, tcp_frame(A, B, 1, 2)) is None
    assert bench.counters.malformed[NOT_OURS] == 1


def test_a_syn_that_cannot_be_read_is_a_refusal() -> None:
    bench = Bench()
    bad = tcp_frame(A, B, 1, 2, options=bytes((30, 0, 0, 0)))
    assert bench.read(PacketClass.SYN, bad) is None
    assert bench.counters.malformed["option-length-zero"] == 1
    assert bench.counters.refusals[Refusal.UNPARSABLE] == 1
    assert bench.read(PacketClass.FIN, bad) is None
    assert bench.counters.refusals[Refusal.UNPARSABLE] == 1, "a FIN is no request that is refused"


@given(st.sampled_from(sorted(PacketClass)), st.binary(max_size=120), st.integers(0, 2**64 - 1))
def test_any_bytes_in_any_class_end_in_an_input_or_a_count(
    kind: PacketClass, frame: bytes, metadata: int
) -> None:
    bench = Bench()
    seen = bench.read(kind, frame, metadata)
    silent = kind in (PacketClass.LLDP, PacketClass.NEIGHBOUR)
    assert seen is not None or bench.counters.malformed or silent
