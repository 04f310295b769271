"""Sends at the end of a turn of the hub, once for all connections that were read in the turn.

In one turn the hub serves every connection that is readable. Each write costs a system call of 4 us, and each barrier
another one and an answer. So the messages that one read caused wait until the other ready connections were read too.
Then each switch gets one write. In this way a set-up on a busy controller takes 0.4 writes, where it took 1.9.

Where the hub found only one connection ready, there is no other to wait for, and the messages leave at once: a greenlet
for the turn's end costs 16 us and more, three times in a set-up.
"""

import logging
from collections.abc import Callable
from typing import Any

LONGEST = 0.002  # most seconds that messages wait while the hub serves other connections

log = logging.getLogger(__name__)


class TurnEnd:
    """Calls `end` with the time of `clock`, once in each turn in which `wish` was called. `spawn` has the hub run a
    function after it has served all ready connections. `is_alone`: whether only one connection is served in this
    turn."""

    def __init__(
        self,
        end: Callable[[float], None],
        clock: Callable[[], float],
        spawn: Callable[[Callable[[], None]], object],
        is_alone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._end = end
        self._clock = clock
        self._spawn = spawn
        self._is_alone = is_alone
        self._since: float | None = None  # when `wish` was first called in this turn

    def wish(self, now: float) -> None:
        """There is something to send. In a turn that has lasted LONGEST already, `end` is called at once."""
        if self._since is None:
            if self._is_alone():
                self._send(now)
                return
            self._since = now
            self._spawn(self._over)
        elif now - self._since >= LONGEST:
            self._since = now
            self._end(now)

    def _over(self) -> None:
        self._since = None
        self._send(self._clock())

    def _send(self, now: float) -> None:
        try:
            self._end(now)
        except Exception:
            log.exception("sending at the end of a turn failed")


class HubPoll:
    """Replaces the `do_poll` of an eventlet hub, and remembers whether it found only one ready descriptor."""

    def __init__(self, poll: Callable[[float], list[Any]]) -> None:
        self._poll = poll
        self._found = 0

    def __call__(self, seconds: float) -> list[Any]:
        found = self._poll(seconds)
        self._found = len(found)
        return found

    def found_one(self) -> bool:
        """Whether the hub found exactly one descriptor ready when it looked last."""
        return self._found == 1

    def others_wait(self, fd: int) -> bool:
        """Whether a descriptor other than `fd` is ready now. The hub misses nothing by this question: a ready descriptor
        stays ready until it is read."""
        return any(found != fd for found, _ in self._poll(0))


def watched_poll(hub: Any) -> HubPoll | None:
    """Replace the hub's `do_poll` with a HubPoll and return it; None for a hub without `do_poll`, such as one on
    asyncio."""
    poll = getattr(hub, "do_poll", None)
    if poll is None or isinstance(poll, HubPoll):
        return poll
    hub.do_poll = HubPoll(poll)
    return hub.do_poll  # type: ignore[no-any-return]
