"""Opens ports that have a new link: their switches have to let packets of other switches in before any label leads over the link.

Otherwise a label would send packets to a switch that drops everything that comes in at the port. So the rules that open ports are sent in a
slice of their own, before the labels that follow the graph. The rules that close a port are sent last, with all other changes.
"""

from collections.abc import Callable, Iterable

from steering.core.network.switch import Switches
from steering.core.pipeline.pieces import CHANGED, LOOKED, MADE, PendingRules, PieceName, PieceWork, Rules
from steering.core.pipeline.switch_change import Change
from steering.model.ids import DatapathId

CORE_PORTS = "core ports"  # the piece that depends on which ports of a switch have links


class OpenedPorts:
    """The switches whose links changed. `held`: what each switch holds, by switch and piece."""

    def __init__(self, switches: Switches, held: dict[DatapathId, dict[PieceName, Rules]]) -> None:
        self._switches = switches
        self._held = held
        self._looked_for: dict[DatapathId, None] = {}

    def __bool__(self) -> bool:
        """Whether there are switches to look at."""
        return bool(self._looked_for)

    def add(self, dpids: Iterable[DatapathId]) -> None:
        """Links of these switches came or went."""
        self._looked_for |= dict.fromkeys(dpids)

    def forget(self, dpid: DatapathId) -> None:
        """A switch is gone, or is filled anew."""
        self._looked_for.pop(dpid, None)

    def open_next(
        self, make: Callable[[DatapathId], Rules | PendingRules], changes: dict[DatapathId, Change]
    ) -> int:
        """Add the rules that one switch lacks to its changes. Returns the units of work."""
        dpid = next(iter(self._looked_for))
        del self._looked_for[dpid]
        if not self._switches.is_filled(dpid):
            return LOOKED  # the filling sends them
        work = PieceWork(dpid, CORE_PORTS, make(dpid))
        cost = LOOKED
        while work.rules is None:
            cost += MADE * work.go_on()
        had = self._held[dpid].get(CORE_PORTS, {})
        lacked = {key: rule for key, rule in work.rules.items() if key not in had}
        if lacked:
            self._held[dpid][CORE_PORTS] = {**had, **lacked}
            cost += CHANGED * changes.setdefault(dpid, Change()).compare({}, lacked)
        return cost
