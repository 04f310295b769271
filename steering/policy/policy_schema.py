"""The shape of a policy file and the bounds of every number in it (this version's part of the language).

Every key but `policy` is optional; the defaults are those of `steering.model.policy`. Bounds:

* selection: weights 0 to 1000 each; max_stretch 1 to 1000 (1: no detour at all, N-5.1b); hysteresis 0 to 1.
* limits: finite, at least 1 (D-6.3f); half_open no larger than sessions.
* timers, seconds: hold above 0, at most 0.2 (G5); session_linger at least 60, the kernel's own
  `close_timeout`, since a host may rejoin that long (B42); idle at least 10.
* meters, packets a second: 1 to 1,000,000.
"""

from typing import Annotated

from pydantic import Field, PlainValidator

from steering.model.policy import Fallback, Limits, Meters, Policy, Timers, UnknownJoin, Weights
from steering.policy.fields import PortRanges, Version, word
from steering.policy.validate import EmptyMapping, Strict

_WEIGHTS, _LIMITS, _TIMERS, _METERS, _POLICY = Weights(), Limits(), Timers(), Meters(), Policy()

Weight = Annotated[float, Field(ge=0, le=1000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]


class EligibleFile(Strict):
    ports: PortRanges = Field(default=list(_POLICY.eligible_ports))


class WeightsFile(Strict):
    location: Weight = _WEIGHTS.location
    type: Weight = _WEIGHTS.type
    load: Weight = _WEIGHTS.load


class SelectionFile(Strict):
    weights: Annotated[WeightsFile, EmptyMapping] = WeightsFile()
    max_stretch: float = Field(default=_POLICY.max_stretch, ge=1, le=1000)
    hysteresis: float = Field(default=_POLICY.hysteresis, ge=0, le=1)


class LimitsFile(Strict):
    sessions: Count = _LIMITS.sessions
    half_open: Count = _LIMITS.half_open
    held_joins: int = Field(default=_LIMITS.held_joins, ge=1, le=65_536)
    subflows_per_session: int = Field(default=_LIMITS.subflows_per_session, ge=1, le=64)
    hosts: Count = _LIMITS.hosts


class TimersFile(Strict):
    hold: float = Field(default=_TIMERS.hold, gt=0, le=0.2)
    half_open: float = Field(default=_TIMERS.half_open, ge=1, le=120)
    fin_linger: float = Field(default=_TIMERS.fin_linger, ge=0, le=300)
    session_linger: float = Field(default=_TIMERS.session_linger, ge=60, le=604_800)
    idle: float = Field(default=_TIMERS.idle, ge=10, le=2_592_000)
    sweep: float = Field(default=_TIMERS.sweep, ge=1, le=3600)


class MetersFile(Strict):
    syn_per_port: Rate = _METERS.syn_per_port
    syn_ack: Rate = _METERS.syn_ack
    fin: Rate = _METERS.fin
    neighbour: Rate = _METERS.neighbour
    host_miss: Rate = _METERS.host_miss
    ttl_expired: Rate = _METERS.ttl_expired
    lldp: Rate = _METERS.lldp


class PolicyFile(Strict):
    policy: Version
    eligible: Annotated[EligibleFile, EmptyMapping] = EligibleFile()
    selection: Annotated[SelectionFile, EmptyMapping] = SelectionFile()
    limits: Annotated[LimitsFile, EmptyMapping] = LimitsFile()
    timers: Annotated[TimersFile, EmptyMapping] = TimersFile()
    meters: Annotated[MetersFile, EmptyMapping] = MetersFile()
    unknown_join: Annotated[UnknownJoin, PlainValidator(word(UnknownJoin))] = _POLICY.unknown_join
    fallback: Annotated[Fallback, PlainValidator(word(Fallback))] = _POLICY.fallback
