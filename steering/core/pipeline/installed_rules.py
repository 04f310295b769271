"""What switches hold, as the controller knows it: rules by label and by piece, meters, and groups."""

from collections.abc import Collection, Mapping

from steering.core.outputs import SyncRules
from steering.core.pipeline.pieces import PieceName, Rules
from steering.core.pipeline.switch_change import Change
from steering.model.ids import DatapathId
from steering.model.rules import FailoverGroup, MeterBand, Rule, Table

FORWARDING = (Table.LABEL, Table.HOST)


class InstalledRules:
    """By switch: `labelled` has the rules of each destination's labels, `pieces` those of each piece, `groups` the groups by
    number."""

    def __init__(self) -> None:
        self.labelled: dict[DatapathId, dict[DatapathId, Rules]] = {}
        self.pieces: dict[DatapathId, dict[PieceName, Rules]] = {}
        self.groups: dict[DatapathId, dict[int, FailoverGroup]] = {}
        self._meters: dict[tuple[DatapathId, str], Mapping[int, MeterBand]] = {}

    def of(self, dpid: DatapathId, names: Collection[str]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """The rules of labels, of the pieces with these names, and of kinds of pieces at a switch. The first tuple has the
        rules of LABEL and HOST, the second those of all other tables."""
        forwarding = [rule for rules in self.labelled[dpid].values() for rule in rules.values()]
        admission: list[Rule] = []
        for piece, rules in self.pieces[dpid].items():
            if piece in names or not isinstance(piece, str):
                for rule in rules.values():
                    (forwarding if rule.table in FORWARDING else admission).append(rule)
        return tuple(forwarding), tuple(admission)

    def bring(
        self, piece: str, dpid: DatapathId, rules: Rules, meters: Mapping[int, MeterBand]
    ) -> SyncRules | None:
        """A switch is to hold these rules of a piece, and these meters. Returns the changes to send, or None."""
        pieces = self.pieces.setdefault(dpid, {})
        had, pieces[piece] = pieces.get(piece, {}), rules
        known, self._meters[dpid, piece] = self._meters.get((dpid, piece), {}), meters
        change = Change()
        change.compare(had, rules)
        change.meters = tuple(band for number, band in meters.items() if known.get(number) != band)
        found = SyncRules(dpid, tuple(change.add), tuple(change.delete), change.meters)
        return found if change.any else None

    def forget(self, dpid: DatapathId) -> None:
        """Forget what a switch holds."""
        self.labelled.pop(dpid, None)
        self.pieces.pop(dpid, None)
        self.groups.pop(dpid, None)
        for place in [place for place in self._meters if place[0] == dpid]:
            del self._meters[place]
