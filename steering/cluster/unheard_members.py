"""Finds the members of a cell whose streams stay closed, though their leases live: their certificates are broken, for example.

While a member is not heard, no share moves only to level the load, because the member may be heard again in a moment. A member that is not
heard for LEFT_OUT seconds is left out. Then the other members level the load among themselves, and do not wait for it to assign shares. A
controller that hears no other member leaves none out, because the fault is probably its own.
"""

import logging
from collections.abc import Collection

LEFT_OUT = (
    30.0  # seconds; longer than a start, than cuts that end soon, and than members that begin anew in turn
)

log = logging.getLogger(__name__)


class UnheardMembers:
    """`late`: members that were not heard for LEFT_OUT seconds."""

    def __init__(self) -> None:
        self.late: frozenset[str] = frozenset()
        self._since: dict[str, float] = {}
        self._hears = False

    @property
    def left_out(self) -> frozenset[str]:
        return self.late if self._hears else frozenset()

    def look(self, unheard: Collection[str], hears: bool, now: float) -> None:
        """Note which members are not heard now, and whether any is heard. `now`: seconds, monotonic."""
        self._hears = hears
        self._since = {name: self._since.get(name, now) for name in unheard}
        late = frozenset(name for name, since in self._since.items() if now >= since + LEFT_OUT)
        if fresh := sorted(late - self.late):
            log.warning(
                "not heard for %d s, though etcd says that they live: %s. The load is levelled without them; "
                "look at their log, certificates and --peer-listen",
                LEFT_OUT,
                ", ".join(fresh),
            )
        self.late = late
