"""Switches the recording of changes of sessions on and off."""

from collections.abc import Mapping

from steering.core.inputs import Input, WatchSessions
from steering.core.outputs import Output
from steering.core.part import NEVER, Handler, Part
from steering.core.sessions.change_journal import ChangeJournal
from steering.core.sessions.table import SessionTable


class SessionWatch(Part):
    """Lets the session table record changes, while somebody wants them."""

    def __init__(self, table: SessionTable) -> None:
        self._table = table

    def takes(self) -> Mapping[type[Input], Handler]:
        return {WatchSessions: self._watch}

    def due(self) -> float:
        return NEVER

    def _watch(self, given: WatchSessions, now: float) -> list[Output]:
        table = self._table
        if not given.wanted:
            table.journal = None
        elif table.journal is None:
            table.journal = ChangeJournal()
        else:
            table.journal.turn()
        return []
