"""Findings about proactive rules: combinations that entries which are set in advance cannot carry out (T-21)."""

from collections.abc import Iterator

from steering.model.insertion import EVERYBODY_ELSE, governed, hindrances
from steering.model.network import Network, Site, Trust
from steering.model.policy import ALL_PORTS, Policy
from steering.policy.language.findings import Code, PlacelessFinding, quoted
from steering.policy.rules.plan import PolicyPlan


def proactive_problems(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """Problems of proactive insertion in the policy alone."""
    for index, keys, words in hindrances(plan.policy):
        title = f"rule {quoted(plan.policy.rules[index].name)}: "
        yield PlacelessFinding(plan.path("rules", index, *keys), Code.PROACTIVE, title + words)


def proactive_site_problems(policy: Policy, site: Site) -> Iterator[PlacelessFinding]:
    """Problems in a site, with paths that begin ("rules", index in the policy). On an access of a third party each
    join has to show its token, and an MCP that does not serve all ports cannot take all TCP."""
    foreign = [(a.name, a.prefixes) for a in site.access_networks if a.trust is Trust.THIRD_PARTY]
    told: set[tuple[int, str]] = set()
    for unit in governed(policy):
        index = policy.rules.index(unit.rule)
        title = f"rule {quoted(unit.rule.name)}: insertion is proactive, "
        problems = [
            f"so joins show no token, and access network {quoted(name)} is a third party's"
            for name, prefixes in foreign
            if unit.name == EVERYBODY_ELSE or _overlap(unit.prefixes, prefixes)
        ]
        mcps = [mcp for mcp in site.mcps if not unit.rule.then.mcps or mcp.name in unit.rule.then.mcps]
        if mcps and not any(mcp.tcp_ports == ALL_PORTS for mcp in mcps):
            problems.append("and no MCP that is left serves all ports")
        for words in problems:
            if (index, words) not in told:
                told.add((index, words))
                yield PlacelessFinding(("rules", index, "then", "insertion"), Code.PROACTIVE, title + words)


def _overlap(some: tuple[Network, ...], others: tuple[Network, ...]) -> bool:
    # `overlaps` can compare only prefixes of one family.
    return any(a.version == b.version and a.overlaps(b) for a in some for b in others)
