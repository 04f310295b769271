"""Segments that watched session entries send to the controller (model.session.Watch), and the pieces that handle them."""

from steering.core.inputs import WatchedSeen
from steering.core.outputs import Output
from steering.core.part import McpsChange, Part
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.records import Subflow
from steering.core.sessions.table import SessionTable
from steering.model.session import Watch


class WatchedSegments(Part):
    """Passes segments on: to `keys`, which learns keys and judges joins, or to `aborted`, which aborts sessions."""

    def __init__(self, table: SessionTable, keys: KeyWatch, aborted: AbortedSessions) -> None:
        self._table = table
        self._keys = keys
        self._aborted = aborted

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        return self._aborted.mcps_changed(change, now)

    def seen(self, subflow: Subflow, seen: WatchedSeen, now: float) -> list[Output]:
        """Take a segment of a watched subflow. It may carry keys, or the proof of a join."""
        if subflow.watch != Watch.COPY:
            return []  # sent before the switch had the entry without a watch
        return self._keys.shown(subflow, seen, now)

    def of_ending(self, seen: WatchedSeen, now: float) -> list[Output] | None:
        """The answer to a segment of a session that is being aborted. None if it belongs to no such session."""
        return self._aborted.punted(seen, now)

    def tick(self, now: float) -> list[Output]:
        """End watches whose time is over, and the watches and aborts of an earlier controller."""
        outputs: list[Output] = []
        for subflow in self._table.leftovers:
            if self._table.flows.get(subflow.key) is not subflow:
                continue
            if subflow.watch == Watch.PUNT:
                outputs += self._aborted.abort(subflow.session, now)
            else:
                outputs += self._keys.recovered(subflow)
        self._table.leftovers.clear()
        for session in self._table.unfinished:
            if self._table.by_id.get(session.id) is session:
                outputs += self._aborted.abort(session, now)
        self._table.unfinished.clear()
        return outputs + self._keys.tick(now) + self._aborted.tick(now)
