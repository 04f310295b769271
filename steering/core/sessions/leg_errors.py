"""ICMP errors about segments that an MCP sent with the address of a host or server (RFC 1191, RFC 8201, RFC 5927).

If a server leg has the host's address, an ICMP error about it goes to the host. An error about a leg towards a host goes to the
server. Neither of them sent the segment, and the MCP that sent it would never learn, for example, that it was too long. The
switch forwards such an error as any packet, and sends a copy to the controller.
"""

from steering.core.counters import Counters
from steering.core.outputs import Output, Release
from steering.core.packet_inputs import IcmpErrorSeen
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.table import SessionTable
from steering.model.network import Attachment


class LegErrors:
    """Sends ICMP errors about an MCP's leg to that MCP. The MCP's kernel judges whether an error is genuine, by the sequence
    number in the quoted segment. A meter of the port bounds the number of errors. `off`, for the negative control: none is
    sent."""

    def __init__(self, table: SessionTable, counters: Counters, off: bool = False) -> None:
        self._table = table
        self._counters = counters
        self._off = off

    def seen(self, attachment: Attachment, seen: IcmpErrorSeen) -> list[Output]:
        """An ICMP error came in at an access or gateway port."""
        waypoint = self._of_return(seen) or self._of_subflow(seen)
        if not waypoint or self._off:
            return []
        self._counters.leg_errors += 1
        return [Release(seen.dpid, seen.port, seen.frame, waypoint, 0, attachment.role)]

    def _of_return(self, seen: IcmpErrorSeen) -> int:
        """The MCP's waypoint if the quoted segment belongs to a server leg, else 0. Such a segment has the initial flow of the
        session, in the same direction."""
        flow = seen.flow
        first = self._table.flows.get(flow_key(flow.src, flow.dst, flow.sport, flow.dport))
        if first is None or first.session.first != first.key:
            return 0
        return dict(first.session.returns).get(seen.dpid, 0)

    def _of_subflow(self, seen: IcmpErrorSeen) -> int:
        """The MCP's waypoint if the quoted segment is of a subflow that comes in at this switch, in the direction to the host.
        Else 0."""
        flow = seen.flow
        subflow = self._table.flows.get(flow_key(flow.dst, flow.src, flow.dport, flow.sport))
        return subflow.waypoint if subflow is not None and subflow.dpid == seen.dpid else 0
