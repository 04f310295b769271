"""ICMP errors about segments that an MCP sent with somebody else's address (RFC 1191, RFC 8201, RFC 5927).

A server leg that preserves the host's address gets its errors sent to the host, and a leg towards a host gets them sent
to the server. Neither knows the segment, and the MCP, which sent it, would never learn that it was too long. The
switch forwards such an error as any packet, and a copy of it comes here.
"""

from steering.core.inputs import IcmpErrorSeen
from steering.core.outputs import Output, Release
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.table import SessionTable
from steering.model.network import Attachment


class LegErrors:
    """Errors that concern an MCP's leg go to that MCP. Whether one is genuine the MCP's kernel judges, by the sequence
    number that it quotes; how many there may be the port's meter says."""

    def __init__(self, table: SessionTable) -> None:
        self._table = table

    def seen(self, attachment: Attachment, seen: IcmpErrorSeen) -> list[Output]:
        """An error came in at an access or gateway port."""
        waypoint = self._of_return(seen) or self._of_subflow(seen)
        if not waypoint:
            return []
        return [Release(seen.dpid, seen.port, seen.frame, waypoint, 0, attachment.role)]

    def _of_return(self, seen: IcmpErrorSeen) -> int:
        """The MCP's waypoint where what it sent has the session's first flow, as the one who opened it wrote it."""
        flow = seen.flow
        first = self._table.flows.get(flow_key(flow.src, flow.dst, flow.sport, flow.dport))
        if first is None or first.session.first != first.key:
            return 0
        return dict(first.session.returns).get(seen.dpid, 0)

    def _of_subflow(self, seen: IcmpErrorSeen) -> int:
        """The MCP's waypoint where what it sent answers a subflow that comes in at this switch."""
        flow = seen.flow
        subflow = self._table.flows.get(flow_key(flow.dst, flow.src, flow.dport, flow.sport))
        return subflow.waypoint if subflow is not None and subflow.dpid == seen.dpid else 0
