"""Limits the rate of a switch's port changes: up to a rate they are handled one by one, above it only each port's last
state.

Each change may move links and paths, which costs far more than the message. A port that flaps, or a switch that
lies, must not take that time from other switches.
"""

from collections.abc import Iterator

from steering.model.ids import PortNumber
from steering.model.token_bucket import TokenBucket
from steering.openflow.budgets import Budgets
from steering.openflow.messages.reader import PortState
from steering.openflow.ports.known_ports import MAX_PORTS


class PortChanges:
    """The port changes of one connection. `held`: the changes that wait, the longest held first."""

    def __init__(self, budgets: Budgets, now: float) -> None:
        self._bucket = TokenBucket(budgets.port_change_rate, budgets.port_change_burst, now)
        self.held: dict[PortNumber, PortState] = {}

    def take(self, state: PortState, now: float) -> bool:
        """Whether a change is to be handled now. Otherwise the change is held, in place of an earlier one of its port."""
        if not self.held and not self._bucket.take(now):
            return True
        self.held[state.port] = state
        return False

    @property
    def is_full(self) -> bool:
        """Whether changes of more ports are held than a switch may have."""
        return len(self.held) > MAX_PORTS

    def due(self, now: float) -> Iterator[PortState]:
        """Held changes whose time has come, the longest held first."""
        while self.held and not self._bucket.take(now):
            yield self.held.pop(next(iter(self.held)))
