"""Whether one more session may begin here and now, and how ready the controller and its switches are for it."""

from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.network.site_index import Attachment
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

    def refusal(self, attachment: Attachment, exits: tuple[PortRef, ...]) -> Refusal | None:
        """Why no session may begin at an attachment now, None if one may. `exits`: the ports where its return
        entries would stand."""
        offline = self._readiness.offline
        if offline and any(port.dpid in offline for port in exits):
            return Refusal.MCP_UNREACHABLE  # without its return entry a server leg would miss the MCP
        table = self._table
        if table.half_open_at.get(attachment.waypoint.id, 0) >= self._in_force.half_open_share:
            return Refusal.HALF_OPEN_FULL
        return None if table.has_room else Refusal.SESSION_TABLE_FULL
