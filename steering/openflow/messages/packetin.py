"""Reads the parts of a packet-in that the adapter needs. os-ken's own decoder takes 6.4 us, this one about 1 us."""

from struct import Struct
from typing import NamedTuple

from steering.model.ids import PortNumber
from steering.model.rules import OWNER, CookieKind, PacketClass

from .errors import MalformedMessage, MessageFault

_new = tuple.__new__  # makes a NamedTuple without calling its own constructor
_PACKET_IN = 10
_VERSION = 4
_FIXED = Struct(
    "!BBH10xBBQHH"
).unpack_from  # version, type, length, reason, table, cookie, match type, length
_FIXED_SIZE = 28
_MATCH_AT = 24
_OXM = Struct("!I").unpack_from
_METADATA = Struct("!Q").unpack_from
_OXM_IN_PORT = 0x8000_0004
_OXM_METADATA = 0x8000_0408
_OXM_METADATA_MASKED = 0x8000_0510
_USUAL = Struct(
    "!IIIQ"
).unpack_from  # in_port and metadata, as a switch reports them after GUARD has written the role
_USUAL_LENGTH = 24
_STATIC = OWNER << 4 | CookieKind.STATIC
_SESSION = OWNER << 4 | CookieKind.SESSION
_CLASSES = {int(known): known for known in PacketClass}
_NONE, _WATCHED = PacketClass.NONE, PacketClass.WATCHED


class PacketIn(NamedTuple):
    """A packet-in. `packet_class`: which rule sent it; NONE where the cookie is not that of a static rule or session
    entry of this project.

    `metadata`: the packet's metadata at that rule, which holds the ingress role and, in table HOST, the waypoint.
    `frame`: the bytes that the switch sent, which may be only the beginning of the packet.
    """

    cookie: int
    packet_class: PacketClass
    in_port: PortNumber
    table_id: int
    reason: int
    frame: bytes
    metadata: int = 0


def parse_packet_in(msg: bytes) -> PacketIn:
    """Read one whole OFPT_PACKET_IN (OpenFlow 1.3, 7.4.1). Raises MalformedMessage for another message."""
    if len(msg) < _FIXED_SIZE:
        raise MalformedMessage(MessageFault.TRUNCATED)
    version, kind, length, reason, table, cookie, match_type, match_length = _FIXED(msg)
    if version != _VERSION or kind != _PACKET_IN:
        raise MalformedMessage(MessageFault.WRONG_TYPE)
    frame_at = _MATCH_AT + (match_length + 7 & ~7) + 2
    if match_type != 1 or match_length < 4:
        raise MalformedMessage(MessageFault.BAD_MATCH)
    if not frame_at <= length <= len(msg):
        raise MalformedMessage(MessageFault.TRUNCATED)
    if match_length == _USUAL_LENGTH:
        port_header, in_port, metadata_header, metadata = _USUAL(msg, _FIXED_SIZE)
        if port_header != _OXM_IN_PORT or metadata_header != _OXM_METADATA:
            in_port, metadata = _walk(msg, _MATCH_AT + match_length)
    else:
        in_port, metadata = _walk(msg, _MATCH_AT + match_length)
    owner = cookie >> 52
    if owner == _STATIC:
        packet_class = _CLASSES.get(cookie & 0xFFFF_FFFF, _NONE)
    else:
        packet_class = _WATCHED if owner == _SESSION else _NONE
    return _new(PacketIn, (cookie, packet_class, in_port, table, reason, msg[frame_at:length], metadata))


def _walk(msg: bytes, end: int) -> tuple[int, int]:
    """(in_port, metadata) of a match with any fields that ends at `end`."""
    in_port, metadata, at = -1, 0, _FIXED_SIZE
    while at + 4 <= end:
        (header,) = _OXM(msg, at)
        following = at + 4 + (header & 0xFF)
        if following > end:
            raise MalformedMessage(MessageFault.BAD_MATCH)
        if header == _OXM_IN_PORT:
            in_port = _OXM(msg, at + 4)[0]
        elif header == _OXM_METADATA or header == _OXM_METADATA_MASKED:
            metadata = _METADATA(msg, at + 4)[0]
        at = following
    if at != end:
        raise MalformedMessage(MessageFault.BAD_MATCH)
    if in_port < 0:
        raise MalformedMessage(MessageFault.NO_IN_PORT)
    return in_port, metadata
