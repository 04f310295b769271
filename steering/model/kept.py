"""What has to outlive a controller and is in no flow table: the store writes it, the next controller takes it back.

Pins and tokens are not here: they are read back from switches. Addresses are packed, flow keys
as in core.sessions (source, destination, both ports, as the host sends); MCPs and access types by name.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from steering.model.ids import DatapathId
from steering.model.network import Network, PortRef
from steering.model.reservation import Level
from steering.model.session import FlowKey

Places = tuple[tuple[FlowKey, DatapathId], ...]  # of subflows: flow key, and the edge where it enters
Route = tuple[tuple[PortRef, PortRef], ...]  # directed links


class KeptReservation(NamedTuple):
    """One reservation. `remaining` seconds of its lease or offer; the rest as in core.reservations.record. A switch holds its
    meters and paths, but not whose it is, what was asked for, nor until when."""

    id: str
    level: Level
    subscriber: str
    mcp: str
    granted: bool
    remaining: float
    version: int
    rate: int
    subflows: int
    asked_rate: int
    asked_subflows: int
    asked_mcp: str
    lease: float
    token: int
    first: FlowKey
    flow: FlowKey
    places: Places
    number: int
    slot: int
    routes: tuple[Route, ...]


class KeptUse(NamedTuple):
    """Bytes that count towards a quota: of a subscriber, or of who is none (an IPv4 address, an IPv6 /64)."""

    who: str | bytes
    access_type: str
    used: int


class KeptUsage(NamedTuple):
    """`flows`: key of a subflow -> how many bytes of its entry are in `used` already."""

    used: tuple[KeptUse, ...]
    flows: tuple[tuple[FlowKey, int], ...]


class KeptUnit(NamedTuple):
    """A subscriber, or everybody else (""), whom entries set ahead lead to an MCP (core.proactive). `asked`: its SYNs
    are looked at all the same."""

    name: str
    prefixes: tuple[Network, ...]
    mcp: str
    asked: bool


class KeptNetwork(NamedTuple):
    """Links as they were found, both directions each on its own, and who is led by entries."""

    links: tuple[tuple[PortRef, PortRef], ...]
    units: tuple[KeptUnit, ...]


class KeptSession(NamedTuple):
    """A session that entries set ahead lead, so that no entry of its own tells of it. `token` -1 for plain TCP.
    `first`: key of its initial subflow, which may be over; `flows`: flow key, edge and initial sequence number of each
    subflow."""

    unit: str
    mcp: str
    token: int
    version: int
    first: FlowKey
    flows: tuple[tuple[FlowKey, DatapathId, int], ...]


class Piece(StrEnum):
    """What is kept as a whole, in one file of the state directory."""

    NETWORK = "network"
    RESERVATIONS = "reservations"
    USAGE = "usage"


class LostPiece(StrEnum):
    """What of it was not taken back; each has a counter (`steering_not_restored_total{what}`)."""

    FILE = "file"  # one that cannot be read, or is too large
    RECORD = "record"  # one that is none of ours, or beyond the bounds
    RESERVATION = "reservation"  # its subscriber, its MCP or its place is no more
    LINK = "link"
    UNIT = "unit"
    SESSION = "session"
    WRITE = "write"  # what could not be written


class KeptState(NamedTuple):
    """All of it."""

    network: KeptNetwork = KeptNetwork((), ())
    reservations: tuple[KeptReservation, ...] = ()
    usage: KeptUsage = KeptUsage((), ())
    sessions: tuple[KeptSession, ...] = ()


def merged(pieces: Iterable[KeptState]) -> KeptState:
    """Several as one."""
    links: list[tuple[PortRef, PortRef]] = []
    units: list[KeptUnit] = []
    reservations: list[KeptReservation] = []
    used: list[KeptUse] = []
    flows: list[tuple[FlowKey, int]] = []
    sessions: list[KeptSession] = []
    for one in pieces:
        links += one.network.links
        units += one.network.units
        reservations += one.reservations
        used += one.usage.used
        flows += one.usage.flows
        sessions += one.sessions
    network = KeptNetwork(tuple(links), tuple(units))
    return KeptState(network, tuple(reservations), KeptUsage(tuple(used), tuple(flows)), tuple(sessions))
