"""What a turn of the hub ends with: sending, once for all connections that had something to say.

In one turn the hub serves every connection that is readable. Each write costs a system call of 4 us, and each barrier one
more and an answer. So what a read caused waits until the other connections that are ready were read too, and leaves in
one write a switch. On a busy controller a set-up takes 0.4 writes in this way, where it took 1.9.

Where the hub found one connection ready, nobody is there to be waited for, and what that one caused leaves at once: a
greenlet for the turn's end costs 16 us and more, three times in a set-up.
"""

import logging
from collections.abc import Callable
from typing import Any

LONGEST = 0.002  # seconds that something may wait while the hub serves others

log = logging.getLogger(__name__)


class TurnEnd:
    """Calls `end` with the time of `clock`, once a turn in which someone wished for it. `spawn`: the hub's, for a function
    that it is to run when it has served all that is ready. `is_alone`: whether only one connection is served in this
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
        self._since: float | None = None  # when the first of this turn wished

    def wish(self, now: float) -> None:
        """There is something to send. A turn that has been long already ends here, as far as that goes."""
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
    """In place of the `do_poll` of an eventlet hub: what it finds, and whether that was only one descriptor."""

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
        """Whether a descriptor other than `fd` is ready now. The hub does not see this look: what is ready stays so until
        it is read."""
        return any(found != fd for found, _ in self._poll(0))


def watched_poll(hub: Any) -> HubPoll | None:
    """The hub's poll, watched from now on; None for a hub that has none, such as one on asyncio."""
    poll = getattr(hub, "do_poll", None)
    if poll is None or isinstance(poll, HubPoll):
        return poll
    hub.do_poll = HubPoll(poll)
    return hub.do_poll  # type: ignore[no-any-return]
