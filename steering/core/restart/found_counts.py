"""Counts sessions that are read back from switches towards the limits of the policy (N-7.2b). Such sessions occur after a
restart, and after a switch was taken over from another controller. No limit refuses them."""

from collections.abc import Callable

from steering.core.sessions.found_holders import Holder
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.session import SessionState


class FoundCounts:
    """`holder_of` returns the names of the subscriber and the application of a session, from source, destination and
    destination port of its initial subflow."""

    def __init__(self, table: SessionTable, holder_of: Callable[[bytes, bytes, int], Holder]) -> None:
        self._table = table
        self._holder_of = holder_of

    def restored(self, session: Session) -> None:
        """A session that counts as load was restored from the entry of its initial subflow."""
        self._table.ledger.found(self._table.found.add(session, self._holder_of))

    def told(self, session: Session, tell: Callable[[], bool]) -> bool:
        """An entry shows more about a session, perhaps its initial subflow. `tell` records this and returns whether the entry
        fits. Counts the session anew if necessary. Returns the result of `tell`."""
        table = self._table
        before = table.found.keys_of(session)
        fits = tell()
        if session.ruling is not None or not session.first or session.onset.unit is not None:
            return fits
        keys = table.found.add(session, self._holder_of)
        if keys != before and self._is_load(session):
            if before is not None:
                table.ledger.give_back(before)
            table.ledger.found(keys)
        return fits

    def _is_load(self, session: Session) -> bool:
        table = self._table
        at_rest = session.id in table.uncounted or session.id in table.lingering
        return not at_rest and session.state is not SessionState.IDLE
