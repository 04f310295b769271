"""Whether one more session may begin here and now, and how ready the controller and its switches are for it."""

from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.network.site_index import Attachment
from steering.core.sessions.flow_key import FlowKey, source_of
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId
from steering.model.network import PortRef
from steering.model.session import Refusal


class Readiness:
    """What handshakes have to know of the switches. `offline`: datapath ids of edge switches that cannot take
    entries now. `recovering`: not every switch has told of its sessions after a restart."""

    def __init__(self, switches: frozenset[DatapathId] | set[DatapathId]) -> None:
        self.offline = set(switches)
        self.recovering = True


class Room:
    """Bounds on half-open sessions and on records; gateways that can hold an entry."""

    def __init__(self, table: SessionTable, readiness: Readiness, in_force: PolicyInForce) -> None:
        self._table = table
        self._readiness = readiness
        self._in_force = in_force

    def refusal(self, attachment: Attachment, exits: tuple[PortRef, ...], key: FlowKey) -> Refusal | None:
        """Why no session of a flow may begin at an attachment now, None if one may. `exits`: the ports where its
        return entries would stand. An access port may have as many half-open sessions as are free: one that is
        flooded leaves half to the others."""
        offline = self._readiness.offline
        if offline and any(port.dpid in offline for port in exits):
            return Refusal.MCP_UNREACHABLE  # without its return entry a server leg would miss the MCP
        table, in_force = self._table, self._in_force
        half_open = table.half_open.size
        if half_open:
            if table.half_open_at.get(attachment.waypoint.id, 0) >= in_force.half_open - half_open:
                return Refusal.HALF_OPEN_FULL
            if table.half_open_from.get(table.origin_of(source_of(key)), 0) >= in_force.half_open_per_source:
                return Refusal.HALF_OPEN_SOURCE
        return None if table.by_id.size < table.limits.sessions else Refusal.SESSION_TABLE_FULL
