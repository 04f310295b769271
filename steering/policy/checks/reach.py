"""Findings about rules that no connection can meet: closed windows, ports, families, subscribers."""

from collections.abc import Iterable, Iterator

from steering.model.network import Network
from steering.model.policy import Action, PolicyRule, Ports, RuleConditions, TimeWindow
from steering.policy.language.findings import Code, Path, PlacelessFinding, quoted
from steering.policy.rules.plan import PolicyPlan

FAMILIES = frozenset({4, 6})


def reach_problems(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """All findings of this module, in no order."""
    classes = {item.id: item.klass for item in plan.file.subscribers}
    for index, rule in enumerate(plan.policy.rules):
        for keys, code, message in _of_rule(rule, plan.policy.eligible_ports, classes):
            yield PlacelessFinding(
                plan.path("rules", index, *keys), code, f"rule {quoted(rule.name)}: {message}"
            )


def _of_rule(rule: PolicyRule, eligible: Ports, classes: dict[str, str]) -> Iterator[tuple[Path, Code, str]]:
    when = rule.when
    for place, window in enumerate(when.times):
        if not opens(window):
            yield ("when", "time", place), Code.NEVER_MATCHES, "this window never opens: it ends as it begins"
    if when.ports and not overlap(when.ports, eligible):
        yield ("when", "port"), Code.NEVER_MATCHES, "none of these ports is eligible"
    if when.subscribers and when.classes and when.subscribers <= classes.keys():
        if not when.classes & {classes[name] for name in when.subscribers}:
            message = "none of these subscribers is of such a class"
            yield ("when", "subscriber"), Code.NEVER_MATCHES, message
    hosts = when.ip_versions or FAMILIES
    if not hosts & families_of(when.sources):
        yield ("when", "source"), Code.NEVER_MATCHES, f"no source is an IPv{_one(hosts)} one"
    elif not hosts & families_of(when.sources) & families_of(when.destinations):
        if rule.then.action is Action.PROXY:
            message = (
                "hosts and destinations are of different address families, which needs the explicit mode"
            )
            yield ("when", "destination"), Code.CROSS_FAMILY, message
        else:
            message = "hosts and destinations are of different address families"
            yield ("when", "destination"), Code.NEVER_MATCHES, message


def opens(window: TimeWindow) -> bool:
    """Whether a window is ever open."""
    return bool(window.days) and window.start != window.end


def overlap(some: Ports, others: Ports) -> bool:
    """Whether two sets of port ranges share a port."""
    return any(low <= high2 and low2 <= high for low, high in some for low2, high2 in others)


def families_of(networks: Iterable[Network]) -> frozenset[int]:
    """The address families of prefixes. Without prefixes: both families."""
    return frozenset(network.version for network in networks) or FAMILIES


def families(when: RuleConditions) -> frozenset[int]:
    """The address families that a rule's connections can have."""
    return (when.ip_versions or FAMILIES) & families_of(when.sources) & families_of(when.destinations)


def _one(versions: frozenset[int]) -> int:
    return min(versions)
