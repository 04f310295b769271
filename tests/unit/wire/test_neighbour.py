"""ARP and ND: what is read, what is refused, what is made (checked with dpkt, which shares nothing with us)."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.wire.checksum import internet_checksum, pseudo_header_v6
from steering.wire.errors import WireError, WireRefusal
from steering.wire.neighbour import (
    ALL_NODES,
    ALL_NODES_MAC,
    GATEWAY_LINK_LOCAL,
    NeighbourKind,
    arp_request,
    neighbour_solicitation,
    read_neighbour,
    router_advertisement,
)
from tests.support.neighbour_frames import HOST, MAC, NA, NS, RS, V6, V6_HOST, nd

V4 = bytes((10, 1, 0, 1))
V4_HOST = bytes((10, 1, 0, 7))


def refusal(frame: bytes) -> WireRefusal:
    with pytest.raises(WireError) as caught:
        read_neighbour(frame)
    return caught.value.reason


def test_an_arp_request_is_read_back_and_dpkt_agrees() -> None:
    frame = arp_request(MAC, V4, V4_HOST)
    seen = dpkt.ethernet.Ethernet(frame)
    assert seen.dst == b"\xff" * 6 and seen.src == MAC
    assert (seen.data.op, seen.data.sha, seen.data.spa, seen.data.tpa) == (1, MAC, V4, V4_HOST)
    message = read_neighbour(frame)
    assert message == (NeighbourKind.ARP_REQUEST, V4, MAC, V4_HOST)
    assert message.tells


def test_an_arp_probe_tells_nothing() -> None:
    assert not read_neighbour(arp_request(HOST, bytes(4), V4_HOST)).tells


@pytest.mark.parametrize(
    ("at", "value"),
    [(15, 6), (17, 1), (18, 8), (19, 16), (21, 3), (22, 1), (22, 0xFF)],
    ids=["hardware", "protocol", "mac-size", "address-size", "operation", "group-mac", "broadcast-mac"],
)
def test_an_arp_of_another_form_is_refused(at: int, value: int) -> None:
    frame = bytearray(arp_request(MAC, V4, V4_HOST))
    frame[at] = value
    assert refusal(bytes(frame)) is WireRefusal.BAD_VALUE


def test_a_cut_arp_is_refused() -> None:
    assert refusal(arp_request(MAC, V4, V4_HOST)[:41]) is WireRefusal.TRUNCATED


def test_a_solicitation_goes_to_the_solicited_node_group_and_is_right() -> None:
    frame = neighbour_solicitation(MAC, V6, V6_HOST)
    seen = dpkt.ethernet.Ethernet(frame)
    packet = seen.data
    assert seen.dst == bytes.fromhex("3333ffabcdef")
    assert packet.dst == bytes.fromhex("ff0200000000000000000001ffabcdef") and packet.hlim == 255
    raw = frame[54:]
    assert internet_checksum(pseudo_header_v6(packet.src, packet.dst, len(raw), 58) + raw) == 0
    assert read_neighbour(frame) == (NeighbourKind.NEIGHBOUR_SOLICITATION, V6, MAC, V6_HOST)


def test_a_duplicate_address_solicitation_tells_nothing() -> None:
    message = read_neighbour(nd(NS, bytes(4) + V6_HOST, src=bytes(16)))
    assert message.target == V6_HOST and not message.tells


def test_a_duplicate_address_solicitation_may_name_no_mac() -> None:
    assert refusal(nd(NS, bytes(4) + V6_HOST + b"\1\1" + HOST, src=bytes(16))) is WireRefusal.BAD_VALUE


def test_an_advertisement_tells_of_its_target() -> None:
    message = read_neighbour(nd(NA, b"\x60\0\0\0" + V6_HOST + b"\2\1" + HOST, src=V6))
    assert message == (NeighbourKind.NEIGHBOUR_ADVERTISEMENT, V6_HOST, HOST, V6_HOST)


def test_an_advertisement_without_its_option_tells_nothing() -> None:
    assert not read_neighbour(nd(NA, b"\x60\0\0\0" + V6_HOST)).tells


@pytest.mark.parametrize("options", [b"", b"\1\1" + HOST])
def test_a_router_solicitation_has_a_mac(options: bytes) -> None:
    message = read_neighbour(nd(RS, bytes(4) + options))
    assert message == (NeighbourKind.ROUTER_SOLICITATION, V6_HOST, HOST, b"")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (nd(NS, bytes(4) + V6_HOST + b"\1\0" + HOST), WireRefusal.OPTION_LENGTH_ZERO),
        (nd(NS, bytes(4) + V6_HOST + b"\1\2" + HOST), WireRefusal.OPTION_OVERRUN),
        (nd(NS, bytes(4) + V6_HOST + b"\1"), WireRefusal.OPTION_OVERRUN),
        (nd(NS, bytes(4) + V6_HOST + b"\1\2" + HOST + bytes(8)), WireRefusal.BAD_OPTION_LENGTH),
        (nd(NS, bytes(4) + V6_HOST + b"\1\1\xff" + HOST[1:]), WireRefusal.BAD_VALUE),
        (nd(NS, bytes(4) + V6_HOST + (b"\x0e\1" + bytes(6)) * 17), WireRefusal.OPTIONS_TOO_LONG),
        (nd(NS, bytes(4) + V6_HOST[:8]), WireRefusal.TRUNCATED),
        (nd(NS, bytes(4) + ALL_NODES), WireRefusal.BAD_VALUE),
        (nd(NS, bytes(4) + V6_HOST, hops=64), WireRefusal.BAD_VALUE),
        (nd(NS, bytes(4) + V6_HOST, code=1), WireRefusal.BAD_VALUE),
        (nd(128, bytes(20)), WireRefusal.BAD_VALUE),
        (nd(NS, bytes(4) + V6_HOST)[:-1], WireRefusal.TRUNCATED),
        (nd(NS, bytes(4) + V6_HOST)[:-1] + b"\0", WireRefusal.BAD_VALUE),
        (b"", WireRefusal.TRUNCATED),
        (MAC + HOST + b"\x08\x00" + bytes(60), WireRefusal.NOT_IP),
        (MAC + HOST + b"\x86\xdd" + bytes(60), WireRefusal.BAD_IP_VERSION),
    ],
)
def test_malformed_discovery_is_refused_by_name(frame: bytes, reason: WireRefusal) -> None:
    assert refusal(frame) is reason


def test_sixteen_options_are_read() -> None:
    rest = (b"\x0e\1" + bytes(6)) * 15 + b"\1\1" + HOST
    assert read_neighbour(nd(NS, bytes(4) + V6_HOST + rest)).mac == HOST


def test_a_router_advertisement_is_what_a_host_expects() -> None:
    prefix = V6[:8] + bytes(8)
    frame = router_advertisement(MAC, [(prefix, 64)], HOST, V6_HOST, autonomous=False)
    packet = dpkt.ethernet.Ethernet(frame).data
    assert (packet.src, packet.dst, packet.hlim) == (GATEWAY_LINK_LOCAL, V6_HOST, 255)
    raw = frame[54:]
    assert internet_checksum(pseudo_header_v6(packet.src, packet.dst, len(raw), 58) + raw) == 0
    assert raw[0] == 134 and int.from_bytes(raw[6:8], "big") == 1800
    assert raw[16:24] == b"\1\1" + MAC
    kind, size, length, flags = raw[24:28]
    assert (kind, size, length, flags) == (3, 4, 64, 0x80)
    assert raw[40:56] == prefix


def test_a_router_advertisement_goes_to_all_nodes_by_default() -> None:
    frame = router_advertisement(MAC, [])
    assert frame[:6] == ALL_NODES_MAC and frame[38:54] == ALL_NODES


@pytest.mark.parametrize(
    "make",
    [
        lambda: arp_request(MAC[:5], V4, V4),
        lambda: arp_request(MAC, V6, V4),
        lambda: neighbour_solicitation(MAC, V6, V4),
        lambda: router_advertisement(MAC, [(V6, 129)]),
        lambda: router_advertisement(MAC, [(V4, 64)]),
    ],
)
def test_what_does_not_fit_is_not_made(make: object) -> None:
    with pytest.raises(WireError):
        make()  # type: ignore[operator]


SEEDS = [
    arp_request(MAC, V4, V4_HOST),
    nd(NS, bytes(4) + V6_HOST + b"\1\1" + HOST),
    nd(NA, bytes(4) + V6_HOST + b"\2\1" + HOST),
    nd(RS, bytes(4)),
]


@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255))), st.integers(0, 120)
)
def test_reading_ends_and_raises_only_its_own_error(
    seed: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    frame = bytearray(seed)
    for at, value in edits:
        if at < len(frame):
            frame[at] = value
    try:
        message = read_neighbour(bytes(frame[:cut]))
    except WireError:
        return
    assert len(message.address) in (4, 16) and len(message.mac) in (0, 6)


@given(st.binary(max_size=200))
def test_the_checksum_of_data_with_its_checksum_is_zero(data: bytes) -> None:
    if len(data) % 2:
        data += b"\0"
    words = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    assert internet_checksum(data) == words ^ 0xFFFF
    assert internet_checksum(data + internet_checksum(data).to_bytes(2, "big")) == 0
