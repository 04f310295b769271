"""The compiled policy, which says what is *wanted*. It is frozen. `steering.policy` reads and checks the policy
file."""

from dataclasses import dataclass, field
from enum import StrEnum

from steering.model.authorisation import AclEntry, Authorization, CpeAcl
from steering.model.network import Network, NetworkAccessType, Trust

Ports = tuple[tuple[int, int], ...]  # ranges, both ends included
ALL_PORTS: Ports = ((1, 65535),)


class Action(StrEnum):
    """What a rule decides about a connection."""

    PROXY = "proxy"
    BYPASS = "bypass"  # it takes its natural path unchanged
    DENY = "deny"  # it is refused by a reset, or silently where `refusal` says drop


class Denial(StrEnum):
    """Which connections an action `deny` refuses."""

    MPTCP = "mptcp"  # those that speak MPTCP; plain TCP goes its natural way
    ALL = "all"  # plain TCP too


class Mode(StrEnum):
    """How an MCP is used towards servers (D-3.4)."""

    TAKE_OVER = "take-over"  # the MCP always terminates
    TRANSPARENT = "transparent"  # the MCP never terminates: MPTCP passes end to end
    HYBRID = "hybrid"  # the MCP terminates for servers that are not known to speak MPTCP


class Presence(StrEnum):
    """Whether an MCP stays where host and server both speak MPTCP (N-5.6.1i, B2)."""

    MAINTAIN = "maintain"
    WITHDRAW = "withdraw"  # the first SYN takes its natural path, and the server's answer decides


class Expectation(StrEnum):
    """What an application expects of its MCP (D-6.5p1-p4)."""

    NONE = "none"
    BULK = "bulk"  # the nearest on-path MCP, to avoid a detour
    CONTINUITY = (
        "continuity"  # an off-path MCP as an anchor, which stays reachable when the host leaves its cell
    )
    LATENCY = "latency"  # the MCP of the least path cost, whatever its load


class ControllerLoss(StrEnum):
    """What becomes of new connections while switches have no controller. Pinned sessions stay pinned."""

    NATURAL = "natural"  # after `timers.controller_grace` they take their natural path
    HOLD = "hold"  # their edge drops their SYNs


class UnknownJoin(StrEnum):
    DROP = "drop"
    RESET = "reset"


class UnknownOption(StrEnum):
    """What becomes of a SYN with a TCP option that no MCP can pass on (D-6.7.3)."""

    BYPASS = "bypass"
    RELAY = "relay"  # it goes to an MCP, which leaves the option out


class RefusalForm(StrEnum):
    """How a host is told that its connection is refused."""

    RESET = "reset"  # by a reset with MP_TCPRST
    DROP = "drop"


class OverLimit(StrEnum):
    """What becomes of a session over a limit (G3)."""

    NATURAL = "natural"
    REFUSE = "refuse"


class Fallback(StrEnum):
    """What becomes of a connection that no MCP can serve: its natural path, or a refusal."""

    FAIL_OPEN = "fail-open"
    FAIL_CLOSED = "fail-closed"


class UsageMode(StrEnum):
    """How a session uses its accesses (D-1.m1-m3)."""

    NATIVE = "native"
    ACTIVE_BACKUP = "active-backup"
    SINGLE = "single"


class Distribution(StrEnum):
    """How a session's traffic is distributed over its subflows (N-5.6.2a). `redundant` does not exist here, since the
    kernel's scheduler cannot send data twice."""

    LOWEST_RTT = "lowest-rtt"  # on all subflows, as the kernel's scheduler decides
    ACTIVE_BACKUP = "active-backup"  # on the best access; the others are backup
    RATIO = "ratio"  # in given shares per access network
    OVERFLOW = "overflow"  # on the best access, and on the others when it is full (D-1.e)


class Authentication(StrEnum):
    """How later subflows are authenticated (D-6.4h)."""

    TOKEN = "token"
    HMAC = "hmac"


class Origin(StrEnum):
    """Who opened an MPTCP connection (N-5.2.2.1)."""

    PROXIED = "proxied"  # an upstream MCP, which marks its connections
    NATIVE = "native"  # the host itself


class Insertion(StrEnum):
    """How a subscriber's connections are led to their MCP (T-21)."""

    REACTIVE = "reactive"  # the controller decides on each first SYN
    PROACTIVE = "proactive"  # entries set in advance lead all TCP of a subscriber to one MCP, so no SYN waits for a decision


class Direction(StrEnum):
    HOST = "host"  # the host opens the connection
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Weights:
    location: float = 1.0
    type: float = 0.1
    load: float = 2.0  # with this weight the total stretch of 12 instances is within 7 % of the optimum (tests/bench/selection_quality.py)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A window of local time (D-3.2c). `days`: ISO weekdays, 1 is Monday. `start` and `end`: minutes since midnight.
    A window whose `end` is before its `start` goes past midnight, and belongs to the day on which it begins."""

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of concurrent sessions and subflows; None: no limit here. Of all limits that apply the least counts
    (T-9)."""

    subflows_per_session: int | None = None
    sessions_per_subscriber: int | None = None
    sessions_per_server: int | None = None
    sessions_per_application: int | None = None
    sessions_per_mcp: int | None = None


@dataclass(frozen=True, slots=True)
class Pooling:
    """Which access types a subscriber may combine. `allowed`: empty stands for all. `preferred`: the best comes
    first."""

    allowed: frozenset[NetworkAccessType] = frozenset()
    preferred: tuple[NetworkAccessType, ...] = ()
    quota_bytes: tuple[tuple[NetworkAccessType, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleConditions:
    """The conditions of a rule. All have to hold; an empty one always holds."""

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
    """The terms that a rule grants. A field that is None takes the policy's own value."""

    action: Action = Action.PROXY
    deny: Denial = Denial.MPTCP
    mode: Mode = Mode.TAKE_OVER
    insertion: Insertion = Insertion.REACTIVE
    expectation: Expectation = Expectation.NONE
    mcps: frozenset[str] = frozenset()  # names of candidates, empty for all MCPs
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
    terminate_only: frozenset[Origin] = frozenset()  # whose MPTCP an MCP terminates; empty for all


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of the policy. Rules keep the order of the file."""

    name: str
    when: RuleConditions
    then: Terms


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscriber, with an opaque id. `prefixes`: the addresses of its hosts."""

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
    """An application, recognised by its service ports, and by its destinations if given."""

    name: str
    ports: Ports = ()
    destinations: tuple[Network, ...] = ()
    quotas: Quotas = Quotas()


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard bounds of the controller itself."""

    sessions: int = 200_000  # session records, including those that linger
    half_open: int = 10_000
    half_open_per_source: int = 1_024  # address, or IPv6 /64 of one host
    held_joins: int = 1_024
    subflows_per_session: int = 4  # B10
    hosts: int = 65_536
    idle_pins: int = 4_096  # silent sessions that keep their entries, of an access network


@dataclass(frozen=True, slots=True)
class Timers:
    """Times in seconds."""

    hold: float = 0.2  # for which a join waits whose token is not known yet (requirements G5)
    half_open: float = 10.0
    fin_linger: float = 5.0
    session_linger: float = 3600.0  # B42
    idle: float = 7500.0  # more than the 2 h 4 min that RFC 5382 REQ-5 wants for established connections
    sweep: float = 60.0
    capability: float = 3600.0  # for which it is remembered whether a server speaks MPTCP (G7)
    health_hold: float = 3.0  # after which an MCP that was down counts as up again
    controller_grace: int = 2  # whole seconds for which edges drop SYNs while there is no controller


@dataclass(frozen=True, slots=True)
class Meters:
    """Rates of meters, in packets per second. They limit copies and punts to the controller, never forwarding."""

    syn_per_port: int = 1_000
    syn_ack: int = 4_000
    fin: int = 2_000
    neighbour: int = 500
    host_miss: int = 200
    ttl_expired: int = 50
    icmp_error: int = 50
    lldp: int = 500
    watch: int = 4_000  # segments of watched session entries (for keys, third ACKs, aborts)


class Toggle(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Logging:
    """What is logged about subscribers (N-5.6.7). `auto`: mappings of MCPs that share addresses (B28)."""

    mappings: Toggle = Toggle.AUTO
    destinations: bool = False  # whether mappings are logged with destinations (RFC 6888 REQ-12)


@dataclass(frozen=True, slots=True)
class Reservations:
    """Limits of reservations (D-6.4g). Times are in seconds."""

    lease: float = 300.0  # B38
    longest_lease: float = 3600.0
    offer: float = 30.0  # how long an offer is held until it has to be accepted
    share: float = 0.8  # of a link's capacity that may be reserved
    most: int = 256
    most_per_subscriber: int = 16
    subflows: int = 8  # most MP_JOINs of one reservation
    subflow_pool: int = 4096  # most MP_JOINs of all reservations together


@dataclass(frozen=True, slots=True)
class AlarmTerms:
    """When alarms are raised and cleared (core.supervision)."""

    fallback_ratio: float = 0.2  # share of fallbacks among first answers, for an access network or an MCP, at which an alarm is raised
    fallback_count: int = 20  # answers below which the share is not judged
    window: float = 60.0  # seconds over which answers are counted; after so long without a refusal the alarm of a quota is cleared
    table: float = 0.9  # use of a bound of the controller at which an alarm is raised, as a share
    clear: float = 0.8  # share of the two levels above, below which an alarm is cleared
    steady: float = 5.0  # seconds for which a lost thing has to be there again, until its alarm is cleared
    sick_ratio: float = (
        0.5  # share of SYNs that an MCP leaves unanswered, or of fallbacks at it alone, at which it is sick
    )
    sick_count: int = 5  # SYNs without an answer below which that share is not judged


DEFAULT_QUOTAS = Quotas(sessions_per_subscriber=256, sessions_per_server=4096)  # B11, B12


@dataclass(frozen=True, slots=True)
class Policy:
    version: int = 1
    eligible_ports: Ports = ALL_PORTS
    weights: Weights = field(default_factory=Weights)
    max_stretch: float = 2.0  # B41
    hysteresis: float = 0.05
    avoid_sick: bool = True  # an MCP that leaves SYNs unanswered gets no new session for a while
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
    avoid_fragmentation: bool = True  # whether MCPs lower the MSS on their legs (D-6.7.5)
    foreign_mcps: bool = False  # whether MCPs of other operators may serve (D-7.3, D-7.4)
    mcp_presence: Presence = Presence.MAINTAIN
    controller_loss: ControllerLoss = ControllerLoss.NATURAL
    marker_ports: Ports = ()  # source ports by which upstream MCPs mark their connections (N-5.2.2.1c)
    distribution: Distribution = Distribution.LOWEST_RTT  # B8; a rule, subscriber or class may set another
    keep_keys: bool = (
        False  # whether hosts' keys are learnt, by which sessions can be aborted with MP_FASTCLOSE
    )
    authorization: Authorization = field(default_factory=Authorization)
    acl: tuple[AclEntry, ...] = ()
    cpe_acl: CpeAcl = field(default_factory=CpeAcl)
    rules: tuple[PolicyRule, ...] = ()
    subscribers: tuple[Subscriber, ...] = ()
    classes: tuple[SubscriberClass, ...] = ()
    applications: tuple[Application, ...] = ()


def leaves_alone(policy: Policy) -> bool:
    """Whether any rule lets MPTCP pass without an MCP. If so, servers' answers are copied to the controller."""
    return policy.mcp_presence is Presence.WITHDRAW or any(
        rule.then.action is Action.BYPASS or rule.then.mode is not Mode.TAKE_OVER or rule.then.terminate_only
        for rule in policy.rules
    )
