"""Findings about what a policy names within itself: names given twice, names of nothing, prefixes of two."""

from collections.abc import Iterator

from steering.model.network import Network
from steering.policy.findings import Code, Path, Problem, nearest, quoted
from steering.policy.policy_plan import PolicyPlan

DEFAULT_CLASS = "default"

_SINGULAR = {
    "classes": "class",
    "subscribers": "subscriber",
    "applications": "application",
    "rules": "rule",
    "acl": "entry",
}


def name_problems(plan: PolicyPlan) -> Iterator[Problem]:
    """Everything below, in no order."""
    yield from _given_twice(plan)
    yield from _classes_of_subscribers(plan)
    yield from _named_by_rules(plan)
    yield from _prefixes(plan)


def unknown(code: Code, path: Path, what: str, name: str, known: set[str], rule: str) -> Problem:
    """A rule names what nobody has."""
    message = f"rule {quoted(rule)}: no {what} is called {quoted(name)}"
    return Problem((*path, name), code, message, nearest(name, known))


def _given_twice(plan: PolicyPlan) -> Iterator[Problem]:
    for section, names in plan.sections():
        seen: set[str] = set()
        for index, name in enumerate(names):
            if name in seen:
                key = "id" if section == "subscribers" else "name"
                message = f"{_SINGULAR[section]} {quoted(name)} has the name of another {_SINGULAR[section]}"
                yield Problem(plan.path(section, index, key), Code.DUPLICATE_NAME, message)
            seen.add(name)


def _known_classes(plan: PolicyPlan) -> set[str]:
    return {DEFAULT_CLASS} | {item.name for item in plan.file.classes}


def _classes_of_subscribers(plan: PolicyPlan) -> Iterator[Problem]:
    if "classes" in plan.lost:
        return
    known = _known_classes(plan)
    for index, item in enumerate(plan.file.subscribers):
        if item.klass not in known:
            message = f"subscriber {quoted(item.id)}: no class is called {quoted(item.klass)}"
            path = plan.path("subscribers", index, "class")
            yield Problem(path, Code.UNKNOWN_CLASS, message, nearest(item.klass, known))


def _named_by_rules(plan: PolicyPlan) -> Iterator[Problem]:
    subscribers = {item.id for item in plan.file.subscribers}
    applications = {item.name for item in plan.file.applications}
    kinds = (
        ("subscriber", "subscribers", Code.UNKNOWN_SUBSCRIBER, subscribers),
        ("class", "classes", Code.UNKNOWN_CLASS, _known_classes(plan)),
        ("application", "applications", Code.UNKNOWN_APPLICATION, applications),
    )
    for index, rule in enumerate(plan.file.rules):
        wanted = (rule.when.subscriber, rule.when.klass, rule.when.application)
        for (key, section, code, known), names in zip(kinds, wanted, strict=True):
            if section in plan.lost or known.issuperset(names):
                continue
            path = plan.path("rules", index, "when", key)
            for name in sorted(set(names) - known):
                yield unknown(code, path, key, name, known, rule.name)


def _prefixes(plan: PolicyPlan) -> Iterator[Problem]:
    """A prefix within another is the narrower one's; the same prefix twice is nobody's."""
    owners: dict[Network, str] = {}
    for index, item in enumerate(plan.file.subscribers):
        for place, prefix in enumerate(item.prefixes):
            if prefix in owners:
                whose = "it has already" if owners[prefix] == item.id else f"is {quoted(owners[prefix])}'s"
                message = f"subscriber {quoted(item.id)} has prefix {prefix}, which {whose}"
                path = plan.path("subscribers", index, "prefixes", place)
                yield Problem(path, Code.OVERLAPPING_PREFIX, message)
            owners.setdefault(prefix, item.id)
