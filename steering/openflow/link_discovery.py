"""Which switch ports are joined by a link: announcements out, links in, both with a clock that is an argument.

Every direction of a link stands alone. A link that was lost must be seen good for `hold` seconds before it
counts again; one seen for the first time counts at once.

It is here and not in core for the reason that the polls of ports and meters are: it turns what switches show into
inputs of the engine, and decides nothing. A site that declares its links does without it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from steering.core.inputs import LinkDown, LinkUp
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef
from steering.wire.errors import WireError
from steering.wire.lldp import Announcement, announce, read_announcement

LARGEST_PORT = 0xFFFF_FF00  # OFPP_MAX
HOLD = 3.0  # seconds that a link which was lost must be seen good before it counts again
_TICKS = 1_000_000  # of a sequence number in a second

LinkChange = LinkUp | LinkDown


class Rejection(StrEnum):
    """Why a discovery frame was refused (counter `malformed`)."""

    FORGED = "lldp-forged"  # not of our form, or its HMAC is wrong
    FOREIGN = "lldp-foreign"  # of another run: a replay, or another controller with the same key
    REPLAYED = "lldp-replayed"  # not newer than the last one of that port, or too old
    MISPLACED = "lldp-misplaced"  # at or from an attachment or unknown port


@dataclass(slots=True)
class _Adjacency:
    """What is known of the link that leaves one port."""

    far: PortRef
    sequence: int
    seen: float
    good_since: float
    up: bool


class Discovery:
    """Announces on every port that may lead to a switch, and keeps the links that were heard.

    `attachments`: ports where hosts hang; nothing is announced there and nothing heard there is believed.
    `epoch`: 64 bits that no other run used. `interval`, `hold` and `orphan` are seconds: a link is lost after
    three intervals without a frame, that is within 3 s; while one of its switches is not connected to the controller, nothing
    can be heard and the switches forward on, so it is kept for `orphan`. `link_ports`: the only ports that may
    have a link, None for all but attachments. Somebody who carries our frames between two other ports draws a link
    that is not there; between these ports nobody but the operator has a wire.
    """

    def __init__(
        self,
        key: bytes,
        epoch: int,
        attachments: Collection[PortRef],
        *,
        interval: float = 0.9,
        hold: float = HOLD,
        orphan: float = 60.0,
        link_ports: Collection[PortRef] | None = None,
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
        self._due = 0.0

    def attach(self, attachments: Collection[PortRef]) -> None:
        """Hosts and MCPs hang at these ports from now on, and nowhere else."""
        self._attachments = frozenset(attachments)

    # ---- what the switches say -----------------------------------------------------------------

    def switch_up(self, dpid: DatapathId, ports: Mapping[PortNumber, bool], now: float) -> list[LinkChange]:
        """A switch connected; links of ports that are down now, are down."""
        self._ports[dpid] = {port for port, up in ports.items() if up and 0 < port <= LARGEST_PORT}
        changes: list[LinkChange] = []
        for link in self._touching(dpid):
            if any(end.dpid == dpid and end.port not in self._ports[dpid] for end in link):
                changes += self._lose(link[0])
            elif self._links[link[0]].up:
                # It could not be heard while away; the age counts from now. A link that was lost stays so until it
                # is heard: its hold begins then.
                self._links[link[0]].seen = now
        return changes

    def switch_down(self, dpid: DatapathId) -> None:
        """A switch lost its connection; it forwards on, so its links stay for a while."""
        self._ports.pop(dpid, None)

    def port_status(self, ref: PortRef, up: bool) -> list[LinkChange]:
        """A port went up or down; its links go down with it at once."""
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

    def announcements(self, now: float) -> Iterator[tuple[PortRef, bytes]]:
        """The frames to send now, if a round is due: (port, frame)."""
        if now < self._due:
            return iter(())
        self._due = now + self.interval
        return self._frames(list(self._ports), now)

    def _frames(self, dpids: Iterable[DatapathId], now: float) -> Iterator[tuple[PortRef, bytes]]:
        sequence = int(now * _TICKS)
        for dpid in dpids:
            source = b"\x02" + (dpid & 0xFF_FFFF_FFFF).to_bytes(5, "big")
            for port in sorted(self._ports.get(dpid, ())):
                ref = PortRef(dpid, port)
                if self._may_have_link(ref):
                    yield ref, announce(self._key, Announcement(dpid, port, self._epoch, sequence), source)

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
        if link is None:
            self._links[near] = _Adjacency(at, said.sequence, now, now, True)
            return [LinkUp(near, at)]
        return self._refresh(near, link, at, said.sequence, now)

    def _refresh(
        self, near: PortRef, link: _Adjacency, at: PortRef, sequence: int, now: float
    ) -> list[LinkChange]:
        changes: list[LinkChange] = []
        if link.far != at:
            changes += self._lose(near)
            link.far = at
            link.good_since = now
        elif not link.up and now - link.seen > 3 * self.interval:
            link.good_since = now  # it was silent meanwhile: the hold starts again
        link.sequence = sequence
        link.seen = now
        if not link.up and now - link.good_since >= self._hold:
            link.up = True
            changes.append(LinkUp(near, at))
        return changes

    def expire(self, now: float) -> list[LinkChange]:
        """Links that were not heard for too long."""
        changes: list[LinkChange] = []
        for near, link in self._links.items():
            both = near.dpid in self._ports and link.far.dpid in self._ports
            if link.up and now - link.seen > (3 * self.interval if both else self._orphan):
                changes += self._lose(near)
        return changes

    def _lose(self, near: PortRef) -> list[LinkChange]:
        """Mark a link as lost. The record stays: it remembers that the link was lost once."""
        link = self._links[near]
        link.good_since = float("inf")
        link.seen = float("-inf")
        if not link.up:
            return []
        link.up = False
        return [LinkDown(near, link.far)]
