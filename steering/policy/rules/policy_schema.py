"""The schema of a policy file, with the bounds of every number in it.

Every key except `policy` is optional. The defaults are those of `steering.model.policy`. Bounds:

* selection: weights 0 to 1000 each; max_stretch 1 to 1000 (1: no detour at all, N-5.1b); hysteresis 0 to 1.
* limits: finite, at least 1 (D-6.3f); half_open no larger than sessions.
* timers, seconds: hold above 0, at most 0.2 (G5); session_linger at least 60, the kernel's own
  `close_timeout`, since a host may rejoin that long (B42); idle at least 10; capability at most a day (G7);
  health_hold at most 300; controller_grace 2 to 600, whole seconds, as switches count them.
* authorization, acl, cpe_acl: in `authorisation_schema`.
* meters, packets a second: 1 to 1,000,000.
* reservations: leases 1 s to a week, offers 1 to 300 s, a share of 0 (none) to 1, at most 1024 at once (D-6.4g).
* alarms: a ratio above 0, at most 1; at least 1 answer; windows of 1 s to an hour; levels above 0, at most 1.
* quotas: finite for subscribers and servers (B11, B12), 1 to 1,000,000; the rest is in `rule_schema`.
"""

from typing import Annotated

from pydantic import Field

from steering.model.policy import (
    DEFAULT_QUOTAS,
    AlarmTerms,
    ControllerLoss,
    Distribution,
    Fallback,
    Limits,
    Logging,
    Meters,
    OverLimit,
    Policy,
    Presence,
    RefusalForm,
    Reservations,
    Timers,
    Toggle,
    UnknownJoin,
    UnknownOption,
    Weights,
)
from steering.policy.language.fields import ListOrItem, PortRange, PortRanges, Version, WordedEnum
from steering.policy.language.validate import EmptyList, EmptyMapping, StrictModel
from steering.policy.rules.authorisation_schema import Acl, AuthorizationFile, CpeAclFile
from steering.policy.rules.rule_schema import (
    ApplicationFile,
    ClassFile,
    Hysteresis,
    RuleFile,
    Stretch,
    Subflows,
    SubscriberFile,
    Weight,
)

_WEIGHTS, _LIMITS, _TIMERS, _METERS, _POLICY = Weights(), Limits(), Timers(), Meters(), Policy()
_RESERVED, _LOGGING, _ALARMS = Reservations(), Logging(), AlarmTerms()

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]
MarkerPorts = Annotated[list[PortRange], Field(max_length=16), ListOrItem()]


class EligibleFile(StrictModel):
    ports: PortRanges = Field(default=list(_POLICY.eligible_ports))


class WeightsFile(StrictModel):
    location: Weight = _WEIGHTS.location
    type: Weight = _WEIGHTS.type
    load: Weight = _WEIGHTS.load


class SelectionFile(StrictModel):
    weights: Annotated[WeightsFile, EmptyMapping] = WeightsFile()
    max_stretch: Stretch = _POLICY.max_stretch
    hysteresis: Hysteresis = _POLICY.hysteresis
    avoid_sick: bool = _POLICY.avoid_sick


class LimitsFile(StrictModel):
    sessions: Count = _LIMITS.sessions
    half_open: Count = _LIMITS.half_open
    half_open_per_source: Count = _LIMITS.half_open_per_source
    held_joins: int = Field(default=_LIMITS.held_joins, ge=1, le=65_536)
    subflows_per_session: Subflows = _LIMITS.subflows_per_session
    hosts: Count = _LIMITS.hosts
    idle_pins: Count = _LIMITS.idle_pins


class TimersFile(StrictModel):
    hold: float = Field(default=_TIMERS.hold, gt=0, le=0.2)
    half_open: float = Field(default=_TIMERS.half_open, ge=1, le=120)
    fin_linger: float = Field(default=_TIMERS.fin_linger, ge=0, le=300)
    session_linger: float = Field(default=_TIMERS.session_linger, ge=60, le=604_800)
    idle: float = Field(default=_TIMERS.idle, ge=10, le=2_592_000)
    sweep: float = Field(default=_TIMERS.sweep, ge=1, le=3600)
    capability: float = Field(default=_TIMERS.capability, ge=1, le=86_400)
    health_hold: float = Field(default=_TIMERS.health_hold, ge=0, le=300)
    controller_grace: int = Field(default=_TIMERS.controller_grace, ge=2, le=600)


class MetersFile(StrictModel):
    syn_per_port: Rate = _METERS.syn_per_port
    syn_ack: Rate = _METERS.syn_ack
    fin: Rate = _METERS.fin
    neighbour: Rate = _METERS.neighbour
    host_miss: Rate = _METERS.host_miss
    ttl_expired: Rate = _METERS.ttl_expired
    icmp_error: Rate = _METERS.icmp_error
    lldp: Rate = _METERS.lldp
    watch: Rate = _METERS.watch


class MarkerFile(StrictModel):
    """How upstream MCPs mark what they open (N-5.2.2.1c)."""

    source_ports: MarkerPorts = Field(default=list(_POLICY.marker_ports))


class LoggingFile(StrictModel):
    mappings: Annotated[Toggle, WordedEnum()] = _LOGGING.mappings
    destinations: bool = _LOGGING.destinations


class OptionsFile(StrictModel):
    """TCP options of first SYNs."""

    unknown: Annotated[UnknownOption, WordedEnum()] = _POLICY.unknown_option


class ReservationsFile(StrictModel):
    lease: float = Field(default=_RESERVED.lease, ge=1, le=86_400)
    longest_lease: float = Field(default=_RESERVED.longest_lease, ge=1, le=604_800)
    offer: float = Field(default=_RESERVED.offer, ge=1, le=300)
    share: float = Field(default=_RESERVED.share, ge=0, le=1)
    most: int = Field(default=_RESERVED.most, ge=0, le=1024)
    most_per_subscriber: int = Field(default=_RESERVED.most_per_subscriber, ge=1, le=1024)
    subflows: Subflows = _RESERVED.subflows
    subflow_pool: Count = _RESERVED.subflow_pool


class AlarmsFile(StrictModel):
    """When alarms are raised and cleared."""

    fallback_ratio: float = Field(default=_ALARMS.fallback_ratio, gt=0, le=1)
    fallback_count: Count = _ALARMS.fallback_count
    window: float = Field(default=_ALARMS.window, ge=1, le=3600)
    table: float = Field(default=_ALARMS.table, gt=0, le=1)
    clear: float = Field(default=_ALARMS.clear, gt=0, le=1)
    steady: float = Field(default=_ALARMS.steady, ge=0, le=3600)
    sick_ratio: float = Field(default=_ALARMS.sick_ratio, gt=0, le=1)
    sick_count: Count = _ALARMS.sick_count


class PolicyQuotasFile(StrictModel):
    """For everybody; what is not given keeps its default."""

    subflows_per_session: Subflows | None = DEFAULT_QUOTAS.subflows_per_session
    sessions_per_subscriber: Count = DEFAULT_QUOTAS.sessions_per_subscriber or 1
    sessions_per_server: Count = DEFAULT_QUOTAS.sessions_per_server or 1
    sessions_per_application: Count | None = DEFAULT_QUOTAS.sessions_per_application
    sessions_per_mcp: Count | None = DEFAULT_QUOTAS.sessions_per_mcp


class PolicyFile(StrictModel):
    policy: Version
    eligible: Annotated[EligibleFile, EmptyMapping] = EligibleFile()
    selection: Annotated[SelectionFile, EmptyMapping] = SelectionFile()
    limits: Annotated[LimitsFile, EmptyMapping] = LimitsFile()
    timers: Annotated[TimersFile, EmptyMapping] = TimersFile()
    meters: Annotated[MetersFile, EmptyMapping] = MetersFile()
    quotas: Annotated[PolicyQuotasFile, EmptyMapping] = PolicyQuotasFile()
    reservations: Annotated[ReservationsFile, EmptyMapping] = ReservationsFile()
    alarms: Annotated[AlarmsFile, EmptyMapping] = AlarmsFile()
    logging: Annotated[LoggingFile, EmptyMapping] = LoggingFile()
    unknown_join: Annotated[UnknownJoin, WordedEnum()] = _POLICY.unknown_join
    refusal: Annotated[RefusalForm, WordedEnum()] = _POLICY.refusal
    options: Annotated[OptionsFile, EmptyMapping] = OptionsFile()
    over_limit: Annotated[OverLimit, WordedEnum()] = _POLICY.over_limit
    fallback: Annotated[Fallback, WordedEnum()] = _POLICY.fallback
    third_party_pooling: bool = _POLICY.third_party_pooling
    avoid_fragmentation: bool = _POLICY.avoid_fragmentation
    foreign_mcps: bool = _POLICY.foreign_mcps
    mcp_presence: Annotated[Presence, WordedEnum()] = _POLICY.mcp_presence
    controller_loss: Annotated[ControllerLoss, WordedEnum()] = _POLICY.controller_loss
    marker: Annotated[MarkerFile, EmptyMapping] = MarkerFile()
    keep_keys: bool = _POLICY.keep_keys
    authorization: Annotated[AuthorizationFile, EmptyMapping] = AuthorizationFile()
    acl: Acl = Field(default=[])
    cpe_acl: Annotated[CpeAclFile, EmptyMapping] = CpeAclFile()
    distribution: Annotated[Distribution, WordedEnum()] = _POLICY.distribution
    classes: Annotated[list[ClassFile], EmptyList, Field(max_length=1024)] = Field(default=[])
    subscribers: Annotated[list[SubscriberFile], EmptyList, Field(max_length=50_000)] = Field(default=[])
    applications: Annotated[list[ApplicationFile], EmptyList, Field(max_length=1024)] = Field(default=[])
    rules: Annotated[list[RuleFile], EmptyList, Field(max_length=20_000)] = Field(default=[])
