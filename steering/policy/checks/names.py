"""Findings about names within a policy: names that are given twice, unknown names, and prefixes of two subscribers."""

from collections.abc import Iterator

from steering.model.network import Network
from steering.policy.language.findings import Code, Path, PlacelessFinding, nearest, quoted
from steering.policy.rules.plan import PolicyPlan

DEFAULT_CLASS = "default"

NameKind = tuple[Path, str, Code, set[str]]
"""A kind of name in rules: the keys at which such names stand, the kind of thing, the code of the finding for an unknown
name, and all known names."""

_SINGULAR = {
    "classes": "class",
    "subscribers": "subscriber",
    "applications": "application",
    "rules": "rule",
    "acl": "entry",
}


def name_problems(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """All findings of this module, in no order."""
    yield from _given_twice(plan)
    yield from _classes_of_subscribers(plan)
    yield from _named_by_rules(plan)
    yield from _prefixes(plan)


def unknown(code: Code, path: Path, what: str, name: str, known: set[str], rule: str) -> PlacelessFinding:
    """The finding that a rule has an unknown name. `rule`: the rule's own name, empty where that cannot be read."""
    title = f"rule {quoted(rule)}" if rule else "a rule"
    message = f"{title}: no {what} is called {quoted(name)}"
    return PlacelessFinding((*path, name), code, message, nearest(name, known))


def _given_twice(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    for section, names in plan.sections():
        seen: set[str] = set()
        for index, name in enumerate(names):
            if name in seen:
                key = "id" if section == "subscribers" else "name"
                yield given_twice(section, name, plan.path(section, index, key))
            seen.add(name)


def given_twice(section: str, name: str, path: Path) -> PlacelessFinding:
    """The finding that an item of a section has the name of an earlier item."""
    message = f"{_SINGULAR[section]} {quoted(name)} has the name of another {_SINGULAR[section]}"
    return PlacelessFinding(path, Code.DUPLICATE_NAME, message)


def _known_classes(plan: PolicyPlan) -> set[str]:
    return {DEFAULT_CLASS} | {item.name for item in plan.file.classes}


def _classes_of_subscribers(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    if "classes" in plan.lost:
        return
    known = _known_classes(plan)
    for index, item in enumerate(plan.file.subscribers):
        if item.klass not in known:
            message = f"subscriber {quoted(item.id)}: no class is called {quoted(item.klass)}"
            path = plan.path("subscribers", index, "class")
            yield PlacelessFinding(path, Code.UNKNOWN_CLASS, message, nearest(item.klass, known))


def named_within(plan: PolicyPlan) -> list[NameKind]:
    """The kinds of names in rules that are defined in the policy, without sections that could not be read
    completely."""
    kinds: list[tuple[str, NameKind]] = [
        (
            "subscribers",
            (
                ("when", "subscriber"),
                "subscriber",
                Code.UNKNOWN_SUBSCRIBER,
                {item.id for item in plan.file.subscribers},
            ),
        ),
        ("classes", (("when", "class"), "class", Code.UNKNOWN_CLASS, _known_classes(plan))),
        (
            "applications",
            (
                ("when", "application"),
                "application",
                Code.UNKNOWN_APPLICATION,
                {item.name for item in plan.file.applications},
            ),
        ),
    ]
    return [named for section, named in kinds if section not in plan.lost]


def _named_by_rules(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    kinds = named_within(plan)
    for index, rule in enumerate(plan.file.rules):
        wanted = {
            "subscriber": rule.when.subscriber,
            "class": rule.when.klass,
            "application": rule.when.application,
        }
        for keys, what, code, known in kinds:
            for name in sorted(set(wanted[what]) - known):
                yield unknown(code, plan.path("rules", index, *keys), what, name, known, rule.name)


def _prefixes(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """Subscribers with the same prefix. Of prefixes within each other the narrower one counts, which is no mistake."""
    owners: dict[Network, str] = {}
    for index, item in enumerate(plan.file.subscribers):
        for place, prefix in enumerate(item.prefixes):
            if prefix in owners:
                whose = "it has already" if owners[prefix] == item.id else f"is {quoted(owners[prefix])}'s"
                message = f"subscriber {quoted(item.id)} has prefix {prefix}, which {whose}"
                path = plan.path("subscribers", index, "prefixes", place)
                yield PlacelessFinding(path, Code.OVERLAPPING_PREFIX, message)
            owners.setdefault(prefix, item.id)
