"""Which switches' entries a sweep has read, and since when that is known: silence tells something only there."""

from collections.abc import Iterable
from math import inf

from steering.core.sessions.records import Subflow
from steering.model.ids import DatapathId


class CountedSwitches:
    """The switches of which the last round of a sweep has read all entries. A switch that is not connected, or owes an
    answer, is not among them. A round over a million entries takes longer than `timers.sweep`."""

    def __init__(self) -> None:
        self._begun: dict[DatapathId, float] = {}

    def round_over(self, begun: float, switches: Iterable[DatapathId]) -> None:
        """A round that began at `begun` has read all entries of these switches, and of no others."""
        self._begun = dict.fromkeys(switches, begun)

    def found_silent(self, subflow: Subflow) -> bool:
        """Whether the round has read the subflow's entry, which had counted nothing since it was read before."""
        return subflow.active < self._begun.get(subflow.dpid, -inf)
