"""Segments that session entries show to the controller, and whom they concern (model.session.Watch)."""

from collections.abc import Callable, Mapping

from steering.core.counters import Counters
from steering.core.inputs import WatchedSeen
from steering.core.outputs import Output
from steering.core.part import McpsChange, Part
from steering.core.selection.mcp_health import McpHealth
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.join_authentication import KeyWatch, Refuse
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.policy import Policy
from steering.model.session import Watch


class WatchedSegments(Part):
    """`keys` learns keys and judges joins, `aborted` ends sessions. Limits and timers are those at the start."""

    def __init__(
        self,
        table: SessionTable,
        teardown: Teardown,
        policy: Policy,
        counters: Counters,
        health: Mapping[int, McpHealth],
        refuse: Refuse,
    ) -> None:
        self._table = table
        self.keys = KeyWatch(table, teardown, policy.limits, policy.timers, counters, refuse)
        self.returned: Callable[[WatchedSeen, float], list[Output]] = lambda seen, now: []  # core.reverse
        self.aborted = AbortedSessions(table, teardown, policy.limits, policy.timers, counters, health)

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        return self.aborted.mcps_changed(change, now)

    def seen(self, seen: WatchedSeen, now: float) -> list[Output]:
        """Keys, a join's proof, or what an abort waits for."""
        handshake = seen.handshake
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        subflow = self._table.flows.get(key)
        if subflow is None:
            return self.returned(seen, now)
        if not subflow.watch:
            return []  # sent up before the switch had the entry that shows nothing
        if subflow.watch == Watch.PUNT:
            return self.aborted.punted(subflow, seen, now)
        return self.keys.shown(subflow, seen, now)

    def tick(self, now: float) -> list[Output]:
        """Whose time is over; and what an earlier controller was watching."""
        outputs: list[Output] = []
        for subflow in self._table.leftovers:
            if self._table.flows.get(subflow.key) is not subflow:
                continue
            if subflow.watch == Watch.PUNT:
                outputs += self.aborted.abort(subflow.session, now)
            else:
                outputs += self.keys.recovered(subflow)
        self._table.leftovers.clear()
        return outputs + self.keys.tick(now) + self.aborted.tick(now)
