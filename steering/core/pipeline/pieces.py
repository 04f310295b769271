"""A piece of rules: all that one feature wants of one switch and that changes together."""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from steering.model.ids import DatapathId
from steering.model.rules import Rule, RuleKey

PORTION = 100  # rules

Rules = Mapping[RuleKey, Rule]
# A feature's only piece at a switch by its name, or one of many by their kind and two numbers of the feature's own.
Piece = str | tuple[str, int, int]


def keyed(rules: Iterable[Rule]) -> dict[RuleKey, Rule]:
    """Rules by what a switch knows them by; of two with the same the later one."""
    return {rule.key: rule for rule in rules}


class Spread(NamedTuple):
    """A destination whose ways have changed: which switches' pieces may be others now."""

    piece: str
    dpids: Collection[DatapathId]


class Unmade:
    """A piece that may be large: its rules are made portion by portion. `keep` is given the whole."""

    def __init__(self, rules: Iterable[Rule], keep: Callable[[Rules], None]) -> None:
        self._left = iter(rules)
        self._keep = keep
        self._made: dict[RuleKey, Rule] = {}

    def portion(self) -> tuple[Rules | None, int]:
        """Make PORTION more rules at most. All rules, or None while there are more to make; and how many were made."""
        made = list(islice(self._left, PORTION))
        self._made |= keyed(made)
        if len(made) == PORTION:
            return None, PORTION
        self._keep(self._made)
        return self._made, len(made)


class PieceKind(NamedTuple):
    """Pieces that are many: `make` makes one at a switch, `wanted` tells which ones a switch should hold."""

    make: Callable[[DatapathId, Piece], Rules]
    wanted: Callable[[DatapathId], Iterable[Piece]]


class PieceWork:
    """One piece of one switch under way. `rules`: all of it, None while it is not complete."""

    __slots__ = ("_source", "dpid", "piece", "rules")

    def __init__(self, dpid: DatapathId, piece: Piece, source: Rules | Unmade) -> None:
        self.dpid = dpid
        self.piece = piece
        self._source = source
        self.rules: Rules | None = None if isinstance(source, Unmade) else source

    def go_on(self) -> int:
        """Make a portion, if the piece is not complete. How many rules were made."""
        if not isinstance(self._source, Unmade):
            return 0
        self.rules, made = self._source.portion()
        return made
