"""Reservations as records for the northbound."""

from ipaddress import ip_address
from typing import Any

from steering.core.engine import Engine
from steering.core.reservations.record import Reservation
from steering.core.sessions.flow_key import FlowKey, parts_of
from steering.model.ids import DatapathId
from steering.model.snapshot import FlowEnds, RequestedAmount, ReservationSnapshot, ReservedPath


def reservation(engine: Engine, name: str, now: float) -> ReservationSnapshot | None:
    """One reservation as a record. None if there is no reservation with this id, or it has ended."""
    one = engine.reserving.by_id.get(name)
    return None if one is None else _told(engine, one, now)


def reservations(engine: Engine, now: float) -> list[ReservationSnapshot]:
    """All reservations as records, the oldest first."""
    return [_told(engine, one, now) for one in engine.reserving.by_id.values()]


def _told(engine: Engine, one: Reservation, now: float) -> ReservationSnapshot:
    wish = one.wish
    return ReservationSnapshot(
        id=one.id,
        level=wish.level.value,
        standing=one.standing.value,
        subscriber=one.subscriber or None,
        session=str(wish.session) if wish.session else None,
        flow=_flow(wish.flow) if wish.flow else None,
        mcp=engine.map.mcps[one.mcp].name,
        rate_bps=one.rate,
        subflows=one.subflows,
        asked=RequestedAmount(rate_bps=wish.rate, subflows=wish.subflows),
        path_number=one.number or None,
        paths=tuple(
            ReservedPath(
                direction="up" if leg.upward else "down",
                between="host-mcp" if leg.host else "mcp-server",
                switches=tuple(engine.site.switch_name(dpid) for dpid in _switches(leg.pair[0], hops)),
            )
            for leg, hops in zip(one.legs, one.routes, strict=True)
        ),
        version=one.version,
        remaining_s=round(max(0.0, one.expires - now), 3),
    )


def _switches(begin: DatapathId, hops: Any) -> list[DatapathId]:
    return [begin, *(b.dpid for _, b in hops)]


def _flow(key: FlowKey) -> FlowEnds:
    flow = parts_of(key)
    return FlowEnds(
        src=str(ip_address(flow.source)),
        sport=flow.source_port,
        dst=str(ip_address(flow.destination)),
        dport=flow.destination_port,
    )
