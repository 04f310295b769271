"""Whether an MCP may get new sessions: drain, its own probe, its port, with hold-down; and its load.

Load comes from three sources, each with an age: sessions of ours, the MCP's word, and its port's
utilisation. What is old is not believed; of what is left the greatest counts (D-6.6.4).
"""

from enum import StrEnum

from steering.model.decision import FilterReason

FRESH = 10.0  # seconds a report or a utilisation is believed
SILENT = 15.0  # seconds without a report after which an MCP that reported before is down


class Health(StrEnum):
    UP = "up"
    DRAINING = "draining"
    DOWN = "down"
    UNKNOWN = "unknown"


class McpHealth:
    """The health of one MCP. `hold`: for how many seconds an MCP must be well before it is believed again."""

    __slots__ = (
        "_alive",
        "_hold",
        "_port_up",
        "_well_since",
        "draining",
        "port_load",
        "reported",
        "reported_at",
        "used_at",
    )

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._alive: bool | None = None  # its own probe; None: it has never been asked
        self._port_up = True
        self._well_since = float("-inf")
        self.draining = False
        self.reported: float | None = None
        self.reported_at = float("-inf")
        self.port_load = 0.0
        self.used_at = float("-inf")

    def probe(self, alive: bool, load: float | None, now: float) -> None:
        """The MCP answered its probe, or did not. One that was silent has to be well for a while, too."""
        if alive and (self._alive is False or self._silent(now)):
            self._well_since = now
        self._alive = alive
        self.reported_at = now
        self.reported = load if alive else None

    def port(self, up: bool, now: float) -> None:
        if up and not self._port_up:
            self._well_since = now
        self._port_up = up

    def use(self, utilisation: float, now: float) -> None:
        self.port_load, self.used_at = utilisation, now

    @property
    def gone(self) -> bool:
        """Whether the MCP's probe or its port says that the MCP is not there. During the hold-down it counts as
        gone."""
        return not self._port_up or self._alive is False

    def _silent(self, now: float) -> bool:
        """Whether it has reported that it is well, and says nothing any more."""
        return self._alive is True and now - self.reported_at > SILENT

    def state(self, now: float) -> Health:
        if self.gone or self._silent(now) or now < self._well_since + self._hold:
            return Health.DOWN
        if self.draining:
            return Health.DRAINING
        return Health.UP if self._alive else Health.UNKNOWN

    def filtered(self, now: float) -> FilterReason | None:
        """Why the MCP gets no new session, None if it may. An MCP that nobody probes is used: its neighbour entry
        is the proof that it lives."""
        return {Health.DOWN: FilterReason.DOWN, Health.DRAINING: FilterReason.DRAINING}.get(self.state(now))

    def load(self, now: float) -> float:
        """The greatest load, 0 to 1, that a fresh report tells."""
        said = self.reported if self.reported is not None and now - self.reported_at <= FRESH else 0.0
        used = self.port_load if now - self.used_at <= FRESH else 0.0
        return max(said, used)
