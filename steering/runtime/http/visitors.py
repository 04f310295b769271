"""Bounds the connections to REST. Connections without a known token (strangers) are bounded by source; connections with a
known token have places of their own.

A client that sends its request at once is no stranger any more within milliseconds. A client that sends byte by byte
stays a stranger. So when the strangers' places are full, the oldest connection of the source with the most strangers is
ended.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from steering.core.counters import Counters
from steering.model.identity import Identity, Role
from steering.model.log_limit import LogLimit, and_more
from steering.model.refused_connections import RestRefusal
from steering.openflow.budgets import Newcomers, source_of
from steering.openflow.connection.descriptors import rest_places

MOST_STRANGERS = 128
STRANGERS_OF_SOURCE = 32
OF_TOKEN = 32  # most connections of one token that is not an operator's
FOR_OPERATORS = 4  # one in so many places of known tokens is for operators only
DELAY_STEP = 0.1  # seconds of delay for each wrong token of the same source in WRONG_WINDOW
LONGEST_DELAY = 2.0
WRONG_WINDOW = 60.0  # seconds for which a wrong token counts
REMEMBERED = 4_096  # most wrong tokens whose source and time are remembered

log = logging.getLogger(__name__)


class Visitor:
    """One connection to REST."""

    def __init__(self, visitors: "Visitors", connection: Any, source: str) -> None:
        self._visitors = visitors
        self.connection = connection
        self.source = source
        self.who: Identity | None = None

    def welcome(self, who: Identity) -> bool:
        """A request showed a known token. Returns whether there is room for one more connection with that token."""
        return self._visitors.welcome(self, who)

    def hang_up(self) -> None:
        """End the connection. Its greenthread wakes up and cleans up."""
        with suppress(OSError, ValueError):
            self.connection.shutdown(2)


class Visitors:
    """All connections to REST. Half of the places are for strangers, MOST_STRANGERS at most; the others are for connections with a
    known token."""

    def __init__(self, counters: Counters, now: Callable[[], float] = monotonic) -> None:
        self._counters = counters
        self._now = now
        places = rest_places()
        strangers = min(MOST_STRANGERS, places // 2)
        self._places = places - strangers
        self._strangers: Newcomers[Visitor] = Newcomers(strangers, STRANGERS_OF_SOURCE)
        self._known: Counter[str] = Counter()  # connections by token
        self._operators = 0
        self._wrong: deque[tuple[float, str]] = deque(maxlen=REMEMBERED)
        self._wrong_of: Counter[str] = Counter()
        self._lines = LogLimit(WRONG_WINDOW)

    def enter(self, connection: Any, host: str) -> Visitor:
        """A connection was accepted. An older stranger's connection may be ended to make room."""
        visitor = Visitor(self, connection, source_of(host))
        oldest = self._strangers.enter(visitor, visitor.source)
        if oldest is not None:
            self._counters.rest_refused[RestRefusal.TOO_MANY_STRANGERS] += 1
            oldest.hang_up()
        return visitor

    def leave(self, visitor: Visitor) -> None:
        """A connection has ended."""
        self._strangers.leave(visitor)
        who = visitor.who
        if who is not None:
            self._known[who.id] -= 1
            if not self._known[who.id]:
                del self._known[who.id]
            self._operators -= who.role is Role.OPERATOR

    def welcome(self, visitor: Visitor, who: Identity) -> bool:
        """`visitor` showed the token of `who`. Returns whether the connection may stay."""
        if visitor.who is not None:
            return True
        total = self._known.total()
        if who.role is Role.OPERATOR:
            has_room = total < self._places
        else:
            theirs = self._places - self._places // FOR_OPERATORS
            has_room = total - self._operators < theirs and self._known[who.id] < min(OF_TOKEN, theirs)
        if not has_room:
            self._counters.rest_refused[RestRefusal.TOO_MANY_OF_TOKEN] += 1
            return False
        visitor.who = who
        self._strangers.leave(visitor)
        self._known[who.id] += 1
        self._operators += who.role is Role.OPERATOR
        return True

    def wrong_token(self, source: str, why: RestRefusal = RestRefusal.WRONG_TOKEN) -> float:
        """`source` showed an unknown or expired token. Returns the seconds by which the answer is delayed."""
        now = self._now()
        while self._wrong and (now - self._wrong[0][0] > WRONG_WINDOW or len(self._wrong) == REMEMBERED):
            _, old = self._wrong.popleft()
            self._wrong_of[old] -= 1
            if not self._wrong_of[old]:
                del self._wrong_of[old]
        self._wrong.append((now, source))
        self._wrong_of[source] += 1
        self._counters.rest_refused[why] += 1
        more = self._lines.left_out(why, now)
        if more is not None:
            what = "is none" if why is RestRefusal.WRONG_TOKEN else "has expired"
            log.warning("a token that %s was shown by %s%s", what, source, and_more(more))
        return min(LONGEST_DELAY, DELAY_STEP * self._wrong_of[source])
