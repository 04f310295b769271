"""The half-open sessions of a table: those with one of two states. They have no index of their own."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from steering.core.sessions.indexes import NumberedIndex
from steering.core.sessions.records import Session
from steering.model.session import SessionState

PORTIONS = 5  # most times that as many numbers are examined as sessions are wanted

# Names for members of enums: core.sessions.records says why.
SYN_PINNED, ANSWERED = SessionState.SYN_PINNED, SessionState.ANSWERED

Counted = TypeVar("Counted")


def is_half_open(session: Session) -> bool:
    """Whether a session is half-open, by its state."""
    state = session.state
    return state is SYN_PINNED or state is ANSWERED


def count_less(counts: dict[Counted, int], key: Counted) -> None:
    """Count one half-open session less. A count of 0 is removed."""
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]


class HalfOpenIndex(Mapping[int, Session]):
    """Half-open sessions by number. `by_id`: all sessions of the table. `size`: how many are half-open; the table counts
    them."""

    __slots__ = ("_by_id", "size")

    def __init__(self, by_id: NumberedIndex[Session]) -> None:
        self._by_id = by_id
        self.size = 0

    def __getitem__(self, number: int) -> Session:
        session = self._by_id[number]
        if not is_half_open(session):
            raise KeyError(number)
        return session

    def get(self, number: int, default: Any = None) -> Any:
        # Overridden, because Mapping.get raises and catches KeyError for each session that is established meanwhile.
        session = self._by_id.get(number)
        return session if session is not None and is_half_open(session) else default

    def __contains__(self, number: object) -> bool:
        session = self._by_id.get(number)  # type: ignore[call-overload]
        return session is not None and is_half_open(session)

    def __iter__(self) -> Iterator[int]:
        return (session.id for session in self._by_id.all_values() if is_half_open(session))

    def __len__(self) -> int:
        return self.size

    def following(self, after: int, last: int, most: int) -> tuple[list[Session], int]:
        """At most `most` half-open sessions with numbers above `after` and at most `last`, in order, and the `after` of the
        next call. The result may be empty although more follow."""
        found: list[Session] = []
        for _ in range(PORTIONS):
            some, after = self._by_id.following(after, last, most - len(found))
            found += filter(is_half_open, some)
            if len(found) == most or after >= last:
                break
        return found, after
