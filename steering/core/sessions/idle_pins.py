"""Idle sessions, which keep their entries, and which of them ends if there are too many.

If an access network has too many, the port with the most loses one, and of this port the source with the most: its oldest. So
a host that lets many sessions fall silent loses its own sessions, not those of its neighbours. Each step takes constant time.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from steering.core.sessions.flow_key import OriginOf, split
from steering.core.sessions.records import Session
from steering.model.ids import WaypointId

Key = TypeVar("Key", bound=Hashable)


class Holdings(Generic[Key]):
    """Counts by holder, and the holder with the greatest count. If several have it, the one that reached it first."""

    __slots__ = ("_count", "_having", "_most")

    def __init__(self) -> None:
        self._count: dict[Key, int] = {}
        self._having: dict[int, dict[Key, None]] = {}  # count -> the holders with this count
        self._most = 0

    def __len__(self) -> int:
        return len(self._count)

    def count(self, holder: Key) -> int:
        return self._count.get(holder, 0)

    def change(self, holder: Key, by: int) -> None:
        """Change a holder's count by 1 or -1."""
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
            self._most = max(0, self._most - 1)  # `holder` alone had the greatest count, and has one less now

    @property
    def largest(self) -> Key:
        """The holder with the greatest count. Raises StopIteration if there are no holders."""
        return next(iter(self._having.get(self._most, ())))


class IdleAtPort:
    """Idle sessions of one port, by source: an address, or an IPv6 /64 that is one host's."""

    __slots__ = ("held", "holdings")

    def __init__(self) -> None:
        self.holdings: Holdings[bytes] = Holdings()
        self.held: dict[bytes, dict[int, Session]] = {}  # by source, then by id, the oldest first


class IdlePins:
    """All idle sessions, by access network, port and source."""

    def __init__(self, origin_of: OriginOf) -> None:
        self._origin_of = origin_of
        self._networks: dict[str, Holdings[WaypointId]] = {}
        self._counts: dict[str, int] = {}
        self._ports: dict[tuple[str, WaypointId], IdleAtPort] = {}
        self._places: dict[int, tuple[str, WaypointId, bytes]] = {}  # by session id: where it was added

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        """The ids of the idle sessions."""
        return iter(self._places)

    def count(self, access: str) -> int:
        """How many idle sessions an access network has."""
        return self._counts.get(access, 0)

    def add(self, session: Session) -> None:
        access, entrance, source = place = session.idle_at, session.onset.entrance, self._source(session)
        self._places[session.id] = place
        self._counts[access] = self._counts.get(access, 0) + 1
        self._networks.setdefault(access, Holdings()).change(entrance, 1)
        port = self._ports.setdefault((access, entrance), IdleAtPort())
        port.holdings.change(source, 1)
        port.held.setdefault(source, {})[session.id] = session

    def discard(self, session: Session) -> bool:
        """Remove a session. Returns whether it was among the idle ones."""
        place = self._places.pop(session.id, None)
        if place is None:
            return False
        access, entrance, source = place
        self._counts[access] -= 1
        network, port = self._networks[access], self._ports[access, entrance]
        network.change(entrance, -1)
        port.holdings.change(source, -1)
        del port.held[source][session.id]
        if not port.held[source]:
            del port.held[source]
        if not port.held:
            del self._ports[access, entrance]
        if not len(network):
            del self._networks[access], self._counts[access]
        return True

    def first_to_go(self, access: str | None = None) -> Session | None:
        """The session of an access network that has to end first, None if there is none. `access` None: of the access
        network with the most idle sessions."""
        if access is None:
            access = max(self._counts, key=self._counts.__getitem__, default="")
        network = self._networks.get(access)
        if network is None:
            return None
        port = self._ports[access, network.largest]
        return next(iter(port.held[port.holdings.largest].values()))

    def _source(self, session: Session) -> bytes:
        """The origin of the host of a session."""
        _, source, destination, _, _ = split(session.first)
        return self._origin_of(destination if session.reverse else source)
