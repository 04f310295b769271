"""Converts a reservation to its record for the store, and back.

The meters and labels of a reservation stay in the switches while no controller runs, so that it is enforced all the time. The
next controller fills each switch with the same meters and labels, because path number and meter slot are kept.
"""

from steering.core.network.graph import Graph
from steering.core.reservations.record import PathLeg, Reservation
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId, McpId, Token
from steering.model.kept import KeptReservation, KeptRoute
from steering.model.reservation import Level, ReservationRequest, Standing


def kept(one: Reservation, mcp: str, now: float) -> KeptReservation:
    """The record of a reservation for the store. `mcp`: the name of its MCP."""
    wish = one.wish
    return KeptReservation(
        one.id, wish.level, one.subscriber, mcp, one.standing is Standing.GRANTED, one.expires - now, one.version,
        one.rate, one.subflows, wish.rate, wish.subflows, wish.mcp, wish.lease, one.token, one.first, wish.flow,
        one.places, one.number, one.slot, one.routes,
    )  # fmt: skip


def revived(told: KeptReservation, mcp: McpId, expires: float) -> Reservation:
    """The reservation of a stored record. Its session is 0 until `session_of` finds the session."""
    who = told.subscriber if told.level is Level.SUBSCRIBER else ""
    wish = ReservationRequest(
        told.level, who, 0, told.flow, told.asked_mcp, told.asked_rate, told.asked_subflows, told.lease
    )
    one = Reservation(told.id, wish, told.subscriber, mcp)
    one.standing = Standing.GRANTED if told.granted else Standing.OFFERED
    one.rate, one.subflows, one.version, one.expires = told.rate, told.subflows, told.version, expires
    one.token, one.first, one.places = told.token, told.first, told.places
    one.number, one.slot = told.number, told.slot
    return one


def leads(routes: tuple[KeptRoute, ...], legs: list[PathLeg], graph: Graph) -> bool:
    """Whether every leg has a route over existing links, from one end of the leg to the other."""
    up = {(link.a, link.b) for link in graph.links()}
    return len(routes) == len(legs) and all(
        all(hop in up for hop in hops) and _joins(hops, *leg.pair)
        for hops, leg in zip(routes, legs, strict=True)
    )


def _joins(hops: KeptRoute, source: DatapathId, target: DatapathId) -> bool:
    here = source
    for a, b in hops:
        if a.dpid != here:
            return False
        here = b.dpid
    return here == target


def session_of(one: Reservation, table: SessionTable) -> Session | None:
    """The session of a restored reservation, found by its token, else by its flows. None if it was not read back."""
    if one.token >= 0:
        return next((s for s in table.with_token(Token(one.token)) if s.mcp == one.mcp), None)
    for key in (one.first, *(key for key, _ in one.places)):
        subflow = table.flows.get(key)
        if subflow is not None and subflow.session.mcp == one.mcp:
            return subflow.session
    return None
