"""When members of a cluster whose streams have ended count as lost.

A stream that has just ended may be there again. After that the question is who was cut off: streams of all others end within
some heartbeats of each other then, so a member counts as lost alone only when another one was heard afterwards.
"""

from collections.abc import Callable

from steering.cluster.coordination import Coordination

GRACE = 0.1  # seconds in which a stream that ended may be there again


class LostMembers:
    """`heard_at`: when something came of a controller last, in seconds, monotonic; 0 where there is no stream with it."""

    def __init__(self, coordination: Coordination, heard_at: Callable[[str], float]) -> None:
        self._coordination = coordination
        self._heard_at = heard_at
        self._ended: dict[str, float] = {}

    @property
    def are_awaited(self) -> bool:
        """Whether `look` has to be called again."""
        return bool(self._ended)

    def ended(self, name: str, now: float) -> None:
        """A stream has ended."""
        self._ended.setdefault(name, now)

    def found(self, name: str) -> None:
        """A stream is open."""
        self._ended.pop(name, None)
        self._coordination.found(name)

    def look(self, now: float) -> None:
        """Tell who is lost."""
        due = {name: when + GRACE for name, when in self._ended.items() if now >= when + GRACE}
        if not due:
            return
        others = self._coordination.silence.heard - self._ended.keys()
        if others:
            newest = max(map(self._heard_at, others))
            lost = [name for name, since in due.items() if newest > since]
        else:
            lost = list(self._ended)  # all at once, or the first of them would count as dead
        for name in lost:
            del self._ended[name]
        if lost:
            self._coordination.lost(*lost)
