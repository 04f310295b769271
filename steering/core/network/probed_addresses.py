"""Chooses the address by which an MCP or next hop is probed: the address that answered last, else each in turn.

An MCP or next hop with addresses of both families need not answer for both.
"""

from collections.abc import Collection

from steering.model.ids import WaypointId


class ProbedAddresses:
    """For each waypoint, its addresses in the order in which they are probed."""

    def __init__(self) -> None:
        self._order: dict[WaypointId, list[bytes]] = {}

    def answered(self, waypoint: WaypointId, address: bytes) -> None:
        """An address answered: it is probed first the next time."""
        order = self._order.get(waypoint, [])
        if address in order:
            order.remove(address)
            order.insert(0, address)

    def in_turn(self, waypoint: WaypointId, addresses: Collection[bytes]) -> list[bytes]:
        """The addresses in the order in which to probe them now. The first comes last the next time, unless it
        answers."""
        order = self._order.get(waypoint, [])
        if set(order) != set(addresses):
            order = self._order[waypoint] = sorted(addresses)
        turn = [*order]
        self._order[waypoint] = turn[1:] + turn[:1]
        return turn
