"""What changed of sessions since somebody last asked: kept only while somebody wants to know, and costs what changes
rather than what is there."""

from collections.abc import Mapping
from typing import NamedTuple

from steering.core.sessions.records import Session
from steering.model.session import SessionState

MOST = 10_000  # sessions in one period; of more, only their number is kept


class SessionMark(NamedTuple):
    """What a change is told by."""

    state: SessionState
    subflows: int


class JournalPeriod(NamedTuple):
    """The changes of one period. `before`: session's number -> what it was when the period began, None if it was not
    there; `omitted`: changes of further sessions."""

    before: Mapping[int, SessionMark | None]
    omitted: int


class ChangeJournal:
    """The period that is under way, and the last one that is over."""

    def __init__(self) -> None:
        self.last = JournalPeriod({}, 0)
        self._before: dict[int, SessionMark | None] = {}
        self._omitted = 0

    def turn(self) -> None:
        """A new period begins."""
        self.last = JournalPeriod(self._before, self._omitted)
        self._before, self._omitted = {}, 0

    def begins(self, number: int) -> None:
        """A session is there from now on."""
        self._note(number, None)

    def changes(self, session: Session) -> None:
        """A session is about to change, or to go."""
        if session.id not in self._before:
            self._note(session.id, SessionMark(session.state, len(session.subflows)))

    def _note(self, number: int, mark: SessionMark | None) -> None:
        if len(self._before) < MOST:
            self._before[number] = mark
        else:
            self._omitted += 1
