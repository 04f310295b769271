"""Findings about rules that could not be read whole: names in them that nobody has, and names given twice.

A rule with a mistake in one key is no rule yet: what it would match is not known, and no other rule is held against it.
What its other keys name is known all the same, and said at once.
"""

from collections.abc import Iterator
from typing import Any

from steering.model.network import Site
from steering.policy.checks.names import given_twice, named_within, unknown
from steering.policy.checks.policy_in_site import named_of_site
from steering.policy.language.fields import is_name, listed
from steering.policy.language.findings import Path, PlacelessFinding
from steering.policy.rules.plan import PolicyPlan


def lost_rule_problems(
    plan: PolicyPlan, data: dict[str, Any], site: Site | None
) -> Iterator[PlacelessFinding]:
    """`data` is the file as written, of which `plan` has what could be read."""
    rules = data.get("rules")
    if not isinstance(rules, list) or "rules" not in plan.lost:
        return
    kept = set(plan.numbers.get("rules", ()))
    kinds = [*named_within(plan), *(named_of_site(site) if site is not None else ())]
    whole: dict[str, bool] = {}  # by name: whether a rule before that could be read has it
    for number, rule in enumerate(rules):
        if not isinstance(rule, dict):
            continue
        name = rule.get("name")
        title = name if is_name(name) else ""
        if title in whole and not (number in kept and whole[title]):
            yield given_twice("rules", title, ("rules", number, "name"))
        if title:
            whole[title] = whole.get(title, False) or number in kept
        if number in kept:
            continue
        for keys, what, code, known in kinds:
            for named in sorted(_names_at(rule, keys) - known):
                yield unknown(code, ("rules", number, *keys), what, named, known, title)


def _names_at(rule: dict[str, Any], keys: Path) -> set[str]:
    """The names at a key of a rule as written; what is none has its own finding."""
    value: Any = rule
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return {item for item in (value if isinstance(value, dict) else listed(value)) if is_name(item)}
