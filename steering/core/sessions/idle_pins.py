"""Sessions that are idle and keep their entries: who holds how many of them, and whose goes when there are too many.

Of an access network the port that holds most loses first, and of that port the source that holds most: its oldest. So whoever
lets many sessions fall silent pushes out its own, and no neighbour's. Each step takes the same time, however many there are.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from steering.core.sessions.flow_key import Origin, split
from steering.core.sessions.records import Session
from steering.model.ids import WaypointId

Key = TypeVar("Key", bound=Hashable)


class Holdings(Generic[Key]):
    """How many each holder has, and which has most: of several the one that came to this number first."""

    __slots__ = ("_count", "_having", "_most")

    def __init__(self) -> None:
        self._count: dict[Key, int] = {}
        self._having: dict[int, dict[Key, None]] = {}  # number -> who has so many
        self._most = 0

    def __len__(self) -> int:
        return len(self._count)

    def count(self, holder: Key) -> int:
        return self._count.get(holder, 0)

    def change(self, holder: Key, by: int) -> None:
        """One more (`by` 1) or one less (-1)."""
        before = self._count.pop(holder, 0)
        if before:
            having = self._having[before]
            del having[holder]
            if not having:
                del self._having[before]
        if after := before + by:
            self._count[holder] = after
            self._having.setdefault(after, {})[holder] = None
        if after > self._most:
            self._most = after
        elif self._most not in self._having:
            self._most = max(0, self._most - 1)  # `holder` had most, alone, and has one less

    @property
    def largest(self) -> Key:
        """Who has most. Raises StopIteration where nobody has any."""
        return next(iter(self._having.get(self._most, ())))


class IdleAtPort:
    """Idle sessions of one port, by source: an address, or an IPv6 /64 that is one host's."""

    __slots__ = ("held", "holdings")

    def __init__(self) -> None:
        self.holdings: Holdings[bytes] = Holdings()
        self.held: dict[bytes, dict[int, Session]] = {}  # by source, then by id, the oldest first


class IdlePins:
    """All of them, by access network, port and source."""

    def __init__(self, origin_of: Origin) -> None:
        self._origin_of = origin_of
        self._networks: dict[str, Holdings[WaypointId]] = {}
        self._counts: dict[str, int] = {}
        self._ports: dict[tuple[str, WaypointId], IdleAtPort] = {}
        self._places: dict[int, tuple[str, WaypointId, bytes]] = {}  # by session id, as it was put there

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        """Their ids."""
        return iter(self._places)

    def count(self, access: str) -> int:
        """How many an access network has."""
        return self._counts.get(access, 0)

    def add(self, session: Session) -> None:
        access, edge, source = place = session.idle_at, session.onset.edge, self._source(session)
        self._places[session.id] = place
        self._counts[access] = self._counts.get(access, 0) + 1
        self._networks.setdefault(access, Holdings()).change(edge, 1)
        port = self._ports.setdefault((access, edge), IdleAtPort())
        port.holdings.change(source, 1)
        port.held.setdefault(source, {})[session.id] = session

    def discard(self, session: Session) -> bool:
        """Returns whether it was there."""
        place = self._places.pop(session.id, None)
        if place is None:
            return False
        access, edge, source = place
        self._counts[access] -= 1
        network, port = self._networks[access], self._ports[access, edge]
        network.change(edge, -1)
        port.holdings.change(source, -1)
        del port.held[source][session.id]
        if not port.held[source]:
            del port.held[source]
        if not port.held:
            del self._ports[access, edge]
        if not len(network):
            del self._networks[access], self._counts[access]
        return True

    def first_to_go(self, access: str | None = None) -> Session | None:
        """The one that gives its place to others in an access network, or in the one that has most of them."""
        if access is None:
            access = max(self._counts, key=self._counts.__getitem__, default="")
        network = self._networks.get(access)
        if network is None:
            return None
        port = self._ports[access, network.largest]
        return next(iter(port.held[port.holdings.largest].values()))

    def _source(self, session: Session) -> bytes:
        """Who it is that holds a session: its host."""
        _, source, destination, _, _ = split(session.first)
        return self._origin_of(destination if session.reverse else source)
