"""Segments of handshakes in the forms that hosts usually send, as the fast path reads them (steering/openflow/fastpath).

The fast path reads only bytes at fixed offsets. The general reader (wire.handshake) makes a `Handshake` of the same
frame, with all parts that a segment may have.
"""

from typing import NamedTuple

from steering.model.ids import DatapathId, PortNumber, Token
from steering.model.session import FlowKey


class UsualSyn(NamedTuple):
    """A SYN with MP_CAPABLE (RFC 8684 3.1, RFC 6824 3.1) that came in at `port`. All its options are common ones
    (wire.options.COMMON), and its header has room for one more MP_CAPABLE."""

    dpid: DatapathId
    port: PortNumber
    key: FlowKey  # the SYN's own 5-tuple
    isn: int  # initial sequence number
    version: int  # of MPTCP, 0 or 1
    frame: bytes


class UsualJoin(NamedTuple):
    """A SYN with MP_JOIN (RFC 8684 3.2)."""

    dpid: DatapathId
    port: PortNumber
    key: FlowKey
    isn: int
    token: Token
    address_id: int
    backup: bool
    frame: bytes


class UsualSynAck(NamedTuple):
    """A SYN/ACK with MP_CAPABLE and its sender's key."""

    dpid: DatapathId
    port: PortNumber
    key: FlowKey  # of the SYN that it answers: the host's end is the source
    ack: int
    version: int
    sender_key: bytes
    frame: bytes
