"""Decides when members of a cluster whose streams have ended count as lost.

A stream that has just ended may begin again at once (GRACE). If this controller itself was cut off, its streams to all
others end within some heartbeats of each other. So a single member counts as lost only after a message of another member
has come since its stream ended.
"""

from collections.abc import Callable

from steering.cluster.coordination import Coordination

GRACE = 0.1  # seconds in which a stream that ended may be there again


class LostMembers:
    """`heard_at`: when the last message of a controller came, in monotonic seconds; 0 without a stream to it."""

    def __init__(self, coordination: Coordination, heard_at: Callable[[str], float]) -> None:
        self._coordination = coordination
        self._heard_at = heard_at
        self._ended: dict[str, float] = {}

    @property
    def are_awaited(self) -> bool:
        """Whether `look` has to be called again."""
        return bool(self._ended)

    def ended(self, name: str, now: float) -> None:
        """The stream to member `name` has ended."""
        self._ended.setdefault(name, now)

    def found(self, name: str) -> None:
        """A stream to member `name` is open."""
        self._ended.pop(name, None)
        self._coordination.found(name)

    def look(self, now: float) -> None:
        """Report the lost members to the coordination."""
        due = {name: when + GRACE for name, when in self._ended.items() if now >= when + GRACE}
        if not due:
            return
        others = self._coordination.silence.heard - self._ended.keys()
        if others:
            newest = max(map(self._heard_at, others))
            lost = [name for name, since in due.items() if newest > since]
        else:
            lost = list(self._ended)  # reported together: a single one would count as dead
        for name in lost:
            del self._ended[name]
        if lost:
            self._coordination.lost(*lost)
