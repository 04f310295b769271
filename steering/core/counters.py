"""What is counted: plain numbers, read by the northbound's metrics."""

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

FULLS = 256
REFUSED_SWITCHES = 64


class JoinResult(StrEnum):
    """What became of an MP_JOIN SYN."""

    PINNED = "pinned"
    RETRANSMITTED = "retransmitted"
    HELD = "held"  # then one of the others
    OWN_ADDRESS = "own-address"  # sent to its MCP's own address: natural, but checked
    REFUSED = "refused"
    AUTHENTICATED = "authenticated"  # besides pinned: its third ACK proved the keys
    REVERSE = "reverse"  # an MCP's own, towards a host of a session of its
    REVERSE_UNKNOWN = "reverse-unknown"  # an MCP's own, of no session that is known: it went on
    TOKEN_ONLY = "token-only"  # besides pinned: HMAC was wanted, but the keys are not known


class ReportRefusal(StrEnum):
    """Why something that an MCP reported of sessions was not believed."""

    OUT_OF_ORDER = (
        "out-of-order"  # a batch: what came before it is not known here; the MCP tells the whole set
    )
    RECOVERING = "recovering"  # a batch: switches have not told of all sessions yet
    INCOMPLETE = "incomplete"  # a batch: there is room again for what was `full`; the MCP tells the whole set
    FOREIGN = "foreign"  # a session of another MCP
    REPEATED = "repeated"  # an id that lives already
    FULL = "full"  # more sessions than this controller may have


class SessionReport(StrEnum):
    """What came of a session since its MCP told the truth about it."""

    BEGAN = "began"
    ENDED = "ended"
    HEALED = "healed"  # its SYN/ACK was never seen here
    ABSENT = "absent"  # it does not live at its MCP, so it ended here
    CUT_OFF = "cut-off"  # the same, and its MCP restarted meanwhile: both of its ends are told by a reset
    LATE = "late"  # over, and what it had under way was waited for since its FINs were not seen
    EARLY = "early"  # it is plain, and its SYN was handled after the first report of it
    FORGOTTEN = "forgotten"  # such a report gave way to newer ones before a SYN came


class ProbeAnswer(StrEnum):
    """What came of a question whether an MCP lives."""

    OPEN = "open"  # somebody listens at the port that was probed
    REFUSED = "refused"  # nobody does
    MISSED = "missed"  # no answer in time, or a refusal
    LATE = "late"  # to an earlier question than the last one: counted beside what it is
    STRAY = "stray"  # nobody asked for this: not looked at further


class Abort(StrEnum):
    """How a session that was to be aborted ended."""

    FASTCLOSE = "fastclose"  # its host was told with its own key, which ends the whole MPTCP connection
    RESET = "reset"  # some end was told, by resets of its TCP connections alone
    OVER = "over"  # its ends say that they had no connection any more
    NO_END = "no-end"  # nobody held anything of it that is known here
    SILENT = "silent"  # no end of it answered


class TraceSkip(StrEnum):
    """Why a set-up is not traced, though tracing is on."""

    RATE = "rate"  # more began in this second than are to be traced
    OPEN = "open"  # as many traced set-ups as may be are under way


class SpanDrop(StrEnum):
    """Why a span of a trace does not reach its collector."""

    QUEUE_FULL = "queue-full"  # the collector takes them too slowly, or not at all
    NOT_TAKEN = "not-taken"  # the collector refused it, or did not answer in time


BUCKETS = (10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3)


STALL = 2e-3  # seconds of one piece of work, beyond which it is written down: every SYN waits meanwhile
LATE_TICK = "late-tick"  # among what stalls
STALL_BUCKETS = (5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 500e-3, 1.0, 5.0)


class Histogram:
    """Histogram of seconds, each bucket by itself; the last one has all that is above the bounds."""

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
    """Why a known host of a port that is short of SYNs has no meter of its own (core.pipeline.known_hosts)."""

    MACHINE = "machine"  # others with its MAC have as many as one may have
    PORT = "port"  # others of its port have as many as a port may have
    SWITCH = "switch"  # short ports of its switch share the numbers that there are
    IN_ALL = "in-all"  # as many ports as may be helped at once are short, in all or of its switch


class Counters:
    """What one controller counts. The engine and the adapters write, metrics read."""

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
    )

    def __init__(self) -> None:
        self.packet_ins: Counter[PacketClass] = Counter()
        self.malformed: Counter[str] = Counter()  # by wire refusal
        self.joins: Counter[JoinResult] = Counter()
        self.probe_answers: Counter[ProbeAnswer] = Counter()
        self.aborts: Counter[Abort] = Counter()
        self.refusals: Counter[Refusal] = Counter()
        self.authorisations: Counter[tuple[str, str]] = Counter()  # by authoriser and outcome
        # By state and event: what cannot happen to a session as it is (core.sessions.transitions).
        self.session_events_refused: Counter[tuple[str, str]] = Counter()
        self.session_reports: Counter[SessionReport] = Counter()
        # By name of the MCP that reported, and why it was not believed.
        self.session_reports_refused: Counter[tuple[str, ReportRefusal]] = Counter()
        self.answers_unseen = 0
        self.leg_errors = 0
        self.idle_pins_evicted: Counter[str] = Counter()  # by access network
        self.floods = 0
        self.copies_lost: Counter[tuple[str, str]] = Counter()  # by what they are of, and access network
        # SYN/ACKs among them, by switch and access network: what was not answered there proves nothing.
        self.answers_lost: Counter[tuple[DatapathId | None, str]] = Counter()
        self.syns_dropped: Counter[str] = Counter()  # by attachment at whose port the meter is
        self.host_meters_refused: Counter[HostMeterRefusal] = Counter()  # hosts, at each second's look
        self.tags_refused: Counter[str] = Counter()  # packets, by name of the switch where they came in
        self.link_trip_outliers = 0
        self.lost_hosts_unasked = 0  # times
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
        # First answers of MCPs to sessions and those without MPTCP, by the waypoint where the session came in, and by
        # the MCP's id: of each there are no more than the site has.
        self.answers_at: Counter[WaypointId] = Counter()
        self.fallbacks_at: Counter[WaypointId] = Counter()
        self.answers_of: Counter[McpId] = Counter()
        self.fallbacks_of: Counter[McpId] = Counter()
        self.limits_reached: Counter[str] = Counter()  # by kind of limit
        self.traces_skipped: Counter[TraceSkip] = Counter()
        self.spans_dropped: Counter[SpanDrop] = Counter()
        self.spans_sent = 0
        self.fulls: dict[FullLimit, int] = {}  # refusals by the limit that was reached

    def refuse_switch(self, dpid: DatapathId, why: SwitchRefusal) -> None:
        """A connection may not speak for `dpid`. Anybody can give any id: so many are told apart, the oldest goes."""
        count = self.refused_switches.pop((dpid, why), 0)
        if len(self.refused_switches) >= REFUSED_SWITCHES:
            del self.refused_switches[next(iter(self.refused_switches))]
        self.refused_switches[dpid, why] = count + 1

    def stalled(self, task: str, seconds: float) -> None:
        """A piece of work took longer than STALL. `task`: one of the program's own names, so there are few."""
        if task not in self.stalls:
            self.stalls[task] = Histogram(STALL_BUCKETS)
        self.stalls[task].observe(seconds)

    def ticked(self, late: float) -> None:
        """A tick came so many seconds late: somebody held it up, perhaps one that is named."""
        if late > STALL:
            self.stalled(LATE_TICK, late)

    def first_answer(self, edge: WaypointId, mcp: McpId, plain: bool) -> None:
        """An MCP answered a session's first SYN. `edge`: the waypoint it came in at; `plain`: without MPTCP."""
        self.answers_at[edge] += 1
        self.answers_of[mcp] += 1
        if plain:
            self.fallbacks_at[edge] += 1
            self.fallbacks_of[mcp] += 1

    def full(self, full: FullLimit) -> None:
        """A limit was reached. So many different ones are kept apart; of more, the oldest is forgotten."""
        count = self.fulls.pop(full, 0)
        if len(self.fulls) >= FULLS:
            del self.fulls[next(iter(self.fulls))]
        self.fulls[full] = count + 1
        self.limits_reached[full.kind] += 1
        self.last_full = full
