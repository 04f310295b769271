"""Pieces: the unit in which rules are made and compared.

A piece has all rules that one feature wants at one switch and that change together.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from steering.model.ids import DatapathId
from steering.model.rules import Rule, RuleKey

PORTION = 100  # most rules that are made at once
# Units of work of a slice (pipeline.reconcile).
LOOKED = 1  # for a distance that is looked at for a rule, and for a rule that is compared
MADE = 2  # for a rule that is made
CHANGED = 8  # for a rule that is sent to its switch

Rules = Mapping[RuleKey, Rule]
# The name of a piece. A feature with many pieces names each by a kind and two numbers of its own choice.
PieceName = str | tuple[str, int, int]


def keyed(rules: Iterable[Rule]) -> dict[RuleKey, Rule]:
    """The rules by their key (table, priority and match). Of two rules with the same key, the later one."""
    return {rule.key: rule for rule in rules}


class Spread(NamedTuple):
    """A piece, and the switches where the piece may have changed because the paths to a destination did."""

    piece: str
    dpids: Collection[DatapathId]


class PendingRules:
    """A piece that may be large. Its rules are made in portions. `keep` is called with all rules when they are made."""

    def __init__(self, rules: Iterable[Rule], keep: Callable[[Rules], None]) -> None:
        self._left = iter(rules)
        self._keep = keep
        self._made: dict[RuleKey, Rule] = {}

    def portion(self) -> tuple[Rules | None, int]:
        """Make at most PORTION more rules. Returns all rules of the piece, or None if it is not complete; and how many
        rules this call made."""
        made = list(islice(self._left, PORTION))
        self._made |= keyed(made)
        if len(made) == PORTION:
            return None, PORTION
        self._keep(self._made)
        return self._made, len(made)


class PieceKind(NamedTuple):
    """The many pieces of one feature. `make` makes a piece of a switch. `wanted`: which pieces a switch should hold."""

    make: Callable[[DatapathId, PieceName], Rules]
    wanted: Callable[[DatapathId], Iterable[PieceName]]


class PieceWork:
    """One piece of one switch that is being made. `rules`: all its rules, or None while it is not complete."""

    __slots__ = ("_source", "dpid", "piece", "rules")

    def __init__(self, dpid: DatapathId, piece: PieceName, source: Rules | PendingRules) -> None:
        self.dpid = dpid
        self.piece = piece
        self._source = source
        self.rules: Rules | None = None if isinstance(source, PendingRules) else source

    def go_on(self) -> int:
        """Make a portion, if the piece is not complete. Returns how many rules were made."""
        if not isinstance(self._source, PendingRules):
            return 0
        self.rules, made = self._source.portion()
        return made
