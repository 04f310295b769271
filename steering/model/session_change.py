"""What changed of sessions, as a listener hears of it."""

from typing import NamedTuple


class SessionChange(NamedTuple):
    """`before` and `after`: state and number of subflows, None where it was or is not there."""

    id: str
    before: tuple[str, int] | None
    after: tuple[str, int] | None


class ChangedSessions(NamedTuple):
    """What changed in one period. `omitted`: the number of further changes."""

    changes: tuple[SessionChange, ...]
    omitted: int
