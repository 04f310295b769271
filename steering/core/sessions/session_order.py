"""Iterates over all sessions in the order of their numbers, some at a time. Sessions may begin and end between two calls.

Numbers only grow. A block is 1,024 numbers. Only blocks with live sessions are kept, so the cost of a pass depends on the live
sessions, not on all that ever lived.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from steering.core.sessions.records import Session

BITS = 10
SIZE = 1 << BITS
MOST_BLOCKS = 4  # most blocks of one call, which takes 0.7 ms if few sessions live


class SomeSessions(NamedTuple):
    """The next sessions. `last`: the `after` of the next call, None if there are no more sessions."""

    sessions: list[Session]
    last: int | None


class SessionOrder:
    """`by_id`: the records, which the session table keeps."""

    def __init__(self, by_id: Mapping[int, Session]) -> None:
        self._by_id = by_id
        self._blocks: list[int] = []  # blocks that may have live sessions, in order; the last one grows

    def note(self, number: int) -> None:
        """A session has got this number."""
        block = number >> BITS
        if not self._blocks or self._blocks[-1] != block:
            self._blocks.append(block)

    def following(self, after: int, most: int = SIZE) -> SomeSessions:
        """At most `most` sessions with numbers above `after`, from at most MOST_BLOCKS blocks. The result may be empty although
        more sessions follow."""
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
                del self._blocks[at]  # no session of this block lives, and none will
            else:
                at += 1
        return SomeSessions(found, after if at < len(self._blocks) else None)
