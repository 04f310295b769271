"""The state that has to outlive a controller and is not in flow tables. The store writes this state to files, and the
controller reads the files when it starts.

Pins and tokens are not part of this state, because they are read back from switches. Addresses are packed bytes. Flow
keys are those of core.sessions.flow_key, in the direction from the host. MCPs and access types are given by name.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from steering.model.ids import DatapathId
from steering.model.network import Network, PortRef
from steering.model.reservation import Level
from steering.model.session import FlowKey

Places = tuple[tuple[FlowKey, DatapathId], ...]  # of subflows: flow key, and the edge where it enters
KeptRoute = tuple[tuple[PortRef, PortRef], ...]  # directed links

USAGE_PARTS = 256  # records of a cluster's controller, for all pairs of subscriber and access type
USAGE_PAIRS = 512  # most pairs in one of them


class KeptReservation(NamedTuple):
    """One reservation. `remaining`: seconds until its lease or offer ends. The other fields are those of
    core.reservations.record. Switches hold the meters and paths of a reservation, but not its owner, its request or its
    end."""

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
    routes: tuple[KeptRoute, ...]


class KeptUse(NamedTuple):
    """Bytes (`used`) that count towards a quota. `who`: a subscriber, or for a host without a subscriber its address (packed),
    or the first 8 bytes of its own IPv6 /64."""

    who: str | bytes
    access_type: str
    used: int


class KeptUsage(NamedTuple):
    """Bytes used so far. `flows`: for each live subflow, how many bytes of its entry's counter are in `used` already."""

    used: tuple[KeptUse, ...]
    flows: tuple[tuple[FlowKey, int], ...]


class KeptUnit(NamedTuple):
    """A unit of proactive insertion (model.insertion.GovernedUnit), whose entries lead to `mcp`. `asked`: SYNs of the unit
    are nevertheless sent to the controller."""

    name: str
    prefixes: tuple[Network, ...]
    mcp: str
    asked: bool


class KeptMcp(NamedTuple):
    """How an MCP shows that it lives. `reports`: it has reported; `pace`: the seconds within which it promised each next report,
    0 for no promise. `answers`: it has answered probes."""

    name: str
    reports: bool
    pace: float
    answers: bool


class KeptNetwork(NamedTuple):
    """The discovered links, each direction by itself, the units of proactive insertion, and what MCPs have shown."""

    links: tuple[tuple[PortRef, PortRef], ...]
    units: tuple[KeptUnit, ...]
    mcps: tuple[KeptMcp, ...] = ()


class KeptSession(NamedTuple):
    """A session of proactive insertion, which has no entries of its own in switches. `token`: -1 for plain TCP.
    `first`: the key of its initial subflow, which may have ended. `flows`: key, edge and initial sequence number of
    each subflow."""

    unit: str
    mcp: str
    token: int
    version: int
    first: FlowKey
    flows: tuple[tuple[FlowKey, DatapathId, int], ...]


class KeptLease(NamedTuple):
    """A DHCP lease: the host with the MAC `client` behind `port` has `address` (4 bytes). `remaining`: seconds until the
    lease ends, infinity for a lease without an end."""

    port: PortRef
    client: bytes
    address: bytes
    remaining: float


class Piece(StrEnum):
    """A piece of the state, which is one file of the state directory."""

    NETWORK = "network"
    RESERVATIONS = "reservations"
    USAGE = "usage"


class LostPiece(StrEnum):
    """What of the state was not restored or not written. Each kind has a counter (`steering_not_restored_total{what}`)."""

    FILE = "file"  # a file that cannot be read or is too large
    RECORD = "record"  # a record that is damaged, or beyond a bound
    RESERVATION = "reservation"  # its subscriber, MCP or place no longer exists
    LINK = "link"
    UNIT = "unit"
    SESSION = "session"
    LEASE = "lease"  # its port no longer learns hosts by DHCP, or there are too many leases
    WRITE = "write"  # a file that could not be written


class KeptState(NamedTuple):
    """All of the state."""

    network: KeptNetwork = KeptNetwork((), ())
    reservations: tuple[KeptReservation, ...] = ()
    usage: KeptUsage = KeptUsage((), ())
    sessions: tuple[KeptSession, ...] = ()
    leases: tuple[KeptLease, ...] = ()


def merged(pieces: Iterable[KeptState]) -> KeptState:
    """Several pieces of state as one."""
    links: list[tuple[PortRef, PortRef]] = []
    units: list[KeptUnit] = []
    mcps: list[KeptMcp] = []
    reservations: list[KeptReservation] = []
    used: list[KeptUse] = []
    flows: list[tuple[FlowKey, int]] = []
    sessions: list[KeptSession] = []
    for one in pieces:
        links += one.network.links
        units += one.network.units
        mcps += one.network.mcps
        reservations += one.reservations
        used += one.usage.used
        flows += one.usage.flows
        sessions += one.sessions
    network = KeptNetwork(tuple(links), tuple(units), tuple(mcps))
    return KeptState(network, tuple(reservations), KeptUsage(tuple(used), tuple(flows)), tuple(sessions))
