"""Joins (MP_JOIN) that came before their token was known, and wait for it (G5).

A port may have at most as many waiting joins as there are free places. So a port that is flooded with joins leaves room to
the others.
"""

from collections.abc import Callable

from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment
from steering.model.ids import Token


class PendingJoins:
    """Holds at most `capacity()` joins, each for at most `seconds()`, as the policy in force says when it comes."""

    def __init__(self, capacity: Callable[[], int], seconds: Callable[[], float]) -> None:
        self._capacity = capacity
        self._seconds = seconds
        # In order of arrival, which is the order of deadlines.
        self._joins: dict[int, tuple[float, Token, Attachment, SynSeen]] = {}
        self.by_token: dict[Token, list[int]] = {}  # token -> the joins that wait for it
        self._at: dict[int, int] = {}  # waypoint -> number of joins that came in there
        self._next = 0

    def __len__(self) -> int:
        return len(self._joins)

    def add(self, token: Token, attachment: Attachment, seen: SynSeen, now: float) -> bool:
        """Hold a join. Returns False if there is no room for one more of its port."""
        place = attachment.waypoint.id
        here = self._at.get(place, 0)
        if here >= self._capacity() - len(self._joins):
            return False
        self._at[place] = here + 1
        self._joins[self._next] = (now + self._seconds(), token, attachment, seen)
        self.by_token.setdefault(token, []).append(self._next)
        self._next += 1
        return True

    def take(self, token: Token) -> list[tuple[Attachment, SynSeen]]:
        """Remove and return the joins that waited for a token, in the order in which they came."""
        found = [self._joins.pop(number) for number in self.by_token.pop(token, ())]
        for _, _, attachment, _ in found:
            self._left(attachment)
        return [(attachment, seen) for _, _, attachment, seen in found]

    def expire(self, now: float) -> list[tuple[Attachment, SynSeen]]:
        """Remove and return the joins that waited too long. A host whose SYN is dropped sends it again after a second."""
        over = []
        for number, (deadline, token, attachment, seen) in self._joins.items():
            if deadline > now:
                break
            over.append((number, token, attachment, seen))
            self._left(attachment)
        for number, token, *_ in over:
            del self._joins[number]
            waiting = self.by_token[token]
            waiting.remove(number)
            if not waiting:
                del self.by_token[token]
        return [(attachment, seen) for _, _, attachment, seen in over]

    def _left(self, attachment: Attachment) -> None:
        """A join from this attachment waits no longer."""
        place = attachment.waypoint.id
        left = self._at[place] - 1
        if left:
            self._at[place] = left
        else:
            del self._at[place]
