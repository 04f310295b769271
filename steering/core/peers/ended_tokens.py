"""Tokens that a controller had until a moment ago.

When a switch changes hands, its old owner gives up its sessions, and the new owner reads them from the switch. In between nobody has their
tokens, and a third controller may not have heard of the change yet. So a token that has just ended, here or elsewhere, is not unknown: a join with it
gets no answer, and its host sends it again.
"""

from collections.abc import Iterable

from steering.wire.peer_messages import TokenEntry

REMEMBERED = 10.0  # seconds; a new owner has read its switches by then
MOST = 65_536  # most tokens; of more, those that ended first are forgotten


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
        """Forget what is too old, and what there is no room for."""
        while self._until:
            token = next(iter(self._until))
            if self._until[token] > now and len(self._until) <= MOST:
                return
            del self._until[token]
