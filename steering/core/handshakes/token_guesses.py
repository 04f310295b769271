"""Sources that guess tokens: who sends many joins whose token nobody knows gets no answer to any, right or wrong.

An MCP answers each join with a token of its own (RFC 8684 3.2), so a right guess shows. A source, an address or an IPv6 /64
that is one host's (SiteMap.origin_of), has a few wrong ones free: a host may join while its token is a packet away, or after
a restart.
"""

from steering.core.sessions.flow_key import FlowKey, Origin, source_of

FREE = 256  # wrong tokens of a source: others may be behind its address, and get no answer then either
SECONDS = 10.0  # for which one counts, and for which a source that had too many gets no answer
MOST = 4_096  # sources that are remembered; of more, the oldest is forgotten


class TokenGuesses:
    """Counts wrong tokens by source. `disabled`, for the negative control: nobody is counted."""

    def __init__(self, origin_of: Origin, disabled: bool = False) -> None:
        self._origin_of = origin_of
        self._disabled = disabled
        self._wrong: dict[bytes, tuple[float, int]] = {}  # source -> until when, how many; in order of time

    def __len__(self) -> int:
        return len(self._wrong)

    def wrong(self, key: FlowKey, now: float) -> None:
        """A join of this flow had a token that nobody knows."""
        if self._disabled:
            return
        source = self._origin_of(source_of(key))
        until, count = self._wrong.pop(source, (0.0, 0))
        if len(self._wrong) >= MOST:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[source] = (now + SECONDS, count + 1 if until > now else 1)

    def bars(self, key: FlowKey, now: float) -> bool:
        """Whether the flow's source had too many wrong ones."""
        if not self._wrong:
            return False
        until, count = self._wrong.get(self._origin_of(source_of(key)), (0.0, 0))
        return count >= FREE and until > now

    def tick(self, now: float) -> None:
        """Forget those whose time is over."""
        while self._wrong:
            source, (until, _) = next(iter(self._wrong.items()))
            if until > now:
                break
            del self._wrong[source]
