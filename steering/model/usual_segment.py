"""Segments of handshakes in the forms that hosts really send, as the fast path reads them (steering/openflow/fastpath).

Each says no more than its bytes do at fixed places. The general reader makes a `Handshake` of the same frame, with
all parts that a segment may have.
"""

from typing import NamedTuple

from steering.model.ids import DatapathId, PortNumber, Token
from steering.model.session import FlowKey


class UsualSyn(NamedTuple):
    """A SYN with MP_CAPABLE (RFC 8684 3.1, RFC 6824 3.1), that came in at a port. It has no option but common ones, and
    its header has room for MP_CAPABLE."""

    dpid: DatapathId
    port: PortNumber
    key: FlowKey  # its own 5-tuple
    isn: int
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
    key: FlowKey  # of the flow that it answers: the host's end is the source
    ack: int
    version: int
    sender_key: bytes
    frame: bytes
