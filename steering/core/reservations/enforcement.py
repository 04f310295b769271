"""Keeps the rules and meters that switches should hold for all reservations.

If a reservation changes, only its own rules are made anew, and the rest meters of the links where the granted rate changes
(core.reservations.rules).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from steering.core.reservations.record import Reservation
from steering.core.reservations.rules import Builder, SwitchReservations
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import Network, PortRef
from steering.model.reservation import Standing

Prefixes = Mapping[str, tuple[Network, ...]]
Source = str | PortRef  # why a switch has rules: a reservation's id, or a port whose link is shared


class EnforcedReservation(NamedTuple):
    """One reservation with its rules, as it was when the rules were made."""

    one: Reservation
    rate: int
    ports: tuple[PortRef, ...]
    wanted: dict[DatapathId, SwitchReservations]


class Enforcement:
    """The rules and meters of `reservations` (by id), by switch. `prefixes` returns the prefixes of each subscriber."""

    def __init__(
        self, builder: Builder, reservations: Mapping[str, Reservation], prefixes: Callable[[], Prefixes]
    ) -> None:
        self._builder = builder
        self._reservations = reservations
        self._prefixes = prefixes
        self._made: dict[str, EnforcedReservation] = {}
        self._granted: Counter[PortRef] = Counter()  # bits/s on the link that begins at a port
        self._rests: dict[PortRef, SwitchReservations] = {}  # the rest meter of a link, and its rules
        self._at: defaultdict[DatapathId, dict[Source, None]] = defaultdict(dict)
        self._touched: dict[str, None] = {}  # reservations that are new, gone or changed
        self._ports: dict[PortRef, None] = {}  # ports of links whose rests have to be made anew
        self._concerned: set[DatapathId] = set()  # switches whose rules may have changed

    def touch(self, name: str) -> None:
        """A reservation is new, gone or changed."""
        self._touched[name] = None

    def links_changed(self) -> None:
        """Links have changed, so unreserved traffic may leave switches by other ports."""
        self._ports |= dict.fromkeys(self._rests)

    def changes(self) -> Iterator[tuple[DatapathId, SwitchReservations]]:
        """The switches whose rules may have changed since the last call, with all that each should hold."""
        self._follow()
        concerned, self._concerned = self._concerned, set()
        for dpid in sorted(concerned):
            yield dpid, self._wanted(dpid)

    def filled(self, dpid: DatapathId) -> SwitchReservations:
        """All that a switch should hold, made anew, because a filling has a new epoch in the cookies."""
        self._follow()
        sources = list(self._at.get(dpid, ()))
        for source in sources:
            if isinstance(source, str):
                made = self._made[source]
                again = self._builder.of(made.one, self._prefixes())
                made.wanted[dpid] = again.get(dpid, SwitchReservations())
        self._share([source for source in sources if isinstance(source, PortRef)])
        return self._wanted(dpid)

    def _follow(self) -> None:
        touched, self._touched = self._touched, {}
        for name in touched:
            if (old := self._made.pop(name, None)) is not None:
                for dpid in old.wanted:
                    del self._at[dpid][name]
                self._granted.subtract(_sums(old.ports, old.rate))
                self._concern(old)
            one = self._reservations.get(name)
            if one is not None and one.number and one.standing is Standing.GRANTED:
                new = self._made[name] = self._enforced(one)
                for dpid in new.wanted:
                    self._at[dpid][name] = None
                self._granted.update(_sums(new.ports, new.rate))
                self._concern(new)
        ports, self._ports = self._ports, {}
        self._share(ports)
        self._concerned.update(port.dpid for port in ports)

    def _concern(self, made: EnforcedReservation) -> None:
        self._concerned.update(made.wanted)
        self._ports |= dict.fromkeys(made.ports)

    def _enforced(self, one: Reservation) -> EnforcedReservation:
        ports = tuple(a for hops in one.routes for a, _ in hops)
        return EnforcedReservation(one, one.rate, ports, self._builder.of(one, self._prefixes()))

    def _share(self, ports: Iterable[PortRef]) -> None:
        """Make the rests of links anew."""
        leaving: dict[DatapathId, dict[PortNumber | None, list[str]]] = {}
        for port in ports:
            rate = self._granted[port]
            if rate <= 0:
                del self._granted[port]
                self._rests.pop(port, None)
                self._at[port.dpid].pop(port, None)
                continue
            if port.dpid not in leaving:
                leaving[port.dpid] = self._builder.labels_at(port.dpid)
            labels = leaving[port.dpid].get(port.port, ())
            self._rests[port] = self._builder.rest(port, rate, labels)
            self._at[port.dpid][port] = None

    def _wanted(self, dpid: DatapathId) -> SwitchReservations:
        found = SwitchReservations()
        for source in self._at.get(dpid, ()):
            one = self._made[source].wanted[dpid] if isinstance(source, str) else self._rests[source]
            found.rules |= one.rules
            found.meters |= one.meters
        return found


def _sums(ports: Iterable[PortRef], rate: int) -> Counter[PortRef]:
    return Counter({port: rate * times for port, times in Counter(ports).items()})
