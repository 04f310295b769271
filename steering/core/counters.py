"""The controller's counters: plain numbers. The northbound makes metrics of them."""

from bisect import bisect_left
from collections import Counter
from enum import StrEnum

from steering.model.ids import DatapathId, McpId, WaypointId
from steering.model.kept import LostPiece
from steering.model.limit import FullLimit
from steering.model.refused_connections import ControllerListener, RestRefusal, SwitchRefusal
from steering.model.reservation import ReservationOutcome, ReservationRefusal
from steering.model.rules import PacketClass
from steering.model.session import Refusal
from steering.model.standing_work import WorkFaults

FULLS = 256  # most different limits whose refusals are counted
REFUSED_SWITCHES = 64  # most pairs of datapath id and reason that are counted


class JoinResult(StrEnum):
    """What became of an MP_JOIN SYN."""

    PINNED = "pinned"
    RETRANSMITTED = "retransmitted"
    HELD = "held"  # counted again later, with its final result
    OWN_ADDRESS = "own-address"  # sent to its MCP's own address: checked, then left on its natural path
    REFUSED = "refused"
    AUTHENTICATED = "authenticated"  # also counted as pinned: its third ACK proved the keys
    REVERSE = "reverse"  # from an MCP to a host of one of its sessions
    REVERSE_UNKNOWN = "reverse-unknown"  # from an MCP, of an unknown session: it was forwarded
    TOKEN_ONLY = "token-only"  # also counted as pinned: HMAC was wanted, but the keys are not known


class ReportRefusal(StrEnum):
    """Why a batch of an MCP's session reports, or one event of it, was not accepted."""

    OUT_OF_ORDER = "out-of-order"  # an earlier batch is missing; the MCP has to send its whole set
    RECOVERING = "recovering"  # the entries of some switches were not read yet
    INCOMPLETE = "incomplete"  # there is room again after `full`; the MCP has to send its whole set
    FOREIGN = "foreign"  # an event about a session of another MCP
    REPEATED = "repeated"  # an event with the id of a live session
    FULL = "full"  # an event about more sessions than this controller may have


class SessionReport(StrEnum):
    """What an MCP's report changed about a session."""

    BEGAN = "began"
    ENDED = "ended"
    HEALED = "healed"  # the report gave the token: the controller had not seen the SYN/ACK
    ABSENT = "absent"  # the MCP does not have the session, so the controller ended it
    CUT_OFF = "cut-off"  # as `absent`, after a restart of the MCP: both ends get a reset
    LATE = "late"  # over by the report, and its FINs were not seen: ended after a wait for segments under way
    EARLY = "early"  # a plain session whose SYN was handled after the report about it
    FORGOTTEN = "forgotten"  # an early report was dropped for newer ones before a SYN came


class ProbeAnswer(StrEnum):
    """The result of a probe of an MCP."""

    OPEN = "open"  # the probed port accepts connections
    REFUSED = "refused"  # the probed port refuses connections
    MISSED = "missed"  # no answer in time, or a refusal
    LATE = "late"  # an answer to an earlier probe than the last; also counted by its kind
    ENDED = "ended"  # the process at the probed port ended a connection that a probe had opened
    STRAY = "stray"  # a segment that answers no probe: ignored


class Abort(StrEnum):
    """How an aborted session ended."""

    FASTCLOSE = "fastclose"  # its host got MP_FASTCLOSE, which ends the whole MPTCP connection
    RESET = "reset"  # at least one end got resets of its TCP connections, and none got MP_FASTCLOSE
    OVER = "over"  # its ends answered that they had no connection any more
    NO_END = "no-end"  # the controller knew no end that it could reset
    SILENT = "silent"  # no end of it answered


class TraceSkip(StrEnum):
    """Why a set-up is not traced, though tracing is on."""

    RATE = "rate"  # more set-ups began in this second than may be traced
    OPEN = "open"  # as many traced set-ups as allowed are under way


class SpanDrop(StrEnum):
    """Why a span of a trace does not reach its collector."""

    QUEUE_FULL = "queue-full"  # the collector takes spans too slowly, or not at all
    NOT_TAKEN = "not-taken"  # the collector refused it, or did not answer in time


BUCKETS = (10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3)


STALL = 2e-3  # seconds; longer work is recorded as a stall, because every SYN waits meanwhile
LATE_TICK = "late-tick"  # the name of a late tick among the stalls
STALL_BUCKETS = (5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 500e-3, 1.0, 5.0)


class Histogram:
    """A histogram of durations in seconds. Each bucket counts by itself, not cumulatively. The last bucket counts all that
    is above the bounds."""

    __slots__ = ("bounds", "counts", "longest", "total")

    def __init__(self, bounds: tuple[float, ...] = BUCKETS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = self.longest = 0.0

    def observe(self, seconds: float) -> None:
        self.total += seconds
        if seconds > self.longest:
            self.longest = seconds
        self.counts[bisect_left(self.bounds, seconds)] += 1

    def observe_all(self, many: list[float]) -> None:
        """Observe many durations, at least one, at a third of the cost of one call each."""
        self.total += sum(many)
        self.longest = max(self.longest, *many)
        bounds, counts = self.bounds, self.counts
        for seconds in many:
            counts[bisect_left(bounds, seconds)] += 1


class HostMeterRefusal(StrEnum):
    """Why a known host of a flooded port has no meter of its own (core.pipeline.known_hosts)."""

    MACHINE = "machine"  # hosts with its MAC have as many meters as one MAC may have
    PORT = "port"  # hosts of its port have as many meters as one port may have
    SWITCH = "switch"  # the flooded ports of its switch have used up their part of the meter numbers
    IN_ALL = "in-all"  # too many ports are flooded, in all or at its switch


class Counters:
    """The counters of one controller. The engine and the adapters write them, metrics read them."""

    __slots__ = (
        "packet_ins",
        "malformed",
        "joins",
        "aborts",
        "probe_answers",
        "refusals",
        "authorisations",
        "sessions_started",
        "sessions_ended",
        "sessions_recovered",
        "fallbacks",
        "natural_syns",
        "retransmitted_syns",
        "challenged_syns",
        "flow_mods",
        "openflow_errors",
        "disconnects",
        "accept_paused",
        "rest_refused",
        "refused_switches",
        "decision_seconds",
        "stalls",
        "fulls",
        "last_full",
        "reservations",
        "reservations_refused",
        "not_restored",
        "floods",
        "copies_lost",
        "answers_lost",
        "syns_dropped",
        "host_meters_refused",
        "tags_refused",
        "link_trip_outliers",
        "lost_hosts_unasked",
        "session_events_refused",
        "answers_unseen",
        "leg_errors",
        "idle_pins_evicted",
        "session_reports",
        "session_reports_refused",
        "answers_at",
        "fallbacks_at",
        "answers_of",
        "fallbacks_of",
        "limits_reached",
        "traces_skipped",
        "spans_dropped",
        "spans_sent",
        "work_faults",
    )

    def __init__(self) -> None:
        self.packet_ins: Counter[PacketClass] = Counter()
        self.malformed: Counter[str] = Counter()  # by wire refusal
        self.joins: Counter[JoinResult] = Counter()
        self.probe_answers: Counter[ProbeAnswer] = Counter()
        self.aborts: Counter[Abort] = Counter()
        self.refusals: Counter[Refusal] = Counter()
        self.authorisations: Counter[tuple[str, str]] = Counter()  # by authoriser and outcome
        # By state and event: events that the session's state does not allow (core.sessions.transitions).
        self.session_events_refused: Counter[tuple[str, str]] = Counter()
        self.session_reports: Counter[SessionReport] = Counter()
        # By name of the MCP that reported, and reason.
        self.session_reports_refused: Counter[tuple[str, ReportRefusal]] = Counter()
        self.answers_unseen = 0
        self.leg_errors = 0
        self.idle_pins_evicted: Counter[str] = Counter()  # by access network
        self.floods = 0
        self.copies_lost: Counter[tuple[str, str]] = Counter()  # by kind of segment, and access network
        # Of these, SYN/ACKs by switch and access network. Where they are lost, missing answers prove nothing.
        self.answers_lost: Counter[tuple[DatapathId | None, str]] = Counter()
        self.syns_dropped: Counter[str] = Counter()  # by the attachment whose port has the meter
        self.host_meters_refused: Counter[HostMeterRefusal] = Counter()  # hosts without a meter, each second
        self.tags_refused: Counter[str] = Counter()  # packets, by name of the switch where they came in
        self.link_trip_outliers = 0
        self.lost_hosts_unasked = 0
        self.sessions_started = 0
        self.sessions_ended = 0
        self.sessions_recovered = 0
        self.fallbacks = 0
        self.natural_syns = 0
        self.retransmitted_syns = 0
        self.challenged_syns = 0
        self.flow_mods = 0
        self.openflow_errors: Counter[str] = Counter()  # by name of type (model.ofperror)
        self.disconnects: Counter[str] = Counter()  # by reason
        self.rest_refused: Counter[RestRefusal] = Counter()
        self.refused_switches: dict[tuple[int, SwitchRefusal], int] = {}  # how often, by datapath id
        self.accept_paused: Counter[ControllerListener] = (
            Counter()
        )  # times a listener rested for lack of descriptors
        self.decision_seconds = Histogram()
        self.stalls: dict[str, Histogram] = {}  # pieces of work longer than STALL, by what was done
        self.reservations: Counter[ReservationOutcome] = Counter()
        self.reservations_refused: Counter[ReservationRefusal] = Counter()
        self.not_restored: Counter[LostPiece] = Counter()
        self.last_full: FullLimit | None = None  # the limit that was reached last
        # First answers of MCPs to sessions, and those of them without MPTCP (fallbacks). By the waypoint where the session
        # came in, and by the MCP's id. The site bounds the number of both.
        self.answers_at: Counter[WaypointId] = Counter()
        self.fallbacks_at: Counter[WaypointId] = Counter()
        self.answers_of: Counter[McpId] = Counter()
        self.fallbacks_of: Counter[McpId] = Counter()
        self.limits_reached: Counter[str] = Counter()  # by kind of limit
        self.traces_skipped: Counter[TraceSkip] = Counter()
        self.spans_dropped: Counter[SpanDrop] = Counter()
        self.spans_sent = 0
        self.work_faults = WorkFaults()
        self.fulls: dict[FullLimit, int] = {}  # refusals by the limit that was reached

    def refuse_switch(self, dpid: DatapathId, why: SwitchRefusal) -> None:
        """Count a refused connection that gave `dpid`. A connection may give any id, so only the latest REFUSED_SWITCHES
        pairs of id and reason are kept."""
        count = self.refused_switches.pop((dpid, why), 0)
        if len(self.refused_switches) >= REFUSED_SWITCHES:
            del self.refused_switches[next(iter(self.refused_switches))]
        self.refused_switches[dpid, why] = count + 1

    def stalled(self, task: str, seconds: float) -> None:
        """Count a piece of work that took longer than STALL. `task`: one of a few names in the program."""
        if task not in self.stalls:
            self.stalls[task] = Histogram(STALL_BUCKETS)
        self.stalls[task].observe(seconds)

    def ticked(self, late: float) -> None:
        """Count a tick that came `late` seconds late, if that is more than STALL. Other work has delayed it."""
        if late > STALL:
            self.stalled(LATE_TICK, late)

    def first_answer(self, entrance: WaypointId, mcp: McpId, plain: bool) -> None:
        """Count an MCP's answer to a session's first SYN. `entrance`: the waypoint where the SYN came in. `plain`: the answer
        had no MPTCP option."""
        self.answers_at[entrance] += 1
        self.answers_of[mcp] += 1
        if plain:
            self.fallbacks_at[entrance] += 1
            self.fallbacks_of[mcp] += 1

    def full(self, full: FullLimit) -> None:
        """Count a limit that was reached. Only the latest FULLS different limits are counted by themselves."""
        count = self.fulls.pop(full, 0)
        if len(self.fulls) >= FULLS:
            del self.fulls[next(iter(self.fulls))]
        self.fulls[full] = count + 1
        self.limits_reached[full.kind] += 1
        self.last_full = full
