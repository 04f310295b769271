"""Changes of sessions, as they are sent to listeners."""

from typing import NamedTuple


class SessionChange(NamedTuple):
    """One session's change. `before` and `after`: the session's state and number of subflows, None where the session did
    not exist yet or exists no longer."""

    id: str
    before: tuple[str, int] | None
    after: tuple[str, int] | None


class ChangedSessions(NamedTuple):
    """The changes of one period. `omitted`: how many further changes are left out."""

    changes: tuple[SessionChange, ...]
    omitted: int
