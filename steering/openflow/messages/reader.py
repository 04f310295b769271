"""Cuts the byte stream of a switch into OpenFlow 1.3 messages, and finds errors for which the connection is closed.

No length is trusted. os-ken's own parsers get a message only after a check here: an OFPHello with an element of
length 0, for example, would make them loop for ever.
"""

from enum import IntEnum, StrEnum
from struct import Struct
from typing import NamedTuple

from steering.model.ids import DatapathId, PortNumber
from steering.model.refused_connections import SwitchRefusal

VERSION = 4
NEWEST_VERSION = 6  # the newest version of a HELLO that os-ken can read
LAST_TYPE = 29
LARGEST_PORT = 0xFFFF_FF00  # OFPP_MAX

_new = tuple.__new__
_HEADER = Struct(">BBHI")
_HELLO_ELEMENT = Struct(">HH")
_ERROR = Struct(">HH")
_MULTIPART = Struct(">HH")
_PORT_STATUS = Struct(">B7xI12x16sII16xI")
HEADER_LENGTH = 8
MULTIPART_LENGTH = 16
_PORT_STATUS_LENGTH = 80
_PORT_LENGTH = 64
_PORT = Struct(">I4x6x2x16sII16xI4x")  # number, name, config, state, current speed
_FEATURES_LENGTH = 32
_PORT_DOWN = 1  # OFPPC_PORT_DOWN
_LINK_DOWN = 1  # OFPPS_LINK_DOWN
_LIVE = 4  # OFPPS_LIVE
_DELETE = 1  # OFPPR_DELETE
_MORE = 1  # OFPMPF_REPLY_MORE
_VERSION_BITMAP = 1  # OFPHET_VERSIONBITMAP


class Type(IntEnum):
    """The message types that the adapter handles itself."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    FEATURES_REPLY = 6
    PACKET_IN = 10
    PORT_STATUS = 12
    MULTIPART_REPLY = 19
    BARRIER_REPLY = 21
    ROLE_REPLY = 25


class Multipart(IntEnum):
    FLOW = 1
    AGGREGATE = 2
    PORT_STATS = 4
    GROUP_DESC = 7
    METER = 9
    PORT_DESC = 13


class Disconnect(StrEnum):
    """Why a switch's connection ended (`steering_disconnects_total{reason}`)."""

    CLOSED = "closed"  # by the switch
    BAD_LENGTH = "bad-length"
    BAD_VERSION = "bad-version"
    BAD_TYPE = "bad-type"
    BAD_HELLO = "bad-hello"
    OUT_OF_ORDER = "out-of-order"  # a message that must not come before the end of the handshake
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    TOO_MANY = "too-many-connections"
    TOO_MANY_NEWCOMERS = (
        "too-many-newcomers"  # no switch yet, and the oldest such connection when others needed room
    )
    TOO_MANY_PORTS = "too-many-ports"  # the port descriptions list too many ports
    NO_TLS = "no-tls"  # no TLS handshake, or a certificate that is not of the site's CA
    UNKNOWN_SWITCH = SwitchRefusal.UNKNOWN_SWITCH.value  # a datapath id that the site does not name
    WRONG_CERTIFICATE = (
        SwitchRefusal.WRONG_CERTIFICATE.value
    )  # a certificate that is not the one of this datapath id
    DUPLICATE = SwitchRefusal.DUPLICATE.value  # another connection of this datapath id is alive, and stays
    UNASKED = "unasked"  # the switch sent too many messages that answer no request
    HANDSHAKE_FLOOD = "handshake-flood"  # too many messages or bytes before the end of the handshake
    SILENT = "silent"  # the switch sent nothing, not even an echo reply
    BACKLOG = "backlog"  # the switch does not read the bytes sent to it
    REPLACED = "replaced"  # the same datapath id connected again, and the old connection answered no echo
    BARRIER_TIMEOUT = "barrier-timeout"  # the switch did not confirm a step of its filling
    READ_TIMEOUT = "read-timeout"  # the switch did not answer the request for its entries
    BAD_ENTRIES = "bad-entries"  # the answer to the request for entries was malformed
    TOO_MANY_ENTRIES = "too-many-entries"  # the answer to the request for entries was too long
    NO_ROLES = (
        "no-roles"  # controllers share the switch, and it did not answer a role request or knows no roles
    )
    ANOTHERS = (
        "another-worker"  # of several controllers on one machine, another one decides for the switch now
    )
    WRITE_FAILED = "write-failed"
    FAILED = "failed"  # a defect of this program
    SHUTDOWN = "shutdown"  # the controller ended


class Message(NamedTuple):
    """One whole message. `data` begins with the header."""

    version: int
    type: int
    xid: int
    data: bytes


def split(stream: bytes, most: int = 1 << 30) -> tuple[list[Message], bytes, Disconnect | None]:
    """Cut `stream` into (complete messages, remaining bytes, reason to close the connection or None).

    Messages before a malformed one are returned. The remaining bytes are fewer than 64 KiB if fewer than `most`
    messages were found.
    """
    messages, at, refused = cut(stream, 0, most)
    return messages, b"" if refused else stream[at:], refused


def cut(stream: bytes, at: int, most: int) -> tuple[list[Message], int, Disconnect | None]:
    """Cut `stream` from place `at` on into (complete messages, place of the remaining bytes, reason to close the
    connection or None)."""
    messages: list[Message] = []
    end = len(stream)
    while end - at >= HEADER_LENGTH and len(messages) < most:
        version, kind, length, xid = _HEADER.unpack_from(stream, at)
        if length < HEADER_LENGTH:
            return messages, at, Disconnect.BAD_LENGTH
        # A peer of another version may send HELLO and ERROR with its version. All other messages have version 1.3.
        if version != VERSION and (kind > Type.ERROR or not 1 <= version <= NEWEST_VERSION):
            return messages, at, Disconnect.BAD_VERSION
        if kind > LAST_TYPE:
            return messages, at, Disconnect.BAD_TYPE
        if end - at < length:
            break
        messages.append(_new(Message, (version, kind, xid, stream[at : at + length])))
        at += length
    return messages, at, None


def clean_hello(message: bytes) -> bytes | None:
    """An OFPHello with the same meaning that is safe for os-ken's parser; None for a malformed OFPHello.

    Elements are padded to 8 bytes, and their length does not include the padding (OpenFlow 1.3.5, A.5.1). os-ken reads
    the padding as an element of length 0, and never returns. So os-ken gets one bitmap at most.
    """
    at = HEADER_LENGTH
    bitmap = b""
    while at < len(message):
        if at + _HELLO_ELEMENT.size > len(message):
            return None
        kind, length = _HELLO_ELEMENT.unpack_from(message, at)
        if length < _HELLO_ELEMENT.size or at + length > len(message):
            return None
        if kind == _VERSION_BITMAP and length >= _HELLO_ELEMENT.size + 4 and not bitmap:
            bitmap = message[at + 4 : at + 8]
        at += length + -length % 8
    if not bitmap:
        return message[:2] + HEADER_LENGTH.to_bytes(2, "big") + message[4:HEADER_LENGTH]
    head = message[:2] + (HEADER_LENGTH + 8).to_bytes(2, "big") + message[4:HEADER_LENGTH]
    return head + _HELLO_ELEMENT.pack(_VERSION_BITMAP, 8) + bitmap


class PortState(NamedTuple):
    port: PortNumber
    up: bool
    gone: bool = False  # the switch has no such port any more
    live: bool = True  # whether a failover group in the switch would use the port; Open vSwitch: False when BFD gets no answer
    name: str = ""  # as the switch calls it
    speed: int = 0  # kbit/s as the switch says, 0 for unknown


def read_port_status(message: bytes) -> PortState | None:
    """The state of the port in an OFPT_PORT_STATUS; None when the message is too short."""
    if len(message) < _PORT_STATUS_LENGTH:
        return None
    reason, port, name, config, state, speed = _PORT_STATUS.unpack_from(message, HEADER_LENGTH)
    up = reason != _DELETE and not config & _PORT_DOWN and not state & _LINK_DOWN
    return PortState(port, up, reason == _DELETE, bool(state & _LIVE), _name_of(name), speed)


def _name_of(field: bytes) -> str:
    """A port's name of at most 15 characters, without characters that could control a terminal."""
    text = field.split(b"\0", 1)[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def read_error(message: bytes) -> tuple[int, int]:
    """(type, code) of an OFPT_ERROR; (0xFFFE, 0), which is no valid type, when the message is too short."""
    if len(message) < HEADER_LENGTH + _ERROR.size:
        return 0xFFFE, 0
    kind, code = _ERROR.unpack_from(message, HEADER_LENGTH)
    return kind, code


def refused_type(message: bytes) -> int:
    """The type of the message that an OFPT_ERROR refuses; -1 where the error does not contain that message."""
    at = HEADER_LENGTH + _ERROR.size
    return message[at + 1] if len(message) >= at + HEADER_LENGTH else -1


def read_multipart(message: bytes) -> tuple[int, bool] | None:
    """(multipart type, more parts follow); None when the message is too short."""
    if len(message) < MULTIPART_LENGTH:
        return None
    kind, flags = _MULTIPART.unpack_from(message, HEADER_LENGTH)
    return kind, bool(flags & _MORE)


def port_description_is_sound(message: bytes) -> bool:
    """Whether an OFPMP_PORT_DESC reply holds whole ports only."""
    return len(message) >= MULTIPART_LENGTH and (len(message) - MULTIPART_LENGTH) % _PORT_LENGTH == 0


class PortDescription(NamedTuple):
    """One port. `up`: whether traffic can pass; `speed`: kbit/s as the switch says, 0 for unknown; `live` and `name` as
    in PortState."""

    number: PortNumber
    up: bool
    speed: int
    live: bool = True
    name: str = ""


def read_port_descriptions(message: bytes) -> list[PortDescription]:
    """The ports of a sound OFPMP_PORT_DESC reply (OpenFlow 1.3.5, 7.2.1)."""
    return [
        PortDescription(
            number,
            not config & _PORT_DOWN and not state & _LINK_DOWN,
            speed,
            bool(state & _LIVE),
            _name_of(name),
        )
        for number, name, config, state, speed in _PORT.iter_unpack(message[MULTIPART_LENGTH:])
    ]


def read_datapath_id(message: bytes) -> DatapathId | None:
    """The datapath id of an OFPT_FEATURES_REPLY; None when the message is too short."""
    if len(message) < _FEATURES_LENGTH:
        return None
    return DatapathId(int.from_bytes(message[HEADER_LENGTH : HEADER_LENGTH + 8], "big"))
