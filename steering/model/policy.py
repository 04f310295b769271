"""The policy, compiled: what is *wanted*. Frozen; the file's language is checked in `steering.policy`."""

from dataclasses import dataclass, field
from enum import StrEnum

from steering.model.authorisation import AclEntry, Authorization, CpeAcl
from steering.model.network import Network, NetworkAccessType, Trust

Ports = tuple[tuple[int, int], ...]  # ranges, both ends included
ALL_PORTS: Ports = ((1, 65535),)


class Action(StrEnum):
    """What a rule decides about a connection."""

    PROXY = "proxy"
    BYPASS = "bypass"  # the natural path, untouched
    DENY = "deny"  # refused: a reset, or silence where `refusal` says drop


class Denial(StrEnum):
    """Which connections an action `deny` refuses."""

    MPTCP = "mptcp"  # those that speak MPTCP; plain TCP goes its natural way
    ALL = "all"  # plain TCP too


class Mode(StrEnum):
    """D-3.4: what the MCP does towards servers."""

    TAKE_OVER = "take-over"  # always an MCP
    TRANSPARENT = "transparent"  # never one: MPTCP signals pass
    HYBRID = "hybrid"  # an MCP for servers that are not known to speak MPTCP


class Presence(StrEnum):
    """Whether an MCP stays where host and server both speak MPTCP (N-5.6.1i, B2)."""

    MAINTAIN = "maintain"
    WITHDRAW = "withdraw"  # the first SYN goes its natural way; the server's answer decides


class Expectation(StrEnum):
    """What the application expects (D-6.5p1-p4)."""

    NONE = "none"
    BULK = "bulk"  # on-path, and of those the nearest: no roundabout
    CONTINUITY = "continuity"  # an off-path MCP, an anchor that outlives the cell
    LATENCY = "latency"  # the least path cost, whatever the load


class ControllerLoss(StrEnum):
    """What becomes of new connections while switches hear of no controller; those that are pinned stay pinned."""

    NATURAL = "natural"  # after `timers.controller_grace` they go their natural way
    HOLD = "hold"  # their SYNs end at their edge


class UnknownJoin(StrEnum):
    DROP = "drop"
    RESET = "reset"


class UnknownOption(StrEnum):
    """What becomes of a SYN with a TCP option that no MCP could carry on (D-6.7.3)."""

    BYPASS = "bypass"
    RELAY = "relay"  # to an MCP, which leaves the option out


class RefusalForm(StrEnum):
    """How a refusal is told."""

    RESET = "reset"  # a reset with MP_TCPRST
    DROP = "drop"


class OverLimit(StrEnum):
    """What becomes of a session over a limit (G3)."""

    NATURAL = "natural"
    REFUSE = "refuse"


class Fallback(StrEnum):
    """Where no MCP can serve: the natural path, or nothing."""

    FAIL_OPEN = "fail-open"
    FAIL_CLOSED = "fail-closed"


class UsageMode(StrEnum):
    """D-1.m1-m3."""

    NATIVE = "native"
    ACTIVE_BACKUP = "active-backup"
    SINGLE = "single"


class Distribution(StrEnum):
    """How a session's traffic is laid on its subflows (N-5.6.2a). `redundant` is none of them: the kernel's
    scheduler cannot send twice."""

    LOWEST_RTT = "lowest-rtt"  # all at once, as the kernel's scheduler finds best
    ACTIVE_BACKUP = "active-backup"  # the best access carries, the others wait
    RATIO = "ratio"  # shares by access network
    OVERFLOW = "overflow"  # the best access carries, the others help when it is full (D-1.e)


class Authentication(StrEnum):
    """Of later subflows (D-6.4h)."""

    TOKEN = "token"
    HMAC = "hmac"


class Origin(StrEnum):
    """Who opened an MPTCP connection (N-5.2.2.1)."""

    PROXIED = "proxied"  # an upstream MCP, which marks what it opens
    NATIVE = "native"  # a host itself


class Insertion(StrEnum):
    """How a subscriber's connections are brought to their MCP (T-21)."""

    REACTIVE = "reactive"  # each first SYN is looked at and decided on
    PROACTIVE = "proactive"  # entries set ahead lead all TCP of a subscriber to one MCP: no SYN waits


class Direction(StrEnum):
    HOST = "host"  # the host opens the connection
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Weights:
    location: float = 1.0
    type: float = 0.1
    load: float = 2.0  # over 12 instances the sum of stretch is then within 7 % of the optimum (tests/bench/selection_quality.py)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Local time of day. `days` are ISO weekdays (1 Monday); minutes from midnight; `end` before `start`
    goes past midnight and belongs to the day it began on (D-3.2c)."""

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Quotas:
    """Concurrent limits; None is no limit here. The least over all that apply counts (T-9)."""

    subflows_per_session: int | None = None
    sessions_per_subscriber: int | None = None
    sessions_per_server: int | None = None
    sessions_per_application: int | None = None
    sessions_per_mcp: int | None = None


@dataclass(frozen=True, slots=True)
class Pooling:
    """Which access types a subscriber may combine; empty `allowed` is all. `preferred`: first the best."""

    allowed: frozenset[NetworkAccessType] = frozenset()
    preferred: tuple[NetworkAccessType, ...] = ()
    quota_bytes: tuple[tuple[NetworkAccessType, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleConditions:
    """A rule's conditions: all that are given must hold; an empty one always does."""

    subscribers: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    applications: frozenset[str] = frozenset()
    sources: tuple[Network, ...] = ()
    access_networks: frozenset[str] = frozenset()
    access_types: frozenset[NetworkAccessType] = frozenset()
    trusts: frozenset[Trust] = frozenset()
    destinations: tuple[Network, ...] = ()
    ports: Ports = ()
    dscp: frozenset[int] = frozenset()
    ip_versions: frozenset[int] = frozenset()
    mptcp_versions: frozenset[int] = frozenset()
    times: tuple[TimeWindow, ...] = ()
    directions: frozenset[Direction] = frozenset()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule grants; None inherits the policy's own."""

    action: Action = Action.PROXY
    deny: Denial = Denial.MPTCP
    mode: Mode = Mode.TAKE_OVER
    insertion: Insertion = Insertion.REACTIVE
    expectation: Expectation = Expectation.NONE
    mcps: frozenset[str] = frozenset()  # candidate set, empty for all
    weights: Weights | None = None
    hysteresis: float | None = None
    max_stretch: float | None = None
    fallback: Fallback | None = None
    usage_mode: UsageMode = UsageMode.NATIVE
    distribution: Distribution | None = None
    pooling: Pooling = Pooling()
    ratio: tuple[tuple[str, int], ...] = ()  # access network -> share
    quotas: Quotas = Quotas()
    authentication: Authentication = Authentication.TOKEN
    transports: tuple[str, ...] = ("tcp",)
    terminate_only: frozenset[Origin] = frozenset()  # empty for all


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of the policy, in the file's order."""

    name: str
    when: RuleConditions
    then: Terms


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Known by an opaque id; `prefixes` are where its hosts are."""

    id: str
    klass: str = "default"
    prefixes: tuple[Network, ...] = ()
    quotas: Quotas = Quotas()
    distribution: Distribution | None = None


@dataclass(frozen=True, slots=True)
class SubscriberClass:
    name: str
    quotas: Quotas = Quotas()
    distribution: Distribution | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """Known by its service ports, and where given its destinations."""

    name: str
    ports: Ports = ()
    destinations: tuple[Network, ...] = ()
    quotas: Quotas = Quotas()


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard bounds of the controller itself."""

    sessions: int = 200_000  # records, lingering ones included
    half_open: int = 10_000
    half_open_per_source: int = 1_024  # IPv4 address or IPv6 /64
    held_joins: int = 1_024
    subflows_per_session: int = 4  # B10
    hosts: int = 65_536
    idle_pins: int = 4_096  # silent sessions that keep their entries, of an access network


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds."""

    hold: float = 0.2  # an early join waits for its token (requirements G5)
    half_open: float = 10.0
    fin_linger: float = 5.0
    session_linger: float = 3600.0  # B42
    idle: float = 7500.0  # above the 2 h 4 min that RFC 5382 REQ-5 has for established connections
    sweep: float = 60.0
    capability: float = 3600.0  # what is known of a server's MPTCP (G7)
    health_hold: float = 3.0  # an MCP that was down is believed after so long
    controller_grace: int = 2  # whole seconds that SYNs end at their edge while there is no controller


@dataclass(frozen=True, slots=True)
class Meters:
    """Packets a second; copies and punts only, never forwarding."""

    syn_per_port: int = 1_000
    syn_ack: int = 4_000
    fin: int = 2_000
    neighbour: int = 500
    host_miss: int = 200
    ttl_expired: int = 50
    icmp_error: int = 50
    lldp: int = 500
    watch: int = 4_000  # segments of session entries that are watched (keys, third ACKs, aborts)


class Toggle(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Logging:
    """What is written down of subscribers (N-5.6.7). `auto`: mappings of MCPs that share addresses (B28)."""

    mappings: Toggle = Toggle.AUTO
    destinations: bool = False  # RFC 6888 REQ-12


@dataclass(frozen=True, slots=True)
class Reservations:
    """What may be reserved (D-6.4g). Times in seconds."""

    lease: float = 300.0  # B38
    longest_lease: float = 3600.0
    offer: float = 30.0  # how long an offer is held for whoever has to accept it
    share: float = 0.8  # of a link; the rest is never reserved
    most: int = 256
    most_per_subscriber: int = 16
    subflows: int = 8  # MP_JOINs of one reservation
    subflow_pool: int = 4096  # of all together


@dataclass(frozen=True, slots=True)
class AlarmTerms:
    """When alarms are raised and cleared (core.supervision)."""

    fallback_ratio: float = 0.2  # of the first answers of an access network's or an MCP's sessions
    fallback_count: int = 20  # answers before anything is said of them
    window: float = (
        60.0  # seconds over which they are looked at; a quota is quiet after so long without a refusal
    )
    table: float = 0.9  # of a bound of the controller
    clear: float = 0.8  # of the two levels above: below that they are cleared
    steady: float = 5.0  # seconds that what was lost must be there again


DEFAULT_QUOTAS = Quotas(sessions_per_subscriber=256, sessions_per_server=4096)  # B11, B12


@dataclass(frozen=True, slots=True)
class Policy:
    version: int = 1
    eligible_ports: Ports = ALL_PORTS
    weights: Weights = field(default_factory=Weights)
    max_stretch: float = 2.0  # B41
    hysteresis: float = 0.05
    limits: Limits = field(default_factory=Limits)
    timers: Timers = field(default_factory=Timers)
    meters: Meters = field(default_factory=Meters)
    quotas: Quotas = Quotas()
    reservations: Reservations = field(default_factory=Reservations)
    alarms: AlarmTerms = field(default_factory=AlarmTerms)
    logging: Logging = field(default_factory=Logging)
    unknown_join: UnknownJoin = UnknownJoin.DROP
    refusal: RefusalForm = RefusalForm.RESET
    unknown_option: UnknownOption = UnknownOption.BYPASS
    over_limit: OverLimit = OverLimit.NATURAL
    fallback: Fallback = Fallback.FAIL_OPEN
    third_party_pooling: bool = False  # B14
    avoid_fragmentation: bool = True  # MCPs lower the segment size on their legs (D-6.7.5)
    foreign_mcps: bool = False  # whether MCPs of other operators may serve (D-7.3, D-7.4)
    mcp_presence: Presence = Presence.MAINTAIN
    controller_loss: ControllerLoss = ControllerLoss.NATURAL
    marker_ports: Ports = ()  # source ports that upstream MCPs draw from (N-5.2.2.1c)
    distribution: Distribution = Distribution.LOWEST_RTT  # B8; rule, subscriber and class say it over
    keep_keys: bool = False  # hosts' keys are learnt, so that sessions can be aborted by MP_FASTCLOSE
    authorization: Authorization = field(default_factory=Authorization)
    acl: tuple[AclEntry, ...] = ()
    cpe_acl: CpeAcl = field(default_factory=CpeAcl)
    rules: tuple[PolicyRule, ...] = ()
    subscribers: tuple[Subscriber, ...] = ()
    classes: tuple[SubscriberClass, ...] = ()
    applications: tuple[Application, ...] = ()


def leaves_alone(policy: Policy) -> bool:
    """Whether any rule lets MPTCP pass without an MCP: then servers' answers are looked at."""
    return policy.mcp_presence is Presence.WITHDRAW or any(
        rule.then.action is Action.BYPASS or rule.then.mode is not Mode.TAKE_OVER or rule.then.terminate_only
        for rule in policy.rules
    )
