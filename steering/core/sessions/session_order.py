"""All sessions in the order of their numbers, some at a time: whoever looks at every session goes on where it was, though
sessions begin and end meanwhile.

Numbers only grow. A block is 1,024 of them; only blocks in which some session lives are kept, so a pass costs what lives
and not what ever lived.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

from steering.core.sessions.records import Session

BITS = 10
SIZE = 1 << BITS
MOST_EMPTY = 16  # blocks without a session that are looked at in one go


class SomeSessions(NamedTuple):
    """The next sessions; `last`: the number to go on behind, None when there are no more."""

    sessions: list[Session]
    last: int | None


class SessionOrder:
    """`by_id`: the records, which others keep."""

    def __init__(self, by_id: Mapping[int, Session]) -> None:
        self._by_id = by_id
        self._blocks: list[int] = []  # that may hold a session, in order; the last one still grows

    def note(self, number: int) -> None:
        """A number has been given."""
        block = number >> BITS
        if not self._blocks or self._blocks[-1] != block:
            self._blocks.append(block)

    def following(self, after: int, most: int = SIZE) -> SomeSessions:
        """Sessions with numbers above `after`, at most `most` and SIZE of them. There may be none and yet more to
        come."""
        at = bisect_left(self._blocks, after + 1 >> BITS)
        for _ in range(MOST_EMPTY):
            if at == len(self._blocks):
                return SomeSessions([], None)
            begin = self._blocks[at] << BITS
            end, first = begin + SIZE, max(begin, after + 1)
            numbers = range(first, min(end, first + most))
            found = [self._by_id[number] for number in numbers if number in self._by_id]
            is_over = numbers.stop == end
            is_last = is_over and at + 1 == len(self._blocks)
            after = numbers[-1]
            if found or is_last:
                return SomeSessions(found, None if is_last else after)
            if not is_over:
                continue
            if first <= max(begin, 1):
                del self._blocks[at]  # nobody lives there any more, and nobody will
            else:
                at += 1
        return SomeSessions([], after)
