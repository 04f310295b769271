"""Protects tokens from being guessed: a source that sends many joins with unknown tokens gets no answer to any join, whether
its token is right or wrong.

Without this, a guesser could see a right guess, because an MCP answers a join with a right token (RFC 8684 section 3.2). A
source is an address, or an IPv6 /64 that belongs to one host (SiteMap.origin_of). It may send some wrong tokens, because an
honest join may come before its token is known, or after a restart.
"""

from steering.core.sessions.flow_key import FlowKey, OriginOf, source_of

FREE = 256  # wrong tokens that a source may send: several hosts may share the source's address
SECONDS = 10.0  # how long a wrong token counts, and how long a source with too many gets no answer
MOST = 4_096  # most sources that are remembered; beyond that the oldest is forgotten


class TokenGuesses:
    """Counts wrong tokens by source. `disabled`, for the negative control: nothing is counted."""

    def __init__(self, origin_of: OriginOf, disabled: bool = False) -> None:
        self._origin_of = origin_of
        self._disabled = disabled
        self._wrong: dict[bytes, tuple[float, int]] = {}  # source -> until when, how many; in order of time

    def __len__(self) -> int:
        return len(self._wrong)

    def wrong(self, key: FlowKey, now: float) -> None:
        """Count a wrong token in a join of this flow."""
        if self._disabled:
            return
        source = self._origin_of(source_of(key))
        until, count = self._wrong.pop(source, (0.0, 0))
        if len(self._wrong) >= MOST:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[source] = (now + SECONDS, count + 1 if until > now else 1)

    def bars(self, key: FlowKey, now: float) -> bool:
        """Whether the flow's source has sent too many wrong tokens."""
        if not self._wrong:
            return False
        until, count = self._wrong.get(self._origin_of(source_of(key)), (0.0, 0))
        return count >= FREE and until > now

    def expire(self, now: float) -> None:
        """Forget sources whose time is over."""
        while self._wrong:
            source, (until, _) = next(iter(self._wrong.items()))
            if until > now:
                break
            del self._wrong[source]
