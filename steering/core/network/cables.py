"""Knows which ports are connected by cables, and finds out by the neighbours of a switch whether the switch is off.

A link that is lost leaves the graph, but its cable stays here. If a switch has lost power, the ports at the far ends of its cables have no
carrier. If it has only lost its connection to the controller, they still have. This holds for declared and for discovered links.
"""

from collections.abc import Callable

from steering.core.network.switch import Switches
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef

MOST_ASIDE = 64  # most further switches without a connection that are examined for one switch


class Cables:
    """The cables that were ever believed, the latest one at each port. Discovery bounds them (discovery.seen_links). `is_elsewhere`:
    whether another controller decides for a switch, so that it needs no connection to this one."""

    def __init__(self, switches: Switches, is_elsewhere: Callable[[DatapathId], bool]) -> None:
        self._switches = switches
        self._is_elsewhere = is_elsewhere
        self._far: dict[DatapathId, dict[PortNumber, PortRef]] = {}

    def lay(self, a: PortRef, b: PortRef) -> None:
        """A cable connects two ports. Cables that were there before are gone."""
        if self._end(a) == b and self._end(b) == a:
            return
        for port in (a, b):
            before = self._far.get(port.dpid, {}).pop(port.port, None)
            if before is not None and self._end(before) == port:
                del self._far[before.dpid][before.port]
        self._far.setdefault(a.dpid, {})[a.port] = b
        self._far.setdefault(b.dpid, {})[b.port] = a

    def _end(self, port: PortRef) -> PortRef | None:
        return self._far.get(port.dpid, {}).get(port.port)

    def is_off(self, dpid: DatapathId) -> bool:
        """Whether a switch that does not answer is off: none of its cables has carrier at the far end.

        A neighbour that has lost its connection may be off too, so its other cables are examined together with those of the switch. A
        neighbour that never connected may only not have connected yet. If no connected neighbour sees a cable without carrier, the
        switch does not count as off: what a neighbour saw before it lost its connection may be a cable that was unplugged long ago.
        """
        group, todo, is_seen = {dpid}, [dpid], False
        while todo:
            for far in self._far.get(todo.pop(), {}).values():
                switch = self._switches.get(far.dpid)
                if far.dpid in group:
                    continue
                if switch is not None and not switch.ports.get(far.port, True):
                    is_seen = is_seen or switch.connected or self._is_elsewhere(far.dpid)
                elif self._may_be_on(far.dpid) or len(group) > MOST_ASIDE:
                    return False
                else:
                    group.add(far.dpid)
                    todo.append(far.dpid)
        return is_seen

    def _may_be_on(self, dpid: DatapathId) -> bool:
        switch = self._switches.get(dpid)
        return switch is None or switch.connected or not switch.fills or self._is_elsewhere(dpid)
