"""Records which sessions changed in a period, while somebody wants to know. The cost depends on the number of changes, not on
the number of sessions."""

from collections.abc import Mapping
from typing import NamedTuple

from steering.core.sessions.records import Session
from steering.model.session import SessionState

MOST = 10_000  # most sessions in one period; further ones are only counted


class SessionMark(NamedTuple):
    """The properties of a session whose change is reported. `subflows`: their number."""

    state: SessionState
    subflows: int


class JournalPeriod(NamedTuple):
    """The changes of one period. `before`: number of a session -> its mark when the period began, None for a session that
    began later. `omitted`: how many changes of further sessions were left out."""

    before: Mapping[int, SessionMark | None]
    omitted: int


class ChangeJournal:
    """The changes of the present period, and those of the last one (`last`)."""

    def __init__(self) -> None:
        self.last = JournalPeriod({}, 0)
        self._before: dict[int, SessionMark | None] = {}
        self._omitted = 0

    def turn(self) -> None:
        """Begin a new period."""
        self.last = JournalPeriod(self._before, self._omitted)
        self._before, self._omitted = {}, 0

    def begins(self, number: int) -> None:
        """A session begins."""
        self._note(number, None)

    def changes(self, session: Session) -> None:
        """A session is about to change or to end."""
        if session.id not in self._before:
            self._note(session.id, SessionMark(session.state, len(session.subflows)))

    def _note(self, number: int, mark: SessionMark | None) -> None:
        if len(self._before) < MOST:
            self._before[number] = mark
        else:
            self._omitted += 1
