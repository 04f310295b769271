"""Findings about rules that could not be read completely: unknown names in them, and rules with the same name.

A rule with a mistake in one key is incomplete: what it would match is not known, so other rules are not compared with
it. The names in its other keys are known, and are checked at once.
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
    """All these findings. `data`: the file as written. `plan`: the part of it that could be read."""
    rules = data.get("rules")
    if not isinstance(rules, list) or "rules" not in plan.lost:
        return
    kept = set(plan.numbers.get("rules", ()))
    kinds = [*named_within(plan), *(named_of_site(site) if site is not None else ())]
    whole: dict[str, bool] = {}  # name of a rule -> whether an earlier rule with this name could be read
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
    """The names at a key of a rule as written. Values that are no names have findings of their own."""
    value: Any = rule
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return {item for item in (value if isinstance(value, dict) else listed(value)) if is_name(item)}
