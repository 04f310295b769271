"""The policy, compiled: what is *wanted*. The full language comes on top of these fields."""

from dataclasses import dataclass, field
from enum import StrEnum


class UnknownJoin(StrEnum):
    DROP = "drop"


class Fallback(StrEnum):
    """Where no MCP can serve: the natural path, or nothing."""

    FAIL_OPEN = "fail-open"
    FAIL_CLOSED = "fail-closed"


@dataclass(frozen=True, slots=True)
class Weights:
    location: float = 1.0
    type: float = 0.1
    load: float = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    sessions: int = 200_000  # records, lingering ones included
    half_open: int = 10_000
    held_joins: int = 1_024
    subflows_per_session: int = 4  # B10
    hosts: int = 65_536


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds."""

    hold: float = 0.2  # an early join waits for its token (requirements G5)
    half_open: float = 10.0
    fin_linger: float = 5.0
    session_linger: float = 3600.0  # B42
    idle: float = 7200.0
    sweep: float = 60.0


@dataclass(frozen=True, slots=True)
class Meters:
    """Packets a second; copies and punts only, never forwarding."""

    syn_per_port: int = 2_000
    syn_ack: int = 4_000
    fin: int = 2_000
    neighbour: int = 500
    host_miss: int = 200
    ttl_expired: int = 50
    lldp: int = 500


@dataclass(frozen=True, slots=True)
class Policy:
    version: int = 1
    eligible_ports: tuple[tuple[int, int], ...] = ((1, 65535),)
    weights: Weights = field(default_factory=Weights)
    max_stretch: float = 2.0  # B41
    hysteresis: float = 0.05
    limits: Limits = field(default_factory=Limits)
    timers: Timers = field(default_factory=Timers)
    meters: Meters = field(default_factory=Meters)
    unknown_join: UnknownJoin = UnknownJoin.DROP
    fallback: Fallback = Fallback.FAIL_OPEN
