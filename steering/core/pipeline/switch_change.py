"""The changes for one switch, collected during one slice of work."""

from steering.core.pipeline.pieces import Rules
from steering.model.rules import FailoverGroup, MeterBand, Rule


class Change:
    """The changes for one switch."""

    __slots__ = ("add", "delete", "groups", "meters", "regroup")

    def __init__(self) -> None:
        self.add: list[Rule] = []
        self.delete: list[Rule] = []
        self.meters: tuple[MeterBand, ...] = ()
        self.groups: tuple[FailoverGroup, ...] = ()
        self.regroup = False  # whether its groups have to be compared

    @property
    def any(self) -> bool:
        """Whether there is something to send."""
        return bool(self.add or self.delete or self.meters or self.groups)

    def compare(self, had: Rules, wanted: Rules) -> int:
        """Add the changes that lead from `had` to `wanted`. Returns the number of rules to change."""
        if had is wanted:
            return 0
        add = [rule for key, rule in wanted.items() if had.get(key) != rule]
        delete = [rule for key, rule in had.items() if key not in wanted]
        self.add += add
        self.delete += delete
        return len(add) + len(delete)
