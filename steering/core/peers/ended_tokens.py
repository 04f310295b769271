"""Tokens that a controller had until a moment ago.

When a switch gets another owner, the old owner gives up the switch's sessions, and the new owner reads them from the switch. In between no
controller has their tokens, and a third controller may not have heard of the change yet. So a token that has just ended, at any controller,
does not count as unknown: a join with this token gets no answer, and its host sends it again.
"""

from collections.abc import Iterable

from steering.wire.peer_messages import TokenEntry

REMEMBERED = 10.0  # seconds; a new owner has read its switches by then
MOST = 65_536  # most tokens; the oldest are forgotten first


class EndedTokenMemory:
    """The tokens, each with the time until which it is remembered. Times are seconds of the engine's clock."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._until)

    def note(self, entries: Iterable[TokenEntry], now: float) -> None:
        """A controller has ended these sessions, or has given them up."""
        until = now + REMEMBERED
        for entry in entries:
            self._until.pop(entry.token, None)
            self._until[entry.token] = until
        self.expire(now)

    def has(self, token: int, now: float) -> bool:
        """Whether a session with this token has ended a moment ago."""
        return self._until.get(token, now) > now

    def expire(self, now: float) -> None:
        """Forget tokens that are too old, and the oldest of those for which there is no room."""
        while self._until:
            token = next(iter(self._until))
            if self._until[token] > now and len(self._until) <= MOST:
                return
            del self._until[token]
