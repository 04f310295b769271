"""Handles reservations from the request to the end of the lease (D-6.4g).

MPTCP has no signal by which a host could negotiate resources. Therefore the host's agent or its CPE asks over REST. The
answer is a grant, a refusal with a reason, or an offer of less than was asked for. An offer is held until it is accepted or
lapses. `tick` ends leases.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from steering.core import inputs
from steering.core.counters import Counters
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import DesiredRules, Handler, McpsChange, Part
from steering.core.pipeline.reconcile import Reconcile
from steering.core.reservations.capacity import Hops, LinkCapacity
from steering.core.reservations.codec import kept, leads, revived, session_of
from steering.core.reservations.enforcement import Enforcement
from steering.core.reservations.record import (
    PathLeg,
    Reservation,
    ReservationAnswer,
    free_number,
    free_slot,
    places_of,
)
from steering.core.reservations.rules import Builder
from steering.core.reservations.subflow_slots import Slots
from steering.core.reservations.subject import Subjects
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId, PortNumber
from steering.model.kept import KeptReservation, KeptState, LostPiece, Piece
from steering.model.network import Mcp, PortRef
from steering.model.policy import Policy
from steering.model.reservation import (
    Level,
    ReservationOutcome,
    ReservationRefusal,
    Standing,
)

PIECE = "reservations"  # name of the piece of rules in core.pipeline.reconcile
LEAST = 64_000  # bits/s; less is not offered
REMEMBERED = 256  # most ended reservations whose outcome is remembered


class ReservationService(Part):
    """Answers requests for reservations and enforces the reservations. `disabled`, for the negative control: nothing is
    enforced. `kept`, `kept_revision`: the labels of old paths at a port, and a number that changes with them."""

    keeps: ClassVar[Piece | None] = Piece.RESERVATIONS
    sends_changes: ClassVar[bool] = True

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        graph: Graph,
        table: SessionTable,
        slots: Slots,
        counters: Counters,
        epochs: Mapping[DatapathId, int],
        kept: Callable[[PortRef], Iterable[str]],
        kept_revision: Callable[[], int],
        reconcile: Reconcile,
        disabled: bool = False,
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._table = table
        self._subjects = Subjects(sitemap, graph, table)
        self._slots = slots
        self._counters = counters
        self._disabled = disabled
        self.capacity = LinkCapacity(sitemap.site, graph)
        builder = Builder(sitemap, graph, self.capacity, epochs, kept)
        self.by_id: dict[str, Reservation] = {}
        enforced = {} if disabled else self.by_id
        self._enforcement = Enforcement(builder, enforced, lambda: self._subjects.prefixes)
        self.ended: deque[tuple[str, ReservationOutcome]] = deque(maxlen=REMEMBERED)
        self.verdict = ReservationAnswer("", None)
        self._reconcile = reconcile
        self._kept_revision = kept_revision
        self._version = (graph.version, 0)  # versions of the links, and of the labels of old paths
        self.changes = 0  # increases whenever the snapshot has changed
        self.returning = False  # restored reservations wait until sessions have been read back from switches
        self._handlers: dict[type[inputs.Input], Callable[..., ReservationRefusal | None]] = {
            inputs.Reserve: self._reserve,
            inputs.AcceptReservation: self._accept,
            inputs.RenewReservation: self._renew,
            inputs.ReleaseReservation: self._release,
        }
        self._take(policy)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Another policy is in force. It decides about requests from now on. Leases stay."""
        self._take(policy)
        return []

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self.capacity.share = policy.reservations.share
        self._subjects.take(policy)

    def takes(self) -> Mapping[type[inputs.Input], Handler]:
        return dict.fromkeys(self._handlers, self.handle)

    def handle(self, given: inputs.Input, now: float) -> list[Output]:
        """Handle one input about a reservation. Its answer is in `verdict`."""
        denied = self._handlers[type(given)](given, now)
        if denied is not None:
            self._counters.reservations_refused[denied] += 1
        else:
            self.changes += 1
        self.verdict = ReservationAnswer(given.id, denied)  # type: ignore[union-attr]
        return self._sync()

    # ---- requests -------------------------------------------------------------------------------

    def _reserve(self, given: inputs.Reserve, now: float) -> ReservationRefusal | None:
        wish = given.wish
        found = self._subjects.of(wish)
        if isinstance(found, ReservationRefusal):
            return found
        session, subscriber, mcp = found
        if session is not None:
            wish = wish._replace(session=session.id)
        if wish.owner is not None and wish.owner != subscriber:
            return ReservationRefusal.NOT_YOURS
        terms = self.policy.reservations
        mine = sum(one.subscriber == subscriber for one in self.by_id.values()) if subscriber else 0
        if len(self.by_id) >= terms.most or mine >= terms.most_per_subscriber:
            return ReservationRefusal.TOO_MANY
        if any(one.wish.target == wish.target for one in self.by_id.values()):
            return ReservationRefusal.DUPLICATE
        one = Reservation(given.id, wish, subscriber, mcp.id)
        if session is not None:
            one.places, one.first, one.token = places_of(session, wish.flow), session.first, session.token
        if wish.subflows:
            left = terms.subflow_pool - sum(other.subflows for other in self.by_id.values())
            one.subflows = min(wish.subflows, terms.subflows, left)
            if one.subflows < 1:
                return ReservationRefusal.NO_SUBFLOWS
        if wish.rate:
            denied = self._admit(one, session, mcp)
            if denied is not None:
                return denied
        self._keep(one, now)
        return None

    def _admit(self, one: Reservation, session: Session | None, mcp: Mcp) -> ReservationRefusal | None:
        """Find paths for the wanted rate, or else for the greatest possible rate. Returns the refusal if there is none, else
        None."""
        legs = self._subjects.legs(one, session, mcp)
        pairs = [leg.pair for leg in legs]
        if not legs or any(not self._graph.path(*pair) for pair in pairs):
            return ReservationRefusal.NO_PATH
        rate = one.wish.rate
        routes = self.capacity.route(pairs, rate)
        if routes is None:
            rate = self.capacity.widest(pairs) // 1000 * 1000
            routes = self.capacity.route(pairs, rate) if rate >= LEAST else None
            if routes is None:
                return ReservationRefusal.NO_CAPACITY
        number, slot = free_number(self.by_id.values(), legs), free_slot(self.by_id.values())
        if not number:
            return ReservationRefusal.NO_NUMBER
        one.number, one.slot, one.rate = number, slot, rate
        self._fit(one, tuple(legs), routes)
        return None

    def _fit(self, one: Reservation, legs: tuple[PathLeg, ...], routes: tuple[Hops, ...]) -> None:
        one.legs, one.routes = legs, routes
        self.capacity.take(routes, one.rate)

    def _keep(self, one: Reservation, now: float) -> None:
        self.by_id[one.id] = one
        self._enforcement.touch(one.id)
        if one.rate == one.wish.rate and one.subflows == one.wish.subflows:
            self._grant(one, now, ReservationOutcome.GRANTED)
        else:
            one.expires = now + self.policy.reservations.offer
            self._counters.reservations[ReservationOutcome.OFFERED] += 1

    def _grant(self, one: Reservation, now: float, became: ReservationOutcome) -> None:
        one.standing = Standing.GRANTED
        one.expires = now + self._lease(one.wish.lease)
        self._counters.reservations[became] += 1
        self._enforcement.touch(one.id)
        self._count_slots()

    def _lease(self, wanted: float) -> float:
        terms = self.policy.reservations
        return min(wanted or terms.lease, terms.longest_lease)

    def _count_slots(self) -> None:
        """Count anew the reserved later subflows, to which joins are limited."""
        self._slots.sessions.clear()
        self._slots.subscribers.clear()
        for one in self.by_id.values():
            if one.subflows and one.standing is Standing.GRANTED and not self._disabled:
                if one.wish.level is Level.SUBSCRIBER:
                    self._slots.subscribers[one.subscriber] = one.subflows
                else:
                    session = one.wish.session
                    self._slots.sessions[session] = min(
                        one.subflows, self._slots.sessions.get(session, one.subflows)
                    )

    # ---- accepting, renewing, ending ------------------------------------------------------------

    def _accept(self, given: inputs.AcceptReservation, now: float) -> ReservationRefusal | None:
        one = self.by_id.get(given.id)
        if one is None:
            return ReservationRefusal.UNKNOWN
        if one.standing is not Standing.OFFERED:
            return ReservationRefusal.NOT_OFFERED
        one.version += 1
        self._grant(one, now, ReservationOutcome.ACCEPTED)
        return None

    def _renew(self, given: inputs.RenewReservation, now: float) -> ReservationRefusal | None:
        one = self.by_id.get(given.id)
        if one is None:
            return ReservationRefusal.UNKNOWN
        if one.standing is not Standing.GRANTED:
            return ReservationRefusal.NOT_OFFERED
        one.version += 1
        one.wish = one.wish._replace(lease=given.lease or one.wish.lease)
        one.expires = now + self._lease(one.wish.lease)
        self._counters.reservations[ReservationOutcome.RENEWED] += 1
        return None

    def _release(self, given: inputs.ReleaseReservation, now: float) -> ReservationRefusal | None:
        one = self.by_id.get(given.id)
        if one is None:
            return ReservationRefusal.UNKNOWN
        self._end(one, ReservationOutcome.RELEASED)
        return None

    def _end(self, one: Reservation, became: ReservationOutcome) -> None:
        del self.by_id[one.id]
        self.capacity.give_back(one.routes, one.rate)
        self.ended.append((one.id, became))
        self._counters.reservations[became] += 1
        self._enforcement.touch(one.id)
        self.changes += 1
        self._count_slots()

    def tick(self, now: float) -> list[Output]:
        """End leases that are over and reservations of ended sessions. Find paths anew for sessions with another subflow, and
        after changes of links."""
        version = (self._graph.version, self._kept_revision())
        moved = self._version != version and not self.returning
        if not self.returning:
            self._version = version
        if moved:
            self._enforcement.links_changed()
        for one in list(self.by_id.values()):
            if one.expires <= now:
                offered = one.standing is Standing.OFFERED
                self._end(one, ReservationOutcome.LAPSED if offered else ReservationOutcome.EXPIRED)
            elif self.returning:
                continue
            elif one.wish.level is not Level.SUBSCRIBER and self._is_over(one):
                self._end(one, ReservationOutcome.OVER)
            elif one.number and ((moved and not self._stands(one)) or self._has_other_flows(one)):
                self._fit_again(one, moved)
        return self._sync()

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. Reservations at a removed MCP are lost."""
        for one in list(self.by_id.values()):
            if one.mcp not in self._map.mcps:
                self._end(one, ReservationOutcome.LOST)
        return self._sync()

    def _is_over(self, one: Reservation) -> bool:
        return one.wish.session not in self._table.by_id or bool(
            one.wish.flow and one.wish.flow not in self._table.flows
        )

    def _has_other_flows(self, one: Reservation) -> bool:
        if one.wish.level is not Level.SESSION:
            return False
        return places_of(self._table.by_id[one.wish.session]) != one.places

    def _fit_again(self, one: Reservation, moved: bool) -> None:
        """Find paths anew for a reservation. If a new subflow finds no room, it is not reserved. If the reservation's own
        links are gone and there are no others, the reservation is lost."""
        session = self._table.by_id.get(one.wish.session) if one.wish.session else None
        legs = tuple(self._subjects.legs(one, session, self._map.mcps[one.mcp]))
        self._enforcement.touch(one.id)
        self.changes += 1
        self.capacity.give_back(one.routes, one.rate)
        routes = self.capacity.route([leg.pair for leg in legs], one.rate) if legs else None
        if routes is not None:
            self._fit(one, legs, routes)
        elif moved and not self._stands(one):
            one.routes = ()
            self._end(one, ReservationOutcome.LOST)
        else:
            self.capacity.take(one.routes, one.rate)

    def _stands(self, one: Reservation) -> bool:
        return all(self._graph.has(*hop) for hops in one.routes for hop in hops)

    # ---- over a restart -------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self.changes

    def snapshot(self, now: float) -> KeptState:
        """All reservations, for the store."""
        mcps = self._map.mcps
        return KeptState(
            reservations=tuple(kept(one, mcps[one.mcp].name, now) for one in self.by_id.values())
        )

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        return {LostPiece.RESERVATION: sum(not self._take_back(told, now) for told in kept.reservations)}

    def _take_back(self, told: KeptReservation, now: float) -> bool:
        """Restore a reservation of an earlier controller, before any switch is filled. Returns False if this is not possible.
        Its session is looked for by `recovered`."""
        mcp = next((mcp for mcp in self._map.site.mcps if mcp.name == told.mcp), None)
        if told.remaining <= 0:
            self.ended.append(
                (told.id, ReservationOutcome.EXPIRED if told.granted else ReservationOutcome.LAPSED)
            )
            return True
        if mcp is None or told.id in self.by_id or len(self.by_id) >= self.policy.reservations.most:
            return False
        if told.level is Level.SUBSCRIBER and told.subscriber not in self._subjects.prefixes:
            return False
        longest = self.policy.reservations.longest_lease
        one = revived(told, mcp.id, now + min(told.remaining, longest))
        if one.number and not self._put_back(one, told, mcp):
            return False
        self.by_id[one.id] = one
        self.returning = True
        self._enforcement.touch(one.id)
        return True

    def _put_back(self, one: Reservation, told: KeptReservation, mcp: Mcp) -> bool:
        """Restore a reservation with its path number and meters, on the same links if they exist."""
        legs = self._subjects.known_legs(one, mcp)
        if any(other.slot == one.slot for other in self.by_id.values() if other.number):
            return False
        if leads(told.routes, legs, self._graph):
            self._fit(one, tuple(legs), told.routes)
        return True

    def recovered(self, now: float) -> list[Output]:
        """Sessions have been read back from switches. A reservation whose session is not among them is over."""
        if not self.returning:
            return []
        self.returning = False
        self._slots.recover(self._subjects.prefixes)
        for one in list(self.by_id.values()):
            self._enforcement.touch(one.id)
            if one.wish.level is not Level.SUBSCRIBER:
                session = session_of(one, self._table)
                if session is None:
                    self._end(one, ReservationOutcome.OVER)
                    continue
                one.wish = one.wish._replace(session=session.id)
            if one.number and not one.legs:
                self._fit_again(one, False)
                if not one.legs:
                    self._end(one, ReservationOutcome.LOST)
        self._count_slots()
        return []

    # ---- switches -------------------------------------------------------------------------------

    def told_speeds(self, dpid: DatapathId, speeds: Mapping[PortNumber, int]) -> None:
        """A switch reported the speeds of its ports, in kbit/s; 0 for a port that is gone."""
        for port, kilobits in speeds.items():
            if kilobits:
                self.capacity.speeds[PortRef(dpid, port)] = kilobits * 1000
            else:
                self.capacity.speeds.pop(PortRef(dpid, port), None)

    def desired(self, dpid: DatapathId) -> DesiredRules:
        wanted = self._enforcement.filled(dpid)
        self._reconcile.brought(PIECE, dpid, wanted.rules, wanted.meters)
        return DesiredRules(tuple(wanted.meters.values()), tuple(wanted.rules.values()))

    def _sync(self) -> list[Output]:
        """The changes of rules that follow from changed reservations."""
        found = [
            self._reconcile.brought(PIECE, dpid, wanted.rules, wanted.meters)
            for dpid, wanted in self._enforcement.changes()
        ]
        return [change for change in found if change is not None]
