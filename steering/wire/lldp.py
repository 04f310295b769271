"""Discovery frames: LLDP (IEEE 802.1AB) with an organisation-specific TLV that authenticates the frame.

A frame names the switch and the port from which it was sent. A forged frame would put a link into the topology that
does not exist. Therefore the TLV carries an HMAC-SHA256 over all fields. Only frames of exactly this form are read.
"""

import hmac
from struct import Struct
from typing import NamedTuple

from .errors import WireError, WireRefusal

ETH_LLDP = 0x88CC
NEAREST_BRIDGE = b"\x01\x80\xc2\x00\x00\x0e"
KEY_LENGTH = 32

_ORGANISATION = b"\x02\x53\x54"  # locally administered: "ST"
_SUBTYPE = 1
_LOCAL = 7  # chassis and port id subtype "locally assigned"
_LIVES = 4  # LLDP's time to live in seconds, for other readers of LLDP
_CHASSIS, _PORT, _TTL, _SPECIFIC = 1, 2, 3, 127
# Chassis TLV, port TLV, TTL TLV, then the organisation's TLV: OUI, subtype, epoch, sequence, HMAC; end TLV.
_BODY = Struct(">HBQHBIHHH3sBQQ32sH")
_SAID = Struct(">QIQQ")
_HEAD = (_CHASSIS << 9 | 9, _LOCAL, _PORT << 9 | 5, _LOCAL, _TTL << 9 | 2, _LIVES)
_ETHERNET_LENGTH = 14


class Announcement(NamedTuple):
    """Where a discovery frame was sent, and when. `epoch` names the run of the sending controller. `sequence` grows
    within a run."""

    dpid: int
    port: int
    epoch: int
    sequence: int


def _authenticate(key: bytes, said: Announcement) -> bytes:
    return hmac.digest(key, _ORGANISATION + _SAID.pack(*said), "sha256")


def announce(key: bytes, said: Announcement, src_mac: bytes) -> bytes:
    """The frame of an announcement. Datapath id, epoch and sequence have 64 bits, the port has 32. `key` has 32 bytes,
    `src_mac` 6."""
    chassis, chassis_kind, port, port_kind, ttl, lives = _HEAD
    body = _BODY.pack(
        chassis, chassis_kind, said.dpid, port, port_kind, said.port, ttl, lives,
        _SPECIFIC << 9 | 52, _ORGANISATION, _SUBTYPE, said.epoch, said.sequence, _authenticate(key, said), 0,
    )  # fmt: skip
    return NEAREST_BRIDGE + src_mac + ETH_LLDP.to_bytes(2, "big") + body


def read_announcement(key: bytes, frame: bytes) -> Announcement:
    """The announcement in a discovery frame. Raises WireError for a frame of another form or with a wrong HMAC."""
    if len(frame) < _ETHERNET_LENGTH + _BODY.size:
        raise WireError(WireRefusal.TRUNCATED)
    if frame[12] << 8 | frame[13] != ETH_LLDP:
        raise WireError(WireRefusal.BAD_VALUE)
    fields = _BODY.unpack_from(frame, _ETHERNET_LENGTH)
    chassis, chassis_kind, dpid, port, port_kind, number, ttl, lives = fields[:8]
    specific, organisation, subtype, epoch, sequence, code, end = fields[8:]
    if (chassis, chassis_kind, port, port_kind, ttl, lives) != _HEAD:
        raise WireError(WireRefusal.BAD_VALUE)
    if (specific, organisation, subtype, end) != (_SPECIFIC << 9 | 52, _ORGANISATION, _SUBTYPE, 0):
        raise WireError(WireRefusal.BAD_VALUE)
    said = Announcement(dpid, number, epoch, sequence)
    if not hmac.compare_digest(code, _authenticate(key, said)):
        raise WireError(WireRefusal.BAD_VALUE)
    return said
