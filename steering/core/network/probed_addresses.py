"""Which address of an MCP or next hop is asked: one that answered, as long as it does, and else each in turn. One that has
addresses of both families need not answer for both."""

from collections.abc import Collection

from steering.model.ids import WaypointId


class ProbedAddresses:
    """By waypoint: the addresses in the order of asking."""

    def __init__(self) -> None:
        self._order: dict[WaypointId, list[bytes]] = {}

    def answered(self, waypoint: WaypointId, address: bytes) -> None:
        """This address is asked next."""
        order = self._order.get(waypoint, [])
        if address in order:
            order.remove(address)
            order.insert(0, address)

    def in_turn(self, waypoint: WaypointId, addresses: Collection[bytes]) -> list[bytes]:
        """The addresses, that first whose turn it is; it comes last the next time, unless it answers."""
        order = self._order.get(waypoint, [])
        if set(order) != set(addresses):
            order = self._order[waypoint] = sorted(addresses)
        turn = [*order]
        self._order[waypoint] = turn[1:] + turn[:1]
        return turn
