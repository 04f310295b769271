"""Packet-ins: os-ken's own and a real switch's bytes, and rubbish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_ken.ofproto import ofproto_v1_3_parser as parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from steering.model.rules import PacketClass, host_cookie, static_cookie
from steering.model.session import pack_cookie
from steering.openflow.messages.errors import MalformedMessage, MessageFault
from steering.openflow.messages.packetin import PacketIn, parse_packet_in

SYN = static_cookie(7, PacketClass.SYN)
# From Open vSwitch 3.1: a SYN punted by a rule of table 2, in_port 1, metadata 0x10000.
REAL = bytes.fromhex(
    "040a006800000000ffffffff003601025e200000000000050001001880000004000000018000040800000000000100000000"
    "0253470000010a000000009908004500002800070000210685b70a0000090a09000103e9005000000001000000025002"
    "03e893ac0000"
)


def _message(cookie: int, frame: bytes, **match) -> bytes:
    """A packet-in as os-ken's packing of its match has it."""
    body = bytearray()
    parser.OFPMatch(**match).serialize(body, 0)
    fixed = b"\xff" * 4 + len(frame).to_bytes(2, "big") + bytes([1, 2]) + cookie.to_bytes(8, "big")
    rest = fixed + bytes(body) + bytes(2) + frame
    return bytes([4, 10]) + (8 + len(rest)).to_bytes(2, "big") + bytes(4) + rest


def test_real_one():
    assert parse_packet_in(REAL) == PacketIn(
        0x5E20_0000_0000_0005, PacketClass.SYN, 1, 2, 1, REAL[50:], 0x10000
    )
    theirs = parser.OFPPacketIn.parser(ProtocolDesc(version=4), 4, 10, len(REAL), 0, REAL)
    ours = parse_packet_in(REAL)
    assert (theirs.cookie, theirs.table_id, theirs.reason, theirs.data) == (
        ours.cookie, ours.table_id, ours.reason, ours.frame,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("match", "metadata"),
    [
        ({"in_port": 9}, 0),
        ({"in_port": 9, "metadata": 0x20007}, 0x20007),
        ({"in_port": 9, "metadata": (0x20000, 0xF0000)}, 0x20000),
        ({"in_port": 9, "tunnel_id": 5}, 0),  # as long as in_port with metadata
        ({"in_port": 9, "metadata": 0x20007, "tunnel_id": 5}, 0x20007),
    ],
)
@given(frame=st.binary(max_size=100))
def test_any_match(match, metadata, frame):
    seen = parse_packet_in(_message(SYN, frame, **match))
    assert (seen.in_port, seen.metadata, seen.frame) == (9, metadata, frame)


@pytest.mark.parametrize(
    ("cookie", "packet_class"),
    [
        *((static_cookie(3, known), known) for known in PacketClass),
        (static_cookie(3) | 0xFFFF, PacketClass.NONE),
        (host_cookie(3) | PacketClass.SYN, PacketClass.NONE),
        (pack_cookie(0, 0, 5, PacketClass.SYN), PacketClass.WATCHED),
        (pack_cookie(1, 0, 5, 0) & ~(0xFF << 56), PacketClass.NONE),
        (PacketClass.SYN, PacketClass.NONE),
    ],
)
def test_class_is_told_by_our_own_cookies_only(cookie, packet_class):
    assert parse_packet_in(_message(cookie, b"x", in_port=1)).packet_class is packet_class


def _edited(at: int, value: bytes) -> bytes:
    return REAL[:at] + value + REAL[at + len(value) :]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", MessageFault.TRUNCATED),
        (REAL[:27], MessageFault.TRUNCATED),
        (REAL[:-1], MessageFault.TRUNCATED),
        (_edited(2, b"\x00\x08"), MessageFault.TRUNCATED),  # its own length is shorter than its match
        (_edited(26, b"\x10\x00"), MessageFault.TRUNCATED),  # the match is longer than the message
        (_edited(0, b"\x05"), MessageFault.WRONG_TYPE),
        (_edited(1, b"\x0b"), MessageFault.WRONG_TYPE),
        (_edited(24, b"\x00\x00"), MessageFault.BAD_MATCH),
        (_edited(26, b"\x00\x03"), MessageFault.BAD_MATCH),
        (_edited(26, b"\x00\x17"), MessageFault.BAD_MATCH),  # cuts a field
        (_edited(31, b"\xff"), MessageFault.BAD_MATCH),  # a field longer than the match
        (_edited(30, b"\x02"), MessageFault.NO_IN_PORT),
    ],
)
def test_refused(message, reason):
    with pytest.raises(MalformedMessage) as refused:
        parse_packet_in(message)
    assert refused.value.reason is reason


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=120).map(lambda tail: REAL[:26] + tail)))
def test_any_bytes(message):
    try:
        seen = parse_packet_in(message)
    except MalformedMessage:
        return
    assert len(seen.frame) <= len(message) - 34
