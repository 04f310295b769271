"""The compiled policy: what the operator *wants*. `steering.policy` reads and checks the policy file."""

from dataclasses import dataclass, field
from enum import StrEnum

from steering.model.authorisation import AclEntry, Authorization, CpeAcl
from steering.model.network import Network, NetworkAccessType, Trust
from steering.model.policy_bounds import AlarmTerms as AlarmTerms
from steering.model.policy_bounds import Limits as Limits
from steering.model.policy_bounds import Meters as Meters
from steering.model.policy_bounds import Reservations as Reservations
from steering.model.policy_bounds import Timers as Timers

Ports = tuple[tuple[int, int], ...]  # ranges, both ends included
ALL_PORTS: Ports = ((1, 65535),)


class Action(StrEnum):
    """What a rule decides about a connection."""

    PROXY = "proxy"
    BYPASS = "bypass"  # the connection takes its natural path unchanged
    DENY = "deny"  # the connection is refused by a reset, or silently if `refusal` is drop


class Denial(StrEnum):
    """Which connections an action `deny` refuses."""

    MPTCP = "mptcp"  # connections that speak MPTCP; plain TCP takes its natural path
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
    """What becomes of a join whose token no session has."""

    DROP = "drop"
    RESET = "reset"


class UnknownOption(StrEnum):
    """What becomes of a SYN with a TCP option that no MCP can pass on (D-6.7.3)."""

    BYPASS = "bypass"
    RELAY = "relay"  # the SYN goes to an MCP, which leaves the option out


class RefusalForm(StrEnum):
    """How a host is told that its connection is refused."""

    RESET = "reset"  # by a reset with MP_TCPRST
    DROP = "drop"


class OverLimit(StrEnum):
    """What becomes of a session over a limit (G3)."""

    NATURAL = "natural"
    REFUSE = "refuse"


class Fallback(StrEnum):
    """What becomes of a connection that no MCP can serve: fail-open lets it take its natural path, fail-closed refuses
    it."""

    FAIL_OPEN = "fail-open"
    FAIL_CLOSED = "fail-closed"


class UsageMode(StrEnum):
    """How a session uses its accesses (D-1.m1-m3)."""

    NATIVE = "native"
    ACTIVE_BACKUP = "active-backup"
    SINGLE = "single"


class Distribution(StrEnum):
    """How a session's traffic is distributed over its subflows (N-5.6.2a). There is no `redundant`, because the kernel's
    scheduler cannot send data twice."""

    LOWEST_RTT = "lowest-rtt"  # on all subflows, as the kernel's scheduler decides
    ACTIVE_BACKUP = "active-backup"  # on the best access; the others are backup
    RATIO = "ratio"  # in given shares per access network
    OVERFLOW = "overflow"  # on the best access, and on the others when it is full (D-1.e)


class Authentication(StrEnum):
    """How later subflows are authenticated (D-6.4h)."""

    TOKEN = "token"  # the join shows the session's token
    HMAC = "hmac"  # the join also proves by its HMAC that the host has the session's keys


class Origin(StrEnum):
    """Who opened an MPTCP connection (N-5.2.2.1)."""

    PROXIED = "proxied"  # an upstream MCP, which marks its connections
    NATIVE = "native"  # the host itself


class Insertion(StrEnum):
    """How a subscriber's connections are led to their MCP (T-21)."""

    REACTIVE = "reactive"  # the controller decides on each first SYN
    PROACTIVE = "proactive"  # entries set in advance lead all TCP of a subscriber to one MCP: no SYN waits


class Direction(StrEnum):
    """Who opens a connection."""

    HOST = "host"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of the terms in an MCP's score (core.selection.scoring)."""

    location: float = 1.0
    type: float = 0.1
    # With this weight the total stretch of 12 instances is within 7 % of the optimum (tests/bench/selection_quality.py).
    load: float = 2.0


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A window of local time (D-3.2c). `days`: ISO weekdays, 1 is Monday. `start` and `end`: minutes since midnight.
    A window whose `end` is before its `start` goes past midnight, and belongs to the day on which it begins."""

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of concurrent sessions and subflows. None: no limit is set here. If several limits apply, the least counts
    (T-9)."""

    subflows_per_session: int | None = None
    sessions_per_subscriber: int | None = None
    sessions_per_server: int | None = None
    sessions_per_application: int | None = None
    sessions_per_mcp: int | None = None


@dataclass(frozen=True, slots=True)
class Pooling:
    """Which access types a subscriber may combine. `allowed`: empty for all. `preferred`: best first. `quota_bytes`: how
    many bytes the subscriber may send over each type."""

    allowed: frozenset[NetworkAccessType] = frozenset()
    preferred: tuple[NetworkAccessType, ...] = ()
    quota_bytes: tuple[tuple[NetworkAccessType, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleConditions:
    """The conditions of a rule. All of them have to hold. An empty condition always holds."""

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
    terminate_only: frozenset[Origin] = frozenset()  # origins whose MPTCP an MCP terminates; empty for all


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
    """A class of subscribers, with terms that hold for each of its subscribers."""

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


class Toggle(StrEnum):
    """A switch that may decide by itself. What `auto` means stands at the field that has it."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Logging:
    """What is logged about subscribers (N-5.6.7). `auto`: mappings of MCPs that share addresses (B28)."""

    mappings: Toggle = Toggle.AUTO
    destinations: bool = False  # whether mappings are logged with destinations (RFC 6888 REQ-12)


DEFAULT_QUOTAS = Quotas(sessions_per_subscriber=256, sessions_per_server=4096)  # B11, B12


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy. The defaults are those of an empty policy file."""

    version: int = 1
    eligible_ports: Ports = ALL_PORTS
    weights: Weights = field(default_factory=Weights)
    max_stretch: float = 2.0  # B41
    hysteresis: float = 0.05
    avoid_sick: bool = True  # whether a sick MCP gets no new session for a while
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
    # Whether the controller learns hosts' keys. With them it can abort sessions by MP_FASTCLOSE.
    keep_keys: bool = False
    authorization: Authorization = field(default_factory=Authorization)
    acl: tuple[AclEntry, ...] = ()
    cpe_acl: CpeAcl = field(default_factory=CpeAcl)
    rules: tuple[PolicyRule, ...] = ()
    subscribers: tuple[Subscriber, ...] = ()
    classes: tuple[SubscriberClass, ...] = ()
    applications: tuple[Application, ...] = ()


def leaves_alone(policy: Policy) -> bool:
    """Whether the policy lets any MPTCP pass without an MCP. If so, servers' answers are copied to the controller."""
    return policy.mcp_presence is Presence.WITHDRAW or any(
        rule.then.action is Action.BYPASS or rule.then.mode is not Mode.TAKE_OVER or rule.then.terminate_only
        for rule in policy.rules
    )
