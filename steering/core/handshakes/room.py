"""Whether one more session may begin: bounds on sessions, and the readiness of controller and switches."""

from math import inf

from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.network.site_index import Attachment
from steering.core.sessions.flow_key import FlowKey, source_of
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId
from steering.model.network import PortRef
from steering.model.session import Refusal


class Readiness:
    """The readiness of controller and switches. `offline`: edge switches that cannot take entries now. `connected_at`: when an edge
    switch connected last. `recovering`: after a restart, the entries of some switches were not read yet."""

    def __init__(self, switches: frozenset[DatapathId] | set[DatapathId]) -> None:
        self.offline = set(switches)
        self.connected_at: dict[DatapathId | None, float] = {}
        self.recovering = True

    def heard_since(self, dpid: DatapathId | None, since: float) -> bool:
        """Whether an edge switch has been connected since a time, so that it can have shown what passed it."""
        return dpid not in self.offline and self.connected_at.get(dpid, -inf) <= since


class Room:
    """Checks the bounds on half-open sessions and on session records, and the gateways' switches."""

    def __init__(self, table: SessionTable, readiness: Readiness, in_force: PolicyInForce) -> None:
        self._table = table
        self._readiness = readiness
        self._in_force = in_force

    def refusal(self, attachment: Attachment, exits: tuple[PortRef, ...], key: FlowKey) -> Refusal | None:
        """Why no session of a flow may begin at an attachment now, None if one may.

        `exits`: the ports whose switches would get the return entries. An access port may have at most as many half-open
        sessions as are still free in all. Thus a flooded port leaves half of them to the others.
        """
        offline = self._readiness.offline
        if offline and any(port.dpid in offline for port in exits):
            return Refusal.MCP_UNREACHABLE  # without a return entry, the server's packets would miss the MCP
        table, in_force = self._table, self._in_force
        half_open = table.half_open.size
        if half_open:
            if table.half_open_at.get(attachment.waypoint.id, 0) >= in_force.half_open - half_open:
                return Refusal.HALF_OPEN_FULL
            if table.half_open_from.get(table.origin_of(source_of(key)), 0) >= in_force.half_open_per_source:
                return Refusal.HALF_OPEN_SOURCE
        return None if table.by_id.size < table.limits.sessions else Refusal.SESSION_TABLE_FULL
