"""The ends of a session's connections as the network can reach them: each subflow's host, and the server.

An end is told that its connection is over by a reset, which its kernel believes if it bears exactly the sequence number
that the end expects (RFC 5961 section 3.2). An end tells that number itself, whenever it sends: by what it acknowledges. One
that is silent is asked: by a byte that it does not expect, or by a SYN on its own connection. Either is answered with an
acknowledgement (RFC 9293 section 3.10.7.4, RFC 5961 section 4.2). They take turns, since a firewall may drop the one, and Linux
answers the other once in half a second.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple
from zlib import crc32

from steering.core.outputs import NATURAL, Release
from steering.core.sessions.flow_key import FlowKey, flow_key, parts_of
from steering.core.sessions.records import Session, Subflow
from steering.model.ids import DatapathId, PortNumber, WaypointId
from steering.model.network import PortRole
from steering.wire.craft import challenge, stray_byte

CONTROLLER_PORT = PortNumber(0xFFFF_FFFD)  # OFPP_CONTROLLER: a frame of our own may leave at any port
_SEQUENCE = 0xFFFF_FFFF


class EndKind(StrEnum):
    HOST = "host"
    SERVER = "server"


class EndOutcome(StrEnum):
    """What became of an end, as far as it is known."""

    ASKED = "asked"  # nothing was heard of it yet
    TOLD = "told"  # a reset with the number that it expects was sent to it
    CLOSED = "closed"  # it says itself that it has no such connection any more
    SILENT = "silent"  # it never answered


class ConnectionEnd:
    """One end. `key`: its flow as it sends; `dpid` and `role`: where its segments come in; `waypoint`: its MCP's."""

    __slots__ = ("dpid", "due", "key", "kind", "outcome", "role", "rounds", "subflow", "waypoint")

    def __init__(
        self,
        kind: EndKind,
        key: FlowKey,
        dpid: DatapathId,
        role: int,
        waypoint: WaypointId,
        subflow: Subflow | None,
    ) -> None:
        self.kind = kind
        self.key = key
        self.dpid = dpid
        self.role = role
        self.waypoint = waypoint
        self.subflow = subflow  # None: the server leg
        self.outcome = EndOutcome.ASKED
        self.rounds = 0  # times that it was asked
        self.due = 0.0  # when it is asked next

    @property
    def is_closed(self) -> bool:
        return self.outcome is EndOutcome.CLOSED

    def question(self) -> Release:
        """A segment that it answers, as if its peer had sent it, by the natural way from where its answer comes in."""
        self.rounds += 1
        ask = stray_byte if self.rounds % 2 else challenge
        _, end, peer, end_port, peer_port = parts_of(self.key)
        number = crc32(self.key, self.rounds) & _SEQUENCE
        frame = ask(peer, end, peer_port, end_port, number)
        return Release(self.dpid, CONTROLLER_PORT, frame, NATURAL, 0, PortRole.MCP)


class EndReport(NamedTuple):
    """An end for who asks. Addresses of 4 or 16 bytes."""

    kind: EndKind
    address: bytes
    port: int
    outcome: EndOutcome


def report_of(end: ConnectionEnd) -> EndReport:
    parts = parts_of(end.key)
    return EndReport(end.kind, parts.source, parts.source_port, end.outcome)


def ends_of(session: Session) -> Iterator[ConnectionEnd]:
    """Every end that an entry of the session shows. Where the MCP changes addresses, its server's is not among them."""
    near, far = (EndKind.SERVER, EndKind.HOST) if session.reverse else (EndKind.HOST, EndKind.SERVER)
    for subflow in session.subflows:
        if subflow.waypoint:
            yield ConnectionEnd(near, subflow.key, subflow.dpid, subflow.role, subflow.waypoint, subflow)
    if session.returns and session.first:
        dpid, waypoint = session.returns[0]
        _, source, destination, source_port, destination_port = parts_of(session.first)
        key = flow_key(destination, source, destination_port, source_port)
        role = PortRole.ACCESS if session.reverse else PortRole.GATEWAY
        yield ConnectionEnd(far, key, dpid, role, WaypointId(waypoint), None)
