"""The numbers of a policy that bound the controller itself: limits, times, rates of meters, and when alarms are raised."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard bounds of the controller itself."""

    sessions: int = 200_000  # session records, including those that linger
    half_open: int = 10_000  # half-open sessions of one access port
    half_open_per_source: int = 1_024  # of one address, or of the IPv6 /64 of one host
    held_joins: int = 1_024
    subflows_per_session: int = 4  # B10
    hosts: int = 65_536
    idle_pins: int = 4_096  # silent sessions of one access network that keep their entries


@dataclass(frozen=True, slots=True)
class Timers:
    """Times in seconds."""

    hold: float = 0.2  # how long a join waits if its token is not known yet (G5)
    half_open: float = 10.0
    fin_linger: float = 5.0
    session_linger: float = 3600.0  # B42
    idle: float = 7500.0  # more than the 2 h 4 min that RFC 5382 REQ-5 wants for established connections
    sweep: float = 60.0
    capability: float = 3600.0  # how long the controller remembers whether a server speaks MPTCP (G7)
    health_hold: float = 3.0  # how long an MCP that was down has to be alive until it counts as up
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
    watch: int = 4_000  # segments of watched session entries, copied for keys, third ACKs and aborts


@dataclass(frozen=True, slots=True)
class Reservations:
    """Limits of reservations (D-6.4g). Times are in seconds."""

    lease: float = 300.0  # B38
    longest_lease: float = 3600.0
    offer: float = 30.0  # how long an offer is held for its acceptance
    share: float = 0.8  # of a link's capacity that may be reserved
    most: int = 256
    most_per_subscriber: int = 16
    subflows: int = 8  # most MP_JOINs of one reservation
    subflow_pool: int = 4096  # most MP_JOINs of all reservations together


@dataclass(frozen=True, slots=True)
class AlarmTerms:
    """When alarms are raised and cleared (core.supervision). Ratios and shares are from 0 to 1."""

    # An alarm is raised at this share of fallbacks among the first answers of an access network or MCP.
    fallback_ratio: float = 0.2
    fallback_count: int = 20  # fewer first answers than this are not judged
    # Seconds over which first answers are counted. The alarm of a quota is cleared so long after the last refusal.
    window: float = 60.0
    table: float = 0.9  # used share of a bound of the controller at which an alarm is raised
    clear: float = 0.8  # an alarm is cleared below this share of `fallback_ratio` or `table`
    steady: float = 5.0  # seconds for which a lost thing has to be back until its alarm is cleared
    # An MCP is sick at this share of unanswered SYNs, or of fallbacks that happen at this MCP alone.
    sick_ratio: float = 0.5
    sick_count: int = 5  # fewer unanswered SYNs than this are not judged
