"""The record of a reservation, and the legs of its paths: from host to MCP, from MCP to server, and back."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from steering.core.network.site_index import Attachment, SiteMap
from steering.core.reservations.capacity import Hops, PathEnds
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, family_of, parts_of
from steering.core.sessions.records import Session
from steering.model.ids import DatapathId, McpId
from steering.model.network import Mcp, Network, PortRef, PortRole
from steering.model.reservation import ReservationRefusal, ReservationRequest, Standing

Match = dict[str, str | int | tuple[str, str]]
Places = tuple[tuple[FlowKey, DatapathId], ...]  # subflows: key, and the switch where the subflow comes in


PATH_NUMBERS = range(1, 240)  # 0 is for unreserved traffic; numbers from 240 on belong to core.rerouting


class ReservationAnswer(NamedTuple):
    """The answer to the last input about reservation `id`."""

    id: str
    denied: ReservationRefusal | None


class PathLeg(NamedTuple):
    """A part of a path, in one direction. `pair`: the switches where it begins and ends.

    `waypoints`: the waypoints of the labels on it. `upward`: in the direction from host to server. `host`: True between host
    and MCP, False between MCP and server. Packets between MCP and server have the 5-tuple of the initial subflow.
    """

    pair: PathEnds
    waypoints: tuple[int, ...]
    upward: bool
    host: bool


class Reservation:
    """One reservation. `number`: the path number in its labels, 0 where no rate is reserved. `routes`: the links of its legs.

    Flows name the segments that the reservation is for. A session's id could not, because the next controller gives the
    session another id, while flows stay the same.
    """

    __slots__ = (
        "expires", "first", "id", "legs", "mcp", "number", "places", "rate", "routes", "slot", "standing",
        "subflows", "subscriber", "token", "version", "wish",
    )  # fmt: skip

    def __init__(self, name: str, wish: ReservationRequest, subscriber: str, mcp: McpId) -> None:
        self.id = name
        self.wish = wish
        self.subscriber = subscriber  # the subscriber it belongs to, "" if that is not known
        self.mcp = mcp
        self.standing = Standing.OFFERED
        self.rate = 0
        self.subflows = 0
        self.expires = 0.0
        self.version = 1  # changes with every answer
        self.number = 0
        self.slot = 0  # determines the numbers of its two meters
        self.legs: tuple[PathLeg, ...] = ()
        self.routes: tuple[Hops, ...] = ()
        self.token = -1  # of its session
        self.first = NO_FLOW  # key of its session's initial subflow
        self.places: Places = ()  # the subflows for which its legs were made

    @property
    def server(self) -> bytes:
        """The destination address of the session's initial subflow."""
        return parts_of(self.first).destination


def places_of(session: Session, flow: FlowKey = NO_FLOW) -> Places:
    """The subflows of a session, or only its subflow `flow`, with the switches where they come in."""
    return tuple((s.key, s.dpid) for s in session.subflows if not flow or s.key == flow)


def legs_of_session(
    sitemap: SiteMap, mcp: Mcp, first: FlowKey, places: Places, exit_: PortRef
) -> list[PathLeg]:
    """The legs of some subflows (`places`) of a session, whose initial flow is `first` and which leaves at gateway port
    `exit_`."""
    legs: dict[DatapathId, list[Attachment]] = {}
    for _, dpid in places:
        edge = legs.setdefault(dpid, [])
        edge += [one for one in _accesses_at(sitemap, dpid) if one not in edge]
    return [*_host_legs(sitemap, mcp, legs), *_server_legs(sitemap, mcp, exit_, {family_of(first)})]


def legs_of_subscriber(
    sitemap: SiteMap, mcp: Mcp, prefixes: tuple[Network, ...], exits: tuple[PortRef, ...]
) -> list[PathLeg]:
    """The legs of all traffic that hosts with addresses of `prefixes` send through one MCP to the gateway ports `exits`."""
    legs: dict[DatapathId, list[Attachment]] = {}
    for port, attachment in sitemap.attachments.items():
        if attachment.role is PortRole.ACCESS and any(
            mine.version == its.version and mine.overlaps(its)
            for mine in prefixes
            for its in attachment.part.prefixes  # type: ignore[union-attr]
        ):
            legs.setdefault(port.dpid, []).append(attachment)
    if not legs:
        return []
    host = list(_host_legs(sitemap, mcp, legs))
    families = {prefix.version for prefix in prefixes}
    return host + [leg for exit_ in exits for leg in _server_legs(sitemap, mcp, exit_, families)]


def _accesses_at(sitemap: SiteMap, dpid: DatapathId) -> list[Attachment]:
    return [
        one for port, one in sitemap.attachments.items() if port.dpid == dpid and one.role is PortRole.ACCESS
    ]


def _host_legs(sitemap: SiteMap, mcp: Mcp, edges: dict[DatapathId, list[Attachment]]) -> Iterator[PathLeg]:
    inside = sitemap.inside[mcp.id]
    for dpid, accesses in edges.items():
        yield PathLeg((dpid, inside.port.dpid), (inside.id,), True, True)
        yield PathLeg((inside.port.dpid, dpid), tuple(a.waypoint.id for a in accesses), False, True)


def _server_legs(sitemap: SiteMap, mcp: Mcp, exit_: PortRef, families: Collection[int]) -> Iterator[PathLeg]:
    if not any(mcp.source_modes.preserves(family) for family in families):
        return  # packets from such an MCP do not have the host's address, so they cannot be recognised
    outside = sitemap.outside[mcp.id]
    yield PathLeg((outside.port.dpid, exit_.dpid), (sitemap.attachments[exit_].waypoint.id,), True, False)
    yield PathLeg((exit_.dpid, outside.port.dpid), (outside.id,), False, False)


def free_number(reservations: Iterable[Reservation], legs: Iterable[PathLeg]) -> int:
    """A path number that no reservation uses at any waypoint of the legs, 0 if there is none."""
    waypoints = {waypoint for leg in legs for waypoint in leg.waypoints}
    used = {one.number for one in reservations for leg in one.legs if not waypoints.isdisjoint(leg.waypoints)}
    return next((number for number in PATH_NUMBERS if number not in used), 0)


def free_slot(reservations: Iterable[Reservation]) -> int:
    """The least slot that no reservation has."""
    used = {one.slot for one in reservations if one.number}
    return next(number for number in range(len(used) + 1) if number not in used)
