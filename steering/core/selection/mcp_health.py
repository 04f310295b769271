"""Whether an MCP may get new sessions: drain, its own word, probes, its port, with hold-down; and its load.

It is gone when its port has no link, when it says so, when probes of it fail (selection.mcp_probes), or when it promised to
report and is silent. What comes back is believed after a hold-down, which doubles each time that it soon goes again. Load comes
from three sources, each with an age: sessions of ours, the MCP's word, and its port's utilisation. What is old is not
believed; of what is left the greatest counts (D-6.6.4).
"""

from enum import StrEnum

from steering.model.decision import FilterReason
from steering.model.ids import WaypointId

FRESH = 10.0  # seconds a report or a utilisation is believed
SILENT = 15.0  # seconds without a report after which an MCP that reported before is down, where it promised no pace
STALL = 0.25  # seconds between two looks above which this controller was busy, and heard nobody
LONGEST_HOLD = 60.0  # seconds; also the seconds after which one that is well has no history


class Health(StrEnum):
    UP = "up"
    SICK = "sick"  # it answers, and serves nobody, or nobody at some port
    DRAINING = "draining"
    DOWN = "down"
    UNKNOWN = "unknown"


class McpFault(StrEnum):
    """Why an MCP is taken for gone."""

    PORT_DOWN = "port-down"
    HOST_GONE = "host-gone"  # nothing at its port answers
    PROCESS_GONE = "process-gone"  # its host answers that nobody listens at the port that is probed
    FROZEN = "frozen"  # it promised to report and is silent, though nothing else is wrong
    SAYS_SO = "says-so"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    McpFault.PORT_DOWN: "its port has no link",
    McpFault.HOST_GONE: "nothing at its port answers",
    McpFault.PROCESS_GONE: "its host answers, and nobody listens at its port",
    McpFault.FROZEN: "its host answers, and it reports no more",
    McpFault.SAYS_SO: "it says that it does not serve",
}


class McpHealth:
    """The health of one MCP. `hold`: for how many seconds an MCP must be well before it is believed again; `misses`: how
    many reports that it promised may be missing, then it is silent."""

    __slots__ = (
        "_alive", "_believed_from", "_heard", "_hold", "_looked", "_pace", "_port_up", "_probed", "_well_since",
        "draining", "falls", "fault", "misses", "port_load", "reported", "reported_at", "sick", "sick_at", "used_at",
    )  # fmt: skip

    def __init__(self, hold: float, misses: int = 3) -> None:
        self._hold = hold
        self.misses = misses
        self._alive: bool | None = None  # its own word; None: it never said one
        self._port_up = True
        self._probed: McpFault | None = None  # what probes find
        self._pace: float | None = None  # seconds between its reports, as it promised
        self._heard = float("-inf")  # when it reported last, less the time in which nobody was heard
        self.fault: McpFault | None = None  # why it is gone; None where it is not, also during the hold-down
        self._looked = float("inf")
        self._well_since = self._believed_from = float("-inf")
        self.falls = 0  # how often it went soon after it had come back
        self.sick = False  # it gets no new sessions from anywhere
        self.sick_at: frozenset[WaypointId] = frozenset()  # nor from these ports, where it serves nobody
        self.draining = False
        self.reported: float | None = None
        self.reported_at = float("-inf")
        self.port_load = 0.0
        self.used_at = float("-inf")

    def report(self, alive: bool, load: float | None, now: float, pace: float | None = None) -> None:
        """The MCP says that it serves, or that it does not. `pace`: the seconds after which it promises to report
        again."""
        self._alive, self._pace = alive, pace
        self.reported_at = self._heard = now
        self.reported = load if alive else None
        self.look(now)

    def port(self, up: bool, now: float) -> None:
        self._port_up = up
        self.look(now)

    def probed(self, fault: McpFault | None, now: float) -> None:
        """What probes find: a fault, or None where they are answered."""
        self._probed = fault
        self.look(now)

    def use(self, utilisation: float, now: float) -> None:
        self.port_load, self.used_at = utilisation, now

    def look(self, now: float) -> None:
        """Find out whether it is gone. One that comes back has to be well for a while."""
        if self._pace is not None and now - self._looked > STALL:
            self._heard += now - self._looked
        self._looked = now
        if self.fault is None and self._alive is None and self._probed is None and self._port_up:
            return  # as it was: nobody has said anything against it
        before, self.fault = self.fault, self._found(now)
        if before is None and self.fault is not None:
            self.falls = self.falls + 1 if now - self._well_since < LONGEST_HOLD else 0
        elif before is not None and self.fault is None:
            self._well_since = now
            self._believed_from = now + self.hold

    def _found(self, now: float) -> McpFault | None:
        if not self._port_up:
            return McpFault.PORT_DOWN
        if self._probed is not None:
            return self._probed
        if self._alive is False:
            return McpFault.SAYS_SO
        return McpFault.FROZEN if self._is_silent(now) else None

    def _is_silent(self, now: float) -> bool:
        """Whether it has reported that it is well, and says nothing any more."""
        if not self._alive:
            return False
        if now - self.reported_at > SILENT:
            return True
        return self._pace is not None and now - self._heard > (self.misses + 0.5) * self._pace

    @property
    def gone(self) -> bool:
        """Whether the MCP is not there, by the last look."""
        return self.fault is not None

    @property
    def promises(self) -> bool:
        """Whether it has promised when it reports again."""
        return self._pace is not None

    @property
    def hold(self) -> float:
        """Seconds for which it has to be well before it gets new sessions."""
        return min(max(LONGEST_HOLD, self._hold), self._hold * float(1 << min(self.falls, 10)))

    def state(self, now: float) -> Health:
        self.look(now)
        if self.fault is not None or now < self._believed_from:
            return Health.DOWN
        if self.draining:
            return Health.DRAINING
        if self.sick or self.sick_at:
            return Health.SICK
        return Health.UP if self._alive else Health.UNKNOWN

    def filtered(self, now: float) -> FilterReason | None:
        """Why the MCP gets no new session from anywhere, None if it may. An MCP that nobody probes is used: its
        neighbour entry is the proof that it lives. So is one that is sick at some ports only."""
        self.look(now)
        if self.fault is not None or now < self._believed_from:
            return FilterReason.DOWN
        if self.draining:
            return FilterReason.DRAINING
        return FilterReason.SICK if self.sick else None

    def load(self, now: float) -> float:
        """The greatest load, 0 to 1, that a fresh report tells."""
        said = self.reported if self.reported is not None and now - self.reported_at <= FRESH else 0.0
        used = self.port_load if now - self.used_at <= FRESH else 0.0
        return max(said, used)
