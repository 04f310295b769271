"""The differences between two policies, in words."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from steering.model.policy import Application, Policy, PolicyRule, Subscriber, SubscriberClass
from steering.policy.language.spelling import conditions_and_terms, settings, spelled

Item = PolicyRule | Subscriber | SubscriberClass | Application


class ChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One difference. `what`: "policy", "rule" and so on. `field`, `old` and `new` are empty where they do not apply.

    Of a rule that was moved, `old` and `new` are its positions, counted from 1.
    """

    kind: ChangeKind
    what: str
    name: str = ""
    field: str = ""
    old: str = ""
    new: str = ""

    def __str__(self) -> str:
        title = f"{self.what} '{self.name}'" if self.name else self.what
        if self.kind is ChangeKind.MOVED:
            return f"{title} moved from place {self.old} to {self.new}"
        if self.kind is ChangeKind.CHANGED:
            return f"{title}: {self.field} was {self.old}, is {self.new}"
        return f"{title} {self.kind}{f' at place {self.new}' if self.new else ''}"

    def as_json(self) -> dict[str, Any]:
        """{"kind", "what", "name", "field", "old", "new"}. Empty texts are None."""
        return {
            "kind": str(self.kind),
            "what": self.what,
            "name": self.name or None,
            "field": self.field or None,
            "old": self.old or None,
            "new": self.new or None,
        }


def diff(old: Policy, new: Policy) -> list[PolicyChange]:
    """The differences: first settings, then classes, subscribers, applications and rules. Empty for equal policies."""
    changes = _fields("policy", "", settings(old), settings(new))
    changes += _items("class", old.classes, new.classes)
    changes += _items("subscriber", old.subscribers, new.subscribers)
    changes += _items("application", old.applications, new.applications)
    changes += _items("rule", old.rules, new.rules)
    return changes


def _fields(what: str, name: str, old: dict[str, str], new: dict[str, str]) -> list[PolicyChange]:
    return [
        PolicyChange(ChangeKind.CHANGED, what, name, field, old.get(field, "-"), new.get(field, "-"))
        for field in dict.fromkeys((*old, *new))
        if old.get(field, "-") != new.get(field, "-")
    ]


def _name(item: Item) -> str:
    return item.id if isinstance(item, Subscriber) else item.name


def _items(what: str, old: Sequence[Item], new: Sequence[Item]) -> list[PolicyChange]:
    before = {_name(item): (place, item) for place, item in enumerate(old, 1)}
    after = {_name(item): (place, item) for place, item in enumerate(new, 1)}
    ordered = what in ("rule", "application")  # their order matters, since the first that matches counts
    changes = [PolicyChange(ChangeKind.REMOVED, what, name) for name in before if name not in after]
    for name, (place, _) in after.items():
        if name not in before:
            changes.append(PolicyChange(ChangeKind.ADDED, what, name, new=spelled(place) if ordered else ""))
    common = [name for name in after if name in before]
    if ordered:
        for name in _moved(common, [before[name][0] for name in common]):
            changes.append(
                PolicyChange(
                    ChangeKind.MOVED, what, name, "", spelled(before[name][0]), spelled(after[name][0])
                )
            )
    for name in common:
        one, other = before[name][1], after[name][1]
        if one != other:
            changes += _fields(what, name, conditions_and_terms(one), conditions_and_terms(other))
    return changes


def _moved(names: list[str], places: list[int]) -> list[str]:
    """The smallest set of names whose moves explain the new order: all but a longest increasing subsequence of
    positions."""
    tails: list[int] = []  # for each length, the least last position of an increasing subsequence
    length: list[int] = []  # for each name, the length of the longest subsequence that ends with it
    for place in places:
        at = bisect_left(tails, place)
        tails[at : at + 1] = [place]
        length.append(at + 1)
    stay: set[int] = set()
    wanted = len(tails)
    for index in range(len(places) - 1, -1, -1):
        if length[index] == wanted:
            stay.add(index)
            wanted -= 1
    return [name for index, name in enumerate(names) if index not in stay]
