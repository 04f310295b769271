"""Pauses listeners for a moment when this machine has no descriptor or no memory for another connection.

Connections that wait stay in the kernel's queue. Without the pause, epoll would report them again at once and the
loop would spin. No connection is refused because of a pause.
"""

import errno
from math import inf

from steering.relay.counters import RelayCounters
from steering.relay.log import Log

PAUSE_S = 0.2  # seconds of a pause, at least; it ends with a tick of the relay's loop
QUIET_S = 10.0  # seconds without a pause, after which the next one is logged again
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class AcceptBackoff:
    """The pauses of all listeners of one kind, whose name in the log is `listener`. Each pause is counted; of pauses
    in a row the first is logged."""

    def __init__(self, listener: str, counters: RelayCounters, log: Log) -> None:
        self._listener = listener
        self._counters = counters
        self._log = log
        self._last = -inf
        self._until = inf

    def begins(self, error: OSError, now: float) -> bool:
        """Take an error of `accept`; whether a pause begins, in which the listeners are not watched until `ends`.
        `now`: seconds."""
        if error.errno not in OUT_OF_RESOURCES:
            return False
        self._counters.accept_paused += 1
        if now >= self._last + QUIET_S:
            self._log.event("accept paused", listener=self._listener, reason=error.strerror)
        self._last, self._until = now, now + PAUSE_S
        return True

    @property
    def active(self) -> bool:
        """Whether there is a pause now."""
        return self._until != inf

    def ends(self, now: float) -> bool:
        """Whether the pause is over, once after each pause: the listeners have to be watched again."""
        if now < self._until:
            return False
        self._until = inf
        return True
