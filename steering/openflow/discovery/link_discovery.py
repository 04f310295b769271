"""Discovers which switch ports are connected by a link: it makes announcements, and takes those that switches
receive. Time is an argument.

Each direction of a link is treated by itself. A link that was lost must be good for `hold` seconds before it counts
again. A link that is seen for the first time counts at once.

Like the polls of ports and meters it is not in the core, since it only turns messages of switches into inputs of the
engine, and decides nothing. A site that declares its links does not need it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from steering.core.inputs import LinkDown, LinkUp
from steering.model.ids import DatapathId, PortNumber
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef
from steering.openflow.discovery.link_trips import LinkTrips, Outliers
from steering.openflow.discovery.seen_links import SeenLinks
from steering.wire.errors import WireError
from steering.wire.lldp import Announcement, announce, read_announcement

LARGEST_PORT = 0xFFFF_FF00  # OFPP_MAX
LOST = float("-inf")  # the time of the last frame, for a link that was lost
HOLD = 3.0  # seconds for which a link that was lost must be good before it counts again
LOST_WITHIN = 3.0  # seconds within which a link without frames is reported as lost
LATE = 0.5  # the part of these seconds that delays in a busy controller may take
INTERVALS = 3  # intervals without a frame after which a link is lost
INTERVAL = (LOST_WITHIN - LATE) / INTERVALS  # seconds between the frames of a port
MISSED = 1.25  # intervals without a frame after which a frame counts as missing
REPEATS = 9  # announcements an interval for a link whose frame is missing
MOST_REPEATED = 64  # most such links that are announced at a time
_TICKS = 1_000_000  # sequence numbers count so many a second

LinkChange = LinkUp | LinkDown | LinkTrip


class Rejection(StrEnum):
    """Why a discovery frame was refused (counter `malformed`)."""

    FORGED = "lldp-forged"  # it has another form, or its HMAC is wrong
    FOREIGN = "lldp-foreign"  # it is of another run: a replay, or another controller with the same key
    REPLAYED = "lldp-replayed"  # it is not newer than the last one of that port, or too old
    MISPLACED = "lldp-misplaced"  # it was sent from or received at an attachment or unknown port
    TOO_MANY = "lldp-too-many"  # too many different links of its switch were seen, or of switches that the site does not name
    ELSEWHERE = (
        "lldp-elsewhere"  # it came in at another port than the link's, whose own port still gets frames
    )


@dataclass(slots=True)
class _Adjacency:
    """The state of the link that leaves one port."""

    far: PortRef
    sequence: int
    seen: float
    good_since: float
    up: bool
    trips: LinkTrips = field(default_factory=LinkTrips)
    # Since when trips over this link take longer than before, and trips over others do not.
    alone: float = float("inf")
    told: bool = False  # whether the longer trips were reported
    timed: float = LOST  # when the last trip was measured


class Discovery:
    """Announces at every port that may lead to a switch, and keeps the links of received announcements.

    `attachments`: ports where hosts hang. Nothing is announced there, and nothing that comes in there is believed. `epoch`: 64 bits that
    no other run used. `interval`, `hold` and `orphan` are seconds.

    A link is lost after INTERVALS without a frame, so that its loss is reported within LOST_WITHIN. From the first missing frame on, it
    is announced REPEATS times as often: a full link may lose half of all frames, and is not dead. While one of its switches is not
    connected to the controller, no frame can be received, but the switches still forward. Such a link is kept for `orphan`.

    `link_ports`: the only ports that may have a link, None for all but attachments. Somebody who carries frames of this controller
    between two other ports feigns a link; the ports of `link_ports` only the operator can connect. `named`: the switches that the site
    names, None for all. If the site allows other switches, anybody may bring any number of them, with any links.
    """

    def __init__(
        self,
        key: bytes,
        epoch: int,
        attachments: Collection[PortRef],
        *,
        interval: float = INTERVAL,
        hold: float = HOLD,
        orphan: float = 60.0,
        link_ports: Collection[PortRef] | None = None,
        named: Collection[DatapathId] | None = None,
    ) -> None:
        self._key = key
        self._epoch = epoch
        self._attachments = frozenset(attachments)
        self._link_ports = None if link_ports is None else frozenset(link_ports)
        self.interval = interval
        self._hold = hold
        self._orphan = orphan
        self._ports: dict[DatapathId, set[PortNumber]] = {}  # connected switch -> its ports that are up
        self._links: dict[PortRef, _Adjacency] = {}
        self._seen = SeenLinks(named)
        self._due = self._again = 0.0  # the next round, and the next for links whose frame is missing
        self._repeated = 0  # how many links with a missing frame had their turn in this pass
        self._outliers = Outliers()  # among the links that are not lost

    def attach(self, attachments: Collection[PortRef]) -> None:
        """Hosts and MCPs are attached to exactly these ports from now on."""
        self._attachments = frozenset(attachments)

    # ---- what the switches say -----------------------------------------------------------------

    def switch_up(self, dpid: DatapathId, ports: Mapping[PortNumber, bool], now: float) -> list[LinkChange]:
        """A switch has connected. The links of its ports that are down are lost."""
        self._ports[dpid] = {port for port, up in ports.items() if up and 0 < port <= LARGEST_PORT}
        changes: list[LinkChange] = []
        for link in self._touching(dpid):
            if any(end.dpid == dpid and end.port not in self._ports[dpid] for end in link):
                changes += self._lose(link[0])
            elif self._links[link[0]].up:
                # No frames of the link could arrive while the switch was away, so its age counts from now. A link
                # that was lost stays lost until a frame arrives; its hold begins then.
                self._links[link[0]].seen = now
        return changes

    def switch_down(self, dpid: DatapathId) -> None:
        """A switch has lost its connection. It still forwards, so its links stay for a while."""
        self._ports.pop(dpid, None)

    def port_status(self, ref: PortRef, up: bool) -> list[LinkChange]:
        """A port went up or down. If it went down, its links are lost at once."""
        known = self._ports.get(ref.dpid)
        if known is None:
            return []
        if up and 0 < ref.port <= LARGEST_PORT:
            known.add(ref.port)
            return []
        known.discard(ref.port)
        changes: list[LinkChange] = []
        for link in self._touching(ref.dpid):
            if ref in link:
                changes += self._lose(link[0])
        return changes

    def _touching(self, dpid: DatapathId) -> list[tuple[PortRef, PortRef]]:
        return [(near, link.far) for near, link in self._links.items() if dpid in (near.dpid, link.far.dpid)]

    def _may_have_link(self, ref: PortRef) -> bool:
        return ref not in self._attachments and (self._link_ports is None or ref in self._link_ports)

    # ---- announcements -------------------------------------------------------------------------

    def announcements(
        self, now: float, clock: Callable[[], float] | None = None
    ) -> Iterator[tuple[PortRef, bytes]]:
        """The frames to send now, each with its port: for all ports if a round is due, else for the links whose frame is missing.
        `clock`: gives the time at which each frame leaves, because a round takes a while. Without it all frames leave at `now`."""
        if now >= self._due:
            self._due = now + self.interval
            refs = self._refs(list(self._ports))
        elif now >= self._again:
            refs = iter(self._missed(now))
        else:
            return iter(())
        self._again = now + self.interval / REPEATS
        return self._frames(refs, clock or (lambda: now))

    def _refs(self, dpids: Iterable[DatapathId]) -> Iterator[PortRef]:
        for dpid in dpids:
            yield from (PortRef(dpid, port) for port in sorted(self._ports.get(dpid, ())))

    def _missed(self, now: float) -> list[PortRef]:
        """The ports where links begin of which a frame is missing: at most MOST_REPEATED of them, in turn. Links that are lost, or of
        which no frame could be received now, are left out."""
        before = now - MISSED * self.interval
        silent = [
            near
            for near, link in self._links.items()
            if LOST < link.seen < before
            and near.port in self._ports.get(near.dpid, ())
            and link.far.dpid in self._ports
        ]
        begin = self._repeated if self._repeated < len(silent) else 0
        self._repeated = begin + MOST_REPEATED
        return silent[begin : begin + MOST_REPEATED]

    def _frames(self, refs: Iterable[PortRef], clock: Callable[[], float]) -> Iterator[tuple[PortRef, bytes]]:
        for ref in refs:
            if self._may_have_link(ref):
                source = b"\x02" + (ref.dpid & 0xFF_FFFF_FFFF).to_bytes(5, "big")
                sequence = int(clock() * _TICKS)
                yield (
                    ref,
                    announce(self._key, Announcement(ref.dpid, ref.port, self._epoch, sequence), source),
                )

    # ---- what is heard -------------------------------------------------------------------------

    def heard(self, at: PortRef, frame: bytes, now: float) -> list[LinkChange] | Rejection:
        """A discovery frame came in at port `at`."""
        try:
            said = read_announcement(self._key, frame)
        except WireError:
            return Rejection.FORGED
        if said.epoch != self._epoch:
            return Rejection.FOREIGN
        near = PortRef(DatapathId(said.dpid), PortNumber(said.port))
        if at == near or not (self._may_have_link(at) and self._may_have_link(near)):
            return Rejection.MISPLACED
        if at.port not in self._ports.get(at.dpid, ()) or near.port not in self._ports.get(near.dpid, ()):
            return Rejection.MISPLACED
        sent = said.sequence / _TICKS
        link = self._links.get(near)
        if not now - 2 * self.interval <= sent <= now + 1e-3 or (link and said.sequence <= link.sequence):
            return Rejection.REPLAYED
        if link is not None and link.far != at and link.up and now - link.seen <= INTERVALS * self.interval:
            # Somebody carries the frame there. If a cable had been moved, the old end would have no carrier, or get no frames.
            return Rejection.ELSEWHERE
        if not self._seen.takes(near, at):
            return Rejection.TOO_MANY
        if link is None:
            link = self._links[near] = _Adjacency(at, said.sequence, now, now, True)
            self._outliers.count(near.dpid, at.dpid, 1, 0)
            changes: list[LinkChange] = [LinkUp(near, at)]
        else:
            changes = self._refresh(near, link, at, said.sequence, now)
        if now - link.timed < self.interval / 2:
            return (
                changes  # repeated frames come close together, and the trips of all of them would be the same
            )
        link.timed = now
        return [*changes, *self._measured(near, link, now - sent, now)]

    def _measured(self, near: PortRef, link: _Adjacency, trip: float, now: float) -> list[LinkChange]:
        """An announcement took `trip` seconds over a link. Returns a change if this link alone takes much longer than before, or does
        so no longer."""
        trips = link.trips
        before = trips.is_outlier
        trips.add(trip, now)
        if trips.is_outlier is not before:
            self._outliers.count(near.dpid, link.far.dpid, 0, trips.is_outlier - before)
        if not trips.is_outlier or self._outliers.excuse(near.dpid, link.far.dpid):
            link.alone = float("inf")
        elif link.alone > now:
            link.alone = now
        if trips.usual is None or trips.is_outlier is link.told:
            return []
        # Whether other links take longer too is known one round later, or two rounds if a frame was lost.
        if trips.is_outlier and now - link.alone < 1.5 * self.interval:
            return []
        link.told = trips.is_outlier
        return [LinkTrip(near, link.far, trips.least, trips.usual, link.told)]

    def _refresh(
        self, near: PortRef, link: _Adjacency, at: PortRef, sequence: int, now: float
    ) -> list[LinkChange]:
        changes: list[LinkChange] = []
        if link.far != at:
            changes += self._lose(near)
            link.trips = LinkTrips()
            link.far = at
            link.good_since = now
        elif not link.up and now - link.seen > INTERVALS * self.interval:
            link.good_since = now  # no frame came meanwhile, so the hold starts again
        if link.seen == LOST:
            self._outliers.count(near.dpid, at.dpid, 1, link.trips.is_outlier)
        link.sequence = sequence
        link.seen = now
        if not link.up and now - link.good_since >= self._hold:
            link.up = True
            changes.append(LinkUp(near, at))
        return changes

    def expire(self, now: float) -> list[LinkChange]:
        """Mark the links as lost that had no frame for too long."""
        changes: list[LinkChange] = []
        for near, link in self._links.items():
            both = near.dpid in self._ports and link.far.dpid in self._ports
            if link.seen != LOST and now - link.seen > (INTERVALS * self.interval if both else self._orphan):
                changes += self._lose(near)
        return changes

    def _lose(self, near: PortRef) -> list[LinkChange]:
        """Mark a link as lost. The record stays: it remembers that the link was lost once, and how long its announcements
        took. Somebody who inserts a device into a link has to unplug the cable first, and must not get a new record by that."""
        link = self._links[near]
        changes: list[LinkChange] = []
        if link.seen != LOST:
            self._outliers.count(near.dpid, link.far.dpid, -1, -link.trips.is_outlier)
        link.good_since = link.alone = float("inf")
        link.seen = LOST
        if link.told:
            link.told = False
            # If the link comes back and its trips still take longer, that is reported again.
            changes.append(LinkTrip(near, link.far, 0.0, 0.0, False))
        if link.up:
            link.up = False
            changes.append(LinkDown(near, link.far))
        return changes
