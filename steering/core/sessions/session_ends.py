"""The ends of a session's connections that the controller can reset: the host of each subflow, and the server.

The kernel of an end accepts a reset only with exactly the sequence number that it expects (RFC 5961 section 3.2). Every segment
of an end shows this number as its acknowledgement number. A silent end is asked by a question: a byte of data outside its
window, or a SYN on its connection. The end answers both with an ACK (RFC 9293 section 3.10.7.4, RFC 5961 section 4.2). The two
kinds alternate, because a firewall may drop the first, and Linux answers the second only once in half a second.
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

CONTROLLER_PORT = PortNumber(0xFFFF_FFFD)  # OFPP_CONTROLLER: ingress port of frames that the controller makes
_SEQUENCE = 0xFFFF_FFFF


class EndKind(StrEnum):
    """Whose end of a connection it is."""

    HOST = "host"
    SERVER = "server"


class EndOutcome(StrEnum):
    """What is known of an end during an abort."""

    ASKED = "asked"  # it has not answered yet
    TOLD = "told"  # it was sent a reset with the number that it expects
    CLOSED = "closed"  # its answer shows that it has no such connection any more
    SILENT = "silent"  # it never answered


class ConnectionEnd:
    """One end of a connection. `key`: the flow in the direction from this end. `dpid` and `role`: where its segments come in.
    `waypoint`: of the MCP, to which its segments are led."""

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
        self.rounds = 0  # number of questions to it
        self.due = 0.0  # time of the next question

    @property
    def is_closed(self) -> bool:
        return self.outcome is EndOutcome.CLOSED

    def question(self) -> Release:
        """The next question: a segment with its peer's address, to which it has to answer. The segment takes the natural path
        from the switch where its answer will come in."""
        self.rounds += 1
        ask = stray_byte if self.rounds % 2 else challenge
        _, end, peer, end_port, peer_port = parts_of(self.key)
        number = crc32(self.key, self.rounds) & _SEQUENCE
        frame = ask(peer, end, peer_port, end_port, number)
        return Release(self.dpid, CONTROLLER_PORT, frame, NATURAL, 0, PortRole.MCP)


class EndReport(NamedTuple):
    """An end, for operators. `address` has 4 or 16 bytes."""

    kind: EndKind
    address: bytes
    port: int
    outcome: EndOutcome


def report_of(end: ConnectionEnd) -> EndReport:
    parts = parts_of(end.key)
    return EndReport(end.kind, parts.source, parts.source_port, end.outcome)


def ends_of(session: Session) -> Iterator[ConnectionEnd]:
    """Every end whose segments match an entry of the session. If the MCP changes addresses, the server's end is not among
    them."""
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
