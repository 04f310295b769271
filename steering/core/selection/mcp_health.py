"""The health of an MCP, which decides whether it may get new sessions, and its load.

An MCP is gone if its port has no link, if it reports so, if its probes fail (selection.mcp_probes), or if it has promised
reports and sends none. In a cluster another controller may get its reports, and tell what they show (peers.mcp_words).

An MCP that comes back gets new sessions after a hold-down. The hold-down doubles each time the MCP soon goes again. The load of an MCP is the
greatest of three values: its sessions by this controller's count, its own report, and the utilisation of its port. Values that are too old
are ignored (D-6.6.4).
"""

from enum import StrEnum

from steering.core.selection.process_proof import ProcessProof
from steering.model.decision import FilterReason
from steering.model.ids import WaypointId
from steering.model.network import PortRef

FRESH = 10.0  # seconds after which a reported load or utilisation is ignored, if no later report was promised
SILENT = 15.0  # seconds without a report after which an MCP that reported is gone, if it promised no pace
# Seconds that a relay may need to reach a controller that has started again. Its longest wait between two attempts is 2 s.
RECONNECT = 2.5
STALL = 0.25  # seconds; if two calls of `look` are further apart, this controller was busy
LONGEST_HOLD = 60.0  # seconds; an MCP that was well for so long has its first hold-down again


class Health(StrEnum):
    """An MCP's health for operators."""

    UP = "up"
    SICK = "sick"  # the MCP answers, but serves no sessions, or none from some port
    DRAINING = "draining"
    DOWN = "down"
    UNKNOWN = "unknown"


class McpFault(StrEnum):
    """Why an MCP counts as gone."""

    PORT_DOWN = "port-down"
    HOST_GONE = "host-gone"  # nothing at its port answers
    SWITCH_OFF = "switch-off"  # its switch lost carrier at all links a moment ago, and may be back: its live sessions wait
    PROCESS_GONE = "process-gone"  # its host refuses connections to the probed port
    FROZEN = "frozen"  # the promised reports are missing, though nothing else is wrong
    SAYS_SO = "says-so"  # it has reported that it does not serve

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    McpFault.PORT_DOWN: "its port has no link",
    McpFault.SWITCH_OFF: "its switch is off",
    McpFault.HOST_GONE: "nothing at its port answers",
    McpFault.PROCESS_GONE: "its host answers, and nobody listens at its port",
    McpFault.FROZEN: "its host answers, and it reports no more",
    McpFault.SAYS_SO: "it says that it does not serve",
}


class McpHealth:
    """The health of one MCP. `first_hold`: the first hold-down in seconds. `misses`: how many promised reports may be missing."""

    __slots__ = (
        "_alive", "_awaited", "_believed_from", "_heard", "_looked", "_pace", "_ports_down", "_probed", "_told",
        "_told_lives", "_well_since", "draining", "falls", "fault", "first_hold", "misses", "port_load", "process", "reported", "reported_at",
        "sick", "sick_at", "used_at",
    )  # fmt: skip

    def __init__(self, first_hold: float, misses: int = 3) -> None:
        self.first_hold = first_hold
        self.misses = misses
        self.process = ProcessProof()
        self._alive: bool | None = None  # its latest report about itself; None: it never reported
        self._awaited = False  # it reported to the controller before this one, and not to this one yet
        self._ports_down: set[PortRef] = set()  # of its one or two ports
        self._probed: McpFault | None = None  # the fault that probes have found
        self._told: McpFault | None = None  # the fault that another controller found by reports
        self._told_lives = False  # whether live sessions go on in spite of that fault
        self._pace: float | None = None  # promised seconds between its reports
        self._heard = float("-inf")  # time of its last report, plus times when this controller was busy
        self.fault: McpFault | None = None  # why it is gone; None if it is not, also during the hold-down
        self._looked = float("inf")  # time of the last call of `look`
        self._well_since = self._believed_from = float("-inf")  # it came back; the hold-down ends
        self.falls = 0  # how often it went soon after it had come back
        self.sick = False  # it gets no new session from anywhere
        self.sick_at: frozenset[WaypointId] = frozenset()  # ports from which it gets no new session
        self.draining = False
        self.reported: float | None = None
        self.reported_at = float("-inf")
        self.port_load = 0.0
        self.used_at = float("-inf")

    def report(self, alive: bool, load: float | None, now: float, pace: float | None = None) -> None:
        """The MCP reports whether it serves. `pace`: the seconds within which it promises its next report."""
        if self._awaited and self.fault is McpFault.FROZEN:
            self.fault = None  # this controller never saw it fail, so it needs no hold-down
        self._awaited = False
        self._alive, self._pace = alive, pace
        self.process.heard()
        # `_looked` too, so that an earlier time in which this controller was busy does not count for later reports.
        self.reported_at = self._heard = self._looked = now
        self.reported = load if alive else None
        self.look(now)

    def await_report(self, pace: float | None, now: float) -> None:
        """The MCP reported to the controller before this one, and promised `pace`. So it has to report to this controller too, as soon as
        its relay can have reached it. This is called again if the relay's time begins anew."""
        if self._alive is None or self._awaited:
            self._alive = self._awaited = True
            if self.fault is McpFault.FROZEN:
                self.fault = None
            self._pace, self.reported_at = pace, now
            # SILENT is long enough for a relay to reach this controller.
            self._heard = now if pace is None else now + RECONNECT
            self._looked = now
            self.look(now)

    def port(self, port: PortRef, up: bool, now: float) -> None:
        """One of its ports gained or lost its link. An MCP in line has two, and needs both."""
        (self._ports_down.discard if up else self._ports_down.add)(port)
        self.look(now)

    def probed(self, fault: McpFault | None, now: float) -> None:
        """The result of probes: a fault, or None if the MCP answers."""
        self._probed = fault
        self.look(now)

    def told(self, fault: McpFault | None, lives: bool, now: float) -> bool:
        """Another controller tells the fault that the MCP's reports show, None for no fault. `lives`: the MCP's live sessions go on. Returns
        whether this is news."""
        if (fault, lives) == (self._told, self._told_lives):
            return False
        self._told, self._told_lives = fault, lives
        self.look(now)
        return True

    def reports_elsewhere(self, now: float) -> None:
        """The MCP reports to another controller from now on, so it is no fault that its reports stop here."""
        self._alive = self._pace = None
        self._awaited = False
        self.look(now)

    def use(self, utilisation: float, now: float) -> None:
        self.port_load, self.used_at = utilisation, now

    def look(self, now: float) -> None:
        """Decide anew whether the MCP is gone. When it comes back, the hold-down begins."""
        if now - self._looked > STALL:
            self._heard += now - self._looked
        self._looked = now
        quiet = self._alive is None and self._probed is None and self._told is None
        if self.fault is None and quiet and not self._ports_down:
            return  # the usual case: nothing has changed
        before, self.fault = self.fault, self._found(now)
        if before is None and self.fault is not None:
            self.falls = self.falls + 1 if now - self._well_since < LONGEST_HOLD else 0
        elif before is not None and self.fault is None:
            self._well_since = now
            self._believed_from = now + self.hold

    def _found(self, now: float) -> McpFault | None:
        if self._ports_down:
            return McpFault.PORT_DOWN
        if self._probed is not None:
            return self._probed
        return self.by_reports(now) or self._told

    def by_reports(self, now: float) -> McpFault | None:
        """The fault that the MCP's reports to this controller show, whatever else is known."""
        if self._alive is False:
            return McpFault.SAYS_SO
        return McpFault.FROZEN if self._is_silent(now) else None

    def _is_silent(self, now: float) -> bool:
        """Whether the MCP has reported that it serves, and sends no reports any more."""
        longest = SILENT if self._pace is None else (self.misses + 0.5) * self._pace
        return bool(self._alive) and now - self._heard > longest

    @property
    def gone(self) -> bool:
        """Whether the MCP was gone at the last call of `look`."""
        return self.fault is not None

    @property
    def answers(self) -> bool:
        """Whether ports and probes show no fault, or one that its live sessions may outlast."""
        return self._probed in (None, McpFault.SWITCH_OFF) and not self._ports_down

    @property
    def waits_for_switch(self) -> bool:
        """Whether the MCP is gone for new sessions only, because its switch has just lost carrier at all links."""
        return self.fault is McpFault.SWITCH_OFF

    @property
    def reports(self) -> bool:
        """Whether the MCP has reported, to this controller or to the one before."""
        return self._alive is not None

    def asks_process(self, now: float) -> bool:
        """Whether the next probe is to ask the MCP's process, because promised reports are missing, or as it never answered."""
        if self._pace is None or self.fault not in (None, McpFault.FROZEN):
            return False
        return self.process.is_wanted(now - self._heard, self._pace, now)

    @property
    def is_left_alone_elsewhere(self) -> bool:
        """Whether the MCP is gone for new sessions only, because another controller says so."""
        return self._told_lives and self.fault is McpFault.FROZEN and self._alive is None

    @property
    def promises(self) -> bool:
        """Whether the MCP has promised a pace for its reports."""
        return self._pace is not None

    @property
    def pace(self) -> float:
        """The seconds within which the MCP has promised each next report, 0 if it has promised none."""
        return self._pace or 0.0

    @property
    def hold(self) -> float:
        """The present hold-down: seconds for which the MCP has to be well until it gets new sessions."""
        return min(max(LONGEST_HOLD, self.first_hold), self.first_hold * float(1 << min(self.falls, 10)))

    def state(self, now: float) -> Health:
        self.look(now)
        if self.fault is not None or now < self._believed_from:
            return Health.DOWN
        if self.draining:
            return Health.DRAINING
        if self.sick or self.sick_at:
            return Health.SICK
        return Health.UP if self._alive and not self._awaited else Health.UNKNOWN

    def filtered(self, now: float) -> FilterReason | None:
        """Why the MCP gets no new session from anywhere, None if it may get some. An MCP without probes and reports may get
        some, because its known MAC proves that it is alive. So may an MCP that is sick at some ports only."""
        self.look(now)
        if self.fault is not None or now < self._believed_from:
            return FilterReason.DOWN
        if self.draining:
            return FilterReason.DRAINING
        return FilterReason.SICK if self.sick else None

    def load(self, now: float) -> float:
        """The greater of the reported load and the port's utilisation, 0 to 1. Old values count as 0."""
        fresh = max(FRESH, (self.misses + 0.5) * self.pace)  # an MCP that is not silent yet has a load
        said = self.reported if self.reported is not None and now - self.reported_at <= fresh else 0.0
        used = self.port_load if now - self.used_at <= FRESH else 0.0
        return max(said, used)
