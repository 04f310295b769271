"""A piece of rules: all that one feature wants of one switch and that changes together."""

from collections.abc import Iterable, Mapping

from steering.model.rules import Rule, RuleKey

Rules = Mapping[RuleKey, Rule]


def keyed(rules: Iterable[Rule]) -> dict[RuleKey, Rule]:
    """Rules by what a switch knows them by; of two with the same the later one."""
    return {rule.key: rule for rule in rules}
