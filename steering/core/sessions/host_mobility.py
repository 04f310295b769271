"""Handles a host with live connections that moves to another port of its access network (D-3.3a).

If the new port is at the same switch, the entries still match. The records only get the new port. If the new port is at another
switch, the host's segments come in there without a SYN. Without entries they would take their natural path past their MCP.
While it is not yet certain that the host has moved, there are entries at both switches. So segments of the host reach the MCP
from either switch, and segments to the host take the same way as before.

The entries are written before the rules that let the host's segments pass at its new port, and before the segments that waited go on.
"""

from collections.abc import Mapping

from steering.core.inputs import Input
from steering.core.network.address_claims import ClaimOutcome
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, RemoveEntries, Steer
from steering.core.packet_inputs import SourceMissed
from steering.core.part import NEVER, Handler, Part
from steering.core.sessions.table import SessionTable
from steering.model.network import Attachment, PortRole
from steering.model.session import Entry

MOST = 1024  # most hosts that may be moving at the same time
# Subflows of a host that are examined when it is heard at its known place, which a host can cause hundreds of times a second.
# All subflows of a host move together, so not all have to be examined.
LOOKED_AT = 64
LENT_FOR = 3.0  # seconds; by then the old place has answered, or the host is bound to the new place


class HostMobility(Part):
    """Moves entries with their hosts. Entries at two places ("lent") are bounded by `MOST` hosts and their live subflows."""

    def __init__(self, sitemap: SiteMap, table: SessionTable, neighbours: Neighbours) -> None:
        self._map = sitemap
        self._table = table
        self._neighbours = neighbours
        # Address -> entries at the place to which it may have moved, and their end; in order of age.
        self._lent: dict[bytes, tuple[tuple[Entry, ...], float]] = {}

    def takes(self) -> Mapping[type[Input], Handler]:
        return {SourceMissed: self.unbound}

    def unbound(self, seen: SourceMissed, now: float) -> list[Output]:
        """A packet had a source address that is not bound to its port. The host may have moved there."""
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is None or attachment.role is not PortRole.ACCESS:
            return []
        heard = self._neighbours.unbound(attachment, seen.address, seen.frame, now)
        return self.heard(heard.standing, attachment, seen.address, now) + heard.outputs

    def heard(
        self, standing: ClaimOutcome, attachment: Attachment, address: bytes, now: float
    ) -> list[Output]:
        """The neighbour table has judged a claim of an address. Returns the changes of entries for its subflows."""
        if standing is ClaimOutcome.CONTESTED:
            return self.may_have_moved(attachment, address, now)
        if standing is ClaimOutcome.KEPT:
            return self.stayed(address)
        if standing is ClaimOutcome.REFUSED or (
            standing is ClaimOutcome.KNOWN and self._is_here(attachment, address)
        ):
            return []
        return self.moved(attachment, address)

    def _is_here(self, attachment: Attachment, address: bytes) -> bool:
        """Whether all subflows of a host that is known at a place have been moved there."""
        place = attachment.waypoint.port
        return address not in self._lent and all(
            (one.dpid, one.port) == (place.dpid, place.port) or one.role != PortRole.ACCESS
            for one in self._table.subflows_of(address, LOOKED_AT)
        )

    def may_have_moved(self, attachment: Attachment, address: bytes, now: float) -> list[Output]:
        """An address is claimed at another place, and its old place is being probed: add entries at the new place."""
        dpid = attachment.waypoint.port.dpid
        if attachment.role is not PortRole.ACCESS or address in self._lent or len(self._lent) >= MOST:
            return []
        entries = (
            subflow.session.entry(subflow)
            for subflow in self._table.subflows_of(address)
            if subflow.role == PortRole.ACCESS and subflow.dpid != dpid
        )
        lent = tuple(entry._replace(dpid=dpid) for entry in entries if entry is not None)
        if not lent:
            return []
        self._lent[address] = (lent, now + LENT_FOR)
        return [Steer(lent, None)]

    def stayed(self, address: bytes) -> list[Output]:
        """The old place has answered, so the claim was wrong: remove the entries at the claimed place."""
        lent = self._taken_back(address)
        return [RemoveEntries(lent)] if lent else []

    def moved(self, attachment: Attachment, address: bytes) -> list[Output]:
        """An address is bound to another port now: move its subflows there, and their entries if the switch is another one.
        New entries are added before old ones are removed. Each subflow keeps its MCP."""
        lent = self._taken_back(address)
        if attachment.role is not PortRole.ACCESS:
            return []
        place = attachment.waypoint.port
        here, gone = [], []
        for subflow in self._table.subflows_of(address):
            if subflow.role != PortRole.ACCESS or (subflow.dpid, subflow.port) == (place.dpid, place.port):
                continue
            old = subflow.session.entry(subflow) if subflow.dpid != place.dpid else None
            subflow.enters_at(place.dpid, place.port, subflow.role)
            if subflow.session.subflow_count > 1:
                # The old port may have no link while the new port has, so the subflow has to be ranked anew.
                self._table.changed[subflow.session.id] = None
            new = subflow.session.entry(subflow)
            if old is not None and new is not None:
                gone.append(old)
                here.append(new)
        # A subflow may have ended while the old place was probed. Its lent entry is removed.
        kept = {_flow(entry) for entry in here}
        gone += [entry for entry in lent if _flow(entry) not in kept]
        added: list[Output] = [Steer(tuple(here), None)] if here else []
        return [*added, RemoveEntries(tuple(gone))] if gone else added

    def due(self) -> float:
        lent = next(iter(self._lent.values()), None)
        return min(self._neighbours.claims_due(), NEVER if lent is None else lent[1])

    def tick(self, now: float) -> list[Output]:
        """Handle claims that ended without an answer: the old place was silent, the claimant has gone, or the old port was
        lost. Remove lent entries whose time is over."""
        outputs: list[Output] = []
        for claim, heard in self._neighbours.settle(now):
            if claim.claimant is not None:
                outputs += self.heard(heard.standing, claim.claimant, claim.address, now)
            outputs += heard.outputs
        for address, (_, until) in list(self._lent.items()):
            if until > now:
                break
            outputs += self.stayed(address)
        return outputs

    def _taken_back(self, address: bytes) -> tuple[Entry, ...]:
        lent = self._lent.pop(address, None)
        return () if lent is None else lent[0]


def _flow(entry: Entry) -> tuple[bytes, bytes, int, int]:
    return entry.src, entry.dst, entry.sport, entry.dport
