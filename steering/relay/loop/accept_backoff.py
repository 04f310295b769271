"""Listeners left alone for a moment when this machine cannot accept: it has no descriptor or no memory for whoever waits.

Who waits stays in the kernel's queue, so epoll would tell of it again at once, and nothing could be done: the loop would
spin. Nobody is turned away by it.
"""

import errno
from math import inf

from steering.relay.counters import RelayCounters
from steering.relay.log import Log

PAUSE_S = 0.2  # at least; it ends with a tick of the relay's loop
QUIET_S = 10.0  # without a pause: what comes then is a scarcity of its own, and said again
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class AcceptBackoff:
    """Of all listeners of one kind, named `listener` in the log. Each pause is counted, a scarcity is logged once."""

    def __init__(self, listener: str, counters: RelayCounters, log: Log) -> None:
        self._listener = listener
        self._counters = counters
        self._log = log
        self._last = -inf
        self._until = inf

    def begins(self, error: OSError, now: float) -> bool:
        """Whether `accept` failed so that the listeners are to be watched no more until `ends`; `now` in seconds."""
        if error.errno not in OUT_OF_RESOURCES:
            return False
        self._counters.accept_paused += 1
        if now >= self._last + QUIET_S:
            self._log.event("accept paused", listener=self._listener, reason=error.strerror)
        self._last, self._until = now, now + PAUSE_S
        return True

    @property
    def active(self) -> bool:
        """Whether the listeners are left alone now."""
        return self._until != inf

    def ends(self, now: float) -> bool:
        """Once after each pause: the listeners are to be watched again."""
        if now < self._until:
            return False
        self._until = inf
        return True
