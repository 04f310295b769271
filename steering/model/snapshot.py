"""The state of a running controller at one moment, as records that never change and know no JSON.

`core/snapshots` makes these records from the engine, and `northbound/schema/representation` makes JSON of them. Switches,
ports and MCPs have the names of the site file. A port is `switch:number`. Addresses are text, times are in seconds.
The records of sessions are in `session_snapshot`, those of switches' ports in `port_snapshot`.
"""

from typing import NamedTuple

from steering.model.ids import WaypointId
from steering.model.network import Interception, McpType, NetworkAccessType, Trust
from steering.model.policy import Distribution
from steering.model.session import SessionState
from steering.model.supervision import AlarmKind, ThingKind

# ---- the controller and the network --------------------------------------------------------------


class SwitchCounts(NamedTuple):
    """Numbers of switches."""

    connected: int
    known: int


class HealthSnapshot(NamedTuple):
    """The controller's health. `status`: ok, recovering or no-switch. `sessions`: the number of sessions in each state.
    `missing`: how many expected things are missing."""

    status: str
    version: str
    uptime_s: float
    switches: SwitchCounts
    sessions: dict[SessionState, int]
    policy_version: int
    missing: int


class SwitchSnapshot(NamedTuple):
    """A switch. `dpid`: 16 hex digits."""

    name: str
    dpid: str
    connected: bool


class ExpectedCount(NamedTuple):
    """How many things of a kind the site expects, and how many of them are there."""

    kind: ThingKind
    expected: int
    seen: int


class MissingThing(NamedTuple):
    """Something that is expected and missing. `port`: of an attachment or MCP, else None. `never_seen`: the thing was
    never there since the controller started. `missing_s`: seconds since the thing was there, or since the start."""

    kind: ThingKind
    name: str
    port: str | None
    never_seen: bool
    missing_s: float


class AlarmSnapshot(NamedTuple):
    """An alarm that is raised. `name`: the name in the site file of the thing that the alarm is about. `raised_s`: seconds
    since the alarm was raised."""

    alarm: AlarmKind
    name: str
    text: str
    raised_s: float


class AlarmChangeSnapshot(NamedTuple):
    """An alarm was raised or cleared (`change`). `number`: changes of this run of the controller are numbered from 1."""

    number: int
    change: str
    alarm: AlarmKind
    name: str
    text: str


class StatusSnapshot(NamedTuple):
    """Expected things and alarms. `missing`: the thing that is missing longest comes first. `unknown_switches`: connected
    switches that the site file does not name."""

    expected: tuple[ExpectedCount, ...]
    missing: tuple[MissingThing, ...]
    unknown_switches: tuple[SwitchSnapshot, ...]
    alarms: tuple[AlarmSnapshot, ...]


class LinkEnds(NamedTuple):
    """One direction of a link, with its cost."""

    a: str
    b: str
    weight: float
    up: bool


class AttachmentSnapshot(NamedTuple):
    name: str
    role: str
    port: str
    up: bool
    waypoint: WaypointId


class HostSnapshot(NamedTuple):
    address: str
    mac: str
    port: str


class RefusedSwitchSnapshot(NamedTuple):
    """Refused connections that gave one datapath id. `reason`: a `model.refused_connections.SwitchRefusal`."""

    dpid: str
    reason: str
    times: int


class TopologySnapshot(NamedTuple):
    switches: tuple[SwitchSnapshot, ...]
    refused: tuple[RefusedSwitchSnapshot, ...]
    links: tuple[LinkEnds, ...]
    attachments: tuple[AttachmentSnapshot, ...]
    hosts: tuple[HostSnapshot, ...]


class LinkSnapshot(NamedTuple):
    """A link. `weight`: the weight in force, or soon in force. `own_weight`: the weight of the site file. `set_weight`: the
    weight that an operator has set, or None. `up`: whether the link is up in both directions."""

    name: str
    a: str
    b: str
    weight: float
    own_weight: float
    set_weight: float | None
    up: bool


class LinksSnapshot(NamedTuple):
    """All links. `kept_flows`: how many flows of live sessions stay on paths of earlier weights. `settled`: whether all
    other traffic uses the current weights."""

    links: tuple[LinkSnapshot, ...]
    settled: bool
    kept_flows: int


class McpSnapshot(NamedTuple):
    """An MCP. `type`: the type in the site file. `type_computed`: the type that follows from the MCP's place in the network
    (D-4.b). `health`: up, draining, down or unknown. `load`: 0 to 1."""

    name: str
    id: int
    type: McpType
    type_computed: McpType
    interception: Interception
    location: str | None
    access_networks: tuple[str, ...]
    public_addresses: tuple[str, ...]
    addresses: tuple[str, ...]
    port: str
    capacity_sessions: int
    operator: str
    sessions: int
    subflows: int
    health: str
    load: float
    distribution: Distribution
    reachable: bool


class AccessNetworkSnapshot(NamedTuple):
    """An access network. `offloaded_to`: the access network to which an operator's offload moves traffic (D-1.u2)."""

    name: str
    type: NetworkAccessType
    trust: Trust
    prefixes: tuple[str, ...]
    ports: tuple[str, ...]
    offloaded_to: str | None


class GatewaySnapshot(NamedTuple):
    name: str
    prefixes: tuple[str, ...]
    ports: tuple[str, ...]
    addresses: tuple[str, ...]
    next_hops: tuple[str, ...]


# ---- the policy ----------------------------------------------------------------------------------


class SubscriberSnapshot(NamedTuple):
    """A subscriber of the policy. `id`: the policy's id, which has to become a pseudonym before it is shown to anybody
    (N-7.1). `quotas`: by name, None where the subscriber has no limit of its own."""

    id: str
    klass: str
    prefixes: tuple[str, ...]
    quotas: dict[str, int | None]


class TimedRule(NamedTuple):
    name: str
    open: bool


class ClockSnapshot(NamedTuple):
    """The clock for time windows of rules (D-3.2c). `time`: such as "mon 17:05". `minute`: minutes since Monday 0:00.
    `rules`: the rules that have time windows."""

    time: str
    minute: int
    rules: tuple[TimedRule, ...]


class BoundUse(NamedTuple):
    """A bound of the controller, and how much of it is used."""

    limit: str
    most: int
    used: int


class QuotaLimit(NamedTuple):
    """A limit of the policy. `source`: the place where it is set."""

    limit: str
    source: str
    most: int


class QuotaUse(NamedTuple):
    kind: str
    name: str
    sessions: int


class ReachedLimit(NamedTuple):
    kind: str
    name: str
    most: int
    source: str


class CountedLimit(NamedTuple):
    """A limit that was reached, and how often."""

    kind: str
    name: str
    most: int
    source: str
    how_often: int


class LimitsSnapshot(NamedTuple):
    """Limits, their use, and refusals because of them (D-6.3f). Subscribers have the policy's ids, not pseudonyms.
    `full`: limits that were reached; the latest comes last."""

    controller: tuple[BoundUse, ...]
    quotas: tuple[QuotaLimit, ...]
    use: tuple[QuotaUse, ...]
    refusals: dict[str, int]
    full: tuple[CountedLimit, ...]
    last_full: ReachedLimit | None


# ---- reservations --------------------------------------------------------------------------------


class FlowEnds(NamedTuple):
    src: str
    sport: int
    dst: str
    dport: int


class RequestedAmount(NamedTuple):
    rate_bps: int
    subflows: int


class ReservedPath(NamedTuple):
    """A path of a reservation. `direction`: up or down. `between`: host-mcp or mcp-server."""

    direction: str
    between: str
    switches: tuple[str, ...]


class ReservationSnapshot(NamedTuple):
    """A reservation. `subscriber`: the policy's id, not a pseudonym. `path_number`: the number in the labels of its paths,
    None where no rate is reserved."""

    id: str
    level: str
    standing: str
    subscriber: str | None
    session: str | None
    flow: FlowEnds | None
    mcp: str
    rate_bps: int
    subflows: int
    asked: RequestedAmount
    path_number: int | None
    paths: tuple[ReservedPath, ...]
    version: int
    remaining_s: float
