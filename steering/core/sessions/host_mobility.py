"""A host that turns up behind another port of its access network, in the middle of its connections (D-3.3a).

At the same switch its entries lead it as before, and its subflows only fail with another port than they did. At another
switch its segments come in there from now on, and no SYN announces them: without entries they would take their natural
path past the MCP that has them. While it is not yet sure that the host moved, entries stand at both switches: uplink
segments reach the MCP of their session from either, and nothing of what goes to the host has changed.
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

MOST = 1024  # hosts that may be about to move at once
# Subflows of a host that are looked at when it is heard where it is, which it may bring about hundreds of times a second.
# A host's subflows move all at once, so it is enough to see one.
LOOKED_AT = 64
LENT_FOR = 3.0  # seconds: by then the old place has answered, or the host is bound to the new one


class HostMobility(Part):
    """Entries of hosts that move. Bounded by `MOST` and by what a host has of live subflows."""

    def __init__(self, sitemap: SiteMap, table: SessionTable, neighbours: Neighbours) -> None:
        self._map = sitemap
        self._table = table
        self._neighbours = neighbours
        # address -> entries at the place that it may have moved to, and until when; in order of age
        self._lent: dict[bytes, tuple[tuple[Entry, ...], float]] = {}

    def takes(self) -> Mapping[type[Input], Handler]:
        return {SourceMissed: self.unbound}

    def unbound(self, seen: SourceMissed, now: float) -> list[Output]:
        """A host sent with an address that is not known behind its port: it may have moved there."""
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is None or attachment.role is not PortRole.ACCESS:
            return []
        heard = self._neighbours.unbound(attachment, seen.address, seen.frame, now)
        return heard.outputs + self.heard(heard.standing, attachment, seen.address, now)

    def heard(
        self, standing: ClaimOutcome, attachment: Attachment, address: bytes, now: float
    ) -> list[Output]:
        """The neighbour table judged a claim of an address. Returns what the subflows of the address need."""
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
        """Whether a host that is known at a place had all of its subflows moved there."""
        place = attachment.waypoint.port
        return address not in self._lent and all(
            (one.dpid, one.port) == (place.dpid, place.port) or one.role != PortRole.ACCESS
            for one in self._table.subflows_of(address, LOOKED_AT)
        )

    def may_have_moved(self, attachment: Attachment, address: bytes, now: float) -> list[Output]:
        """A host is claimed to be at a place, and its old place is being asked."""
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
        """The old place answered, so the claim was wrong: entries at the claimed place are removed."""
        lent = self._taken_back(address)
        return [RemoveEntries(lent)] if lent else []

    def moved(self, attachment: Attachment, address: bytes) -> list[Output]:
        """A host's address is known at another port now, and its subflows follow; at another switch their entries too,
        of which the new ones are added first. Each subflow keeps its MCP."""
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
                # Its old port may have no carrier where its new one has, so how its MCP uses it is asked again.
                self._table.changed[subflow.session.id] = None
            new = subflow.session.entry(subflow)
            if old is not None and new is not None:
                gone.append(old)
                here.append(new)
        # A subflow that ended while the old place was asked left its lent entry behind.
        kept = {_flow(entry) for entry in here}
        gone += [entry for entry in lent if _flow(entry) not in kept]
        added: list[Output] = [Steer(tuple(here), None)] if here else []
        return [*added, RemoveEntries(tuple(gone))] if gone else added

    def due(self) -> float:
        lent = next(iter(self._lent.values()), None)
        return min(self._neighbours.claims_due(), NEVER if lent is None else lent[1])

    def tick(self, now: float) -> list[Output]:
        """Outputs for claims that ended without an answer: the old place stayed silent, the claimant left, or the
        host's old port went and the address is known nowhere."""
        outputs: list[Output] = []
        for claim, heard in self._neighbours.settle(now):
            outputs += heard.outputs
            if claim.claimant is not None:
                outputs += self.heard(heard.standing, claim.claimant, claim.address, now)
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
