"""All sessions in the order of their numbers, some at a time: whoever looks at every session goes on where it was, though
sessions begin and end meanwhile.

Numbers only grow. A block is 1,024 of them; only blocks in which some session lives are kept, so a pass costs what lives
and not what ever lived.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from steering.core.sessions.records import Session

BITS = 10
SIZE = 1 << BITS
MOST_BLOCKS = 4  # that are looked at in one go: 0.7 ms where few live


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
        """At most `most` sessions with numbers above `after`, and what of them MOST_BLOCKS hold: whoever looks at more must
        not do so in one go. There may be none and yet more to come."""
        found: list[Session] = []
        lives = self._by_id.__contains__
        at = bisect_left(self._blocks, after + 1 >> BITS)
        for _ in range(min(MOST_BLOCKS, len(self._blocks) - at)):
            begin = self._blocks[at] << BITS
            end, first = begin + SIZE, max(begin, after + 1)
            wanted = most - len(found)
            numbers = list(islice(filter(lives, range(first, end)), wanted))
            found += [self._by_id[number] for number in numbers]
            if len(numbers) == wanted:
                return SomeSessions(found, numbers[-1])
            after = end - 1
            if not numbers and first <= max(begin, 1) and at + 1 < len(self._blocks):
                del self._blocks[at]  # nobody lives there any more, and nobody will
            else:
                at += 1
        return SomeSessions(found, after if at < len(self._blocks) else None)
