"""Where the fields of a packet-in with a TCP segment stand, and the orders of TCP options that hosts send.

All offsets are those of the usual form: a packet-in whose match has in_port and metadata, an untagged frame, IPv4
without options or IPv6 without extension headers. A message of any other form goes to the general readers
(openflow.messages.packetin, wire.handshake).
"""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

# ---- OpenFlow 1.3.5 A.1, A.4.1: ofp_header and ofp_packet_in -------------------------------------
#
#      0  version, type, length, xid           header
#      8  buffer_id, total_len, reason, table_id
#     16  cookie
#     24  match: type, length
#     28  OXM header and value of in_port
#     36  OXM header and value of metadata
#     48  pad
#     50  data: the frame
# Fields that are the same in every usual message are read together as one number: version and type; the match's type
# and length, and the header of in_port.
HEADER = Struct("!HHI")
PACKET_IN, BARRIER_REPLY = 0x040A, 0x0415
FRAME_AT = 50
_PACKET_IN = "Q Q I I8x 2x"  # from the cookie on

# ---- IEEE 802.3, RFC 791, RFC 8200, RFC 9293 3.1 -------------------------------------------------
#
#    frame + 12  EtherType
#   IPv4   + 14  version and IHL        + 16  total length     + 20  flags and fragment offset
#          + 23  protocol               + 26  source address   + 30  destination address
#   IPv6   + 14  version, class, label  + 18  payload length   + 20  next header
#          + 22  source address         + 38  destination address
#   TCP          source and destination port, sequence number, acknowledgement number, data offset, control bits
#
# Addresses and ports stand together in both, so a slice of the frame is the flow's key (core.sessions.flow_key).
_ETHERNET = "12x H"
_IPV4 = "B x H 2x H x B 2x"
_IPV6 = "B 3x H B x"
_TCP = "II BB"
IPV4_PUNT = Struct(f"!{_PACKET_IN} {_ETHERNET} {_IPV4} 12s {_TCP}")
IPV6_PUNT = Struct(f"!{_PACKET_IN} {_ETHERNET} {_IPV6} 36s {_TCP}")
COOKIE_AT = 16
IPV4_ENDS, IPV6_ENDS = Struct("4s4s2s2s"), Struct("16s16s2s2s")  # addresses and ports of a flow's key
IPV4_TCP, IPV6_TCP = 34, 54  # the TCP header's place in the frame
TCP_HEADER = 20

MATCH_IN_PORT = 0x0001_0018_8000_0004  # OFPMT_OXM, 24 bytes, OXM_OF_IN_PORT
OXM_METADATA = 0x8000_0408
ETH_IPV4, ETH_IPV6 = 0x0800, 0x86DD
IPV4_NO_OPTIONS = 0x45
IPV4_FRAGMENT = 0x3FFF  # more fragments, and the offset
IPV6_VERSION = 6
TCP_PROTOCOL = 6
TCP_CONTROL = 0x3F  # without CWR and ECE, which do not matter for a handshake
SYN, SYN_ACK = 0x02, 0x12


# ---- TCP options ---------------------------------------------------------------------------------
class Option(NamedTuple):
    """The bytes of one option, and which bits of them are always the same."""

    value: bytes
    mask: bytes


def _option(head: str, free: int, *masked: tuple[int, int]) -> Option:
    """An option whose bytes `head` (hexadecimal) are fixed, except for the bits outside the mask at each place that
    `masked` names as (place, mask). `free` bytes of any value follow."""
    fixed = bytes.fromhex(head)
    mask = bytearray(b"\xff" * len(fixed))
    for place, kept in masked:
        mask[place] = kept
    return Option(fixed + bytes(free), bytes(mask) + bytes(free))


NOP = _option("01", 0)  # RFC 9293 3.1
EOL = _option("00", 0)
MSS = _option("0204", 2)
SACK_PERMITTED = _option("0402", 0)  # RFC 2018
TIMESTAMPS = _option("080a", 8)  # RFC 7323
WINDOW_SCALE = _option("0303", 1)
# Of MP_CAPABLE's flags (RFC 8684 3.1), H must be set (the one known algorithm) and B (an extension) must not be. The
# other flags do not matter here.
_FLAGS = (3, 0x41)
CAPABLE_V1 = _option("1e040101", 0, _FLAGS)  # RFC 8684 3.1, in a SYN
CAPABLE_V0 = _option("1e0c0001", 8, _FLAGS)  # RFC 6824 3.1, in a SYN: with the sender's key
CAPABLE_KEY_V1 = _option("1e0c0101", 8, _FLAGS)  # in a SYN/ACK
CAPABLE_KEY_V0 = CAPABLE_V0
JOIN = _option("1e0c10", 9, (2, 0xF0))  # RFC 8684 3.2: backup flag, address id, token, nonce
JOIN_PARTS = Struct("!2x BBI")
JOIN_BACKUP = 0x01
DSS = (_option("1e0820", 5, (2, 0xF0)), _option("1e0c20", 9, (2, 0xF0)), _option("1e1420", 17, (2, 0xF0)))


class Layout(NamedTuple):
    """Options in one order, as numbers over all of their bytes. `mptcp`: where the MPTCP option begins."""

    mask: int
    value: int
    mptcp: int
    version: int = 1


def layout(
    before: Iterable[Option], mptcp: Option | None, after: Iterable[Option] = (), version: int = 1
) -> tuple[int, Layout]:
    """(length, layout) of options in this order."""
    first = list(before)
    parts = [*first, *([mptcp] if mptcp else []), *after]
    value, mask = (b"".join(columns) for columns in zip(*parts, strict=True)) if parts else (b"", b"")
    number, bits = int.from_bytes(value, "big"), int.from_bytes(mask, "big")
    return len(value), Layout(bits, number & bits, sum(len(one.value) for one in first), version)


# The orders in which hosts send options in a SYN. Android sends them as Linux does. Any host may omit timestamps.
LINUX = (MSS, SACK_PERMITTED, TIMESTAMPS, NOP, WINDOW_SCALE)
LINUX_NO_TIMESTAMPS = (MSS, NOP, NOP, SACK_PERMITTED, NOP, WINDOW_SCALE)
APPLE = (MSS, NOP, WINDOW_SCALE)
APPLE_REST = (NOP, NOP, TIMESTAMPS, SACK_PERMITTED, EOL, EOL)
APPLE_NO_TIMESTAMPS = (SACK_PERMITTED, EOL, EOL)
_ORDERS = ((LINUX, ()), (LINUX_NO_TIMESTAMPS, ()), (APPLE, APPLE_REST), (APPLE, APPLE_NO_TIMESTAMPS))

Layouts = dict[int, tuple[Layout, ...]]  # bytes of all options -> the layouts of that length


def _all(*found: tuple[int, Layout]) -> Layouts:
    lengths = dict.fromkeys(length for length, _ in found)
    return {length: tuple(one for size, one in found if size == length) for length in lengths}


FIRST_SYNS = _all(
    *(layout(before, CAPABLE_V1, after) for before, after in _ORDERS),
    *(layout(before, CAPABLE_V0, after, version=0) for before, after in _ORDERS),
)
JOINS = _all(*(layout(before, JOIN, after) for before, after in _ORDERS))
ANSWERS = _all(
    *(layout(before, CAPABLE_KEY_V1, after) for before, after in _ORDERS),
    *(layout(before, CAPABLE_KEY_V0, after, version=0) for before, after in _ORDERS),
)
# The options of a FIN do not matter: timestamps or none, with or without the DSS of a DATA_FIN (RFC 8684 3.3.3).
_STAMPED = (NOP, NOP, TIMESTAMPS)
FINS = _all(
    layout((), None), layout(_STAMPED, None),
    *(layout(before, dss) for before in ((), _STAMPED) for dss in DSS),
)  # fmt: skip
