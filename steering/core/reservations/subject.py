"""Finds what a request is about: its session, its subscriber and its MCP, and the legs of its paths."""

from collections.abc import Mapping
from typing import NamedTuple

from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.reservations.record import (
    PathLeg,
    Reservation,
    legs_of_session,
    legs_of_subscriber,
    places_of,
)
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.network import Mcp, Network, PortRef
from steering.model.policy import Policy
from steering.model.reservation import Level, ReservationRefusal, ReservationRequest


class Subject(NamedTuple):
    """What a reservation is for. `session`: None for a whole subscriber. `subscriber`: "" for a session whose subscriber is
    not known."""

    session: Session | None
    subscriber: str
    mcp: Mcp


class Subjects:
    """Finds subjects and their legs. `prefixes`: of each subscriber, by the policy in force."""

    def __init__(self, sitemap: SiteMap, graph: Graph, table: SessionTable) -> None:
        self._map = sitemap
        self._graph = graph
        self._table = table
        self.prefixes: Mapping[str, tuple[Network, ...]] = {}

    def take(self, policy: Policy) -> None:
        """Use the subscribers of another policy."""
        self.prefixes = {s.id: s.prefixes for s in policy.subscribers}

    def of(self, wish: ReservationRequest) -> Subject | ReservationRefusal:
        """The subject of a request, or the refusal if there is none."""
        if wish.level is Level.SUBSCRIBER:
            if wish.subscriber not in self.prefixes:
                return ReservationRefusal.NO_SUBSCRIBER
            mcp = self._mcp_of(wish)
            return ReservationRefusal.NO_MCP if mcp is None else Subject(None, wish.subscriber, mcp)
        if wish.flow:
            subflow = self._table.flows.get(wish.flow)
            if subflow is None:
                return ReservationRefusal.NO_SUBFLOW
            session = subflow.session
        else:
            known = self._table.by_id.get(wish.session)
            if known is None:
                return ReservationRefusal.NO_SESSION
            session = known
        owner = session.ruling.subscriber if session.ruling is not None else ""
        at = self._map.mcps.get(session.mcp)
        return ReservationRefusal.NO_MCP if at is None else Subject(session, owner, at)

    def _mcp_of(self, wish: ReservationRequest) -> Mcp | None:
        """A subscriber's MCP: the MCP that the request names, the site's only MCP, or the MCP of most of the subscriber's
        sessions."""
        mcps = self._map.site.mcps
        if wish.mcp or len(mcps) < 2:
            return next((mcp for mcp in mcps if wish.mcp in ("", mcp.name)), None)
        counts = dict.fromkeys(self._map.mcps, 0)
        for session in self._table:
            if session.ruling is not None and session.ruling.subscriber == wish.subscriber:
                counts[session.mcp] += 1
        most = max(counts, key=lambda number: counts[number])
        return self._map.mcps[most] if counts[most] else None

    def legs(self, one: Reservation, session: Session | None, mcp: Mcp) -> list[PathLeg]:
        """The legs of a reservation. First the present flows of its session are recorded in the reservation."""
        if session is not None:
            one.places, one.first, one.token = places_of(session, one.wish.flow), session.first, session.token
        return self.known_legs(one, mcp)

    def known_legs(self, one: Reservation, mcp: Mcp) -> list[PathLeg]:
        """The legs of a subscriber, or of the flows that are recorded in a reservation."""
        if one.wish.level is Level.SUBSCRIBER:
            near = tuple(self._near_exit(mcp, gateway.ports) for gateway in self._map.site.gateways)
            return legs_of_subscriber(self._map, mcp, self.prefixes[one.subscriber], near)
        exits = self._map.exits_to(one.server)
        if not exits:
            return []
        return legs_of_session(self._map, mcp, one.first, one.places, self._near_exit(mcp, exits))

    def _near_exit(self, mcp: Mcp, ports: tuple[PortRef, ...]) -> PortRef:
        return min(ports, key=lambda p: (self._graph.natural_cost(mcp.outside.dpid, p.dpid), p))
