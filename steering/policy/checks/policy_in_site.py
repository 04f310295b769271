"""Findings about a policy in a site: unknown MCPs and access networks, and rules that no MCP can serve."""

from collections.abc import Iterator

from steering.model.network import HOME, Mcp, NetworkAccessType, Site, Trust
from steering.model.policy import Action, Mode, Policy, PolicyRule
from steering.policy.checks.authorisation import authorisation_problems
from steering.policy.checks.names import NameKind, unknown
from steering.policy.checks.proactive import proactive_site_problems
from steering.policy.checks.reach import families, overlap
from steering.policy.language.findings import Code, Finding, Path, PlacelessFinding, in_order, quoted


def check_policy(policy: Policy, site: Site, file: str = "policy") -> list[Finding]:
    """The findings about a policy in a site. Without the text the lines are not known, so all are 1.

    `parse_policy(text, filename, site)` gives the same findings with lines.
    """
    found = (*site_problems(policy, site), *authorisation_problems(policy, site))
    return in_order([Finding(file, 1, 1, p.code, p.message, p.suggestion) for p in found])


def site_problems(policy: Policy, site: Site) -> Iterator[PlacelessFinding]:
    """The findings of `check_policy`, with paths that begin ("rules", index in the policy)."""
    yield from proactive_site_problems(policy, site)
    mcps = {mcp.name: mcp for mcp in site.mcps}
    accesses = {access.name: (access.type, access.trust) for access in site.access_networks}
    kinds = named_of_site(site)
    for index, rule in enumerate(policy.rules):
        path: Path = ("rules", index)
        yield from _names(path, rule, kinds)
        yield from _accesses(path, rule, accesses)
        if rule.then.action is Action.PROXY and rule.then.mode is not Mode.TRANSPARENT:
            named = [mcps[name] for name in sorted(rule.then.mcps) if name in mcps]
            # Otherwise the unknown name is the mistake, or the site has no MCP at all, which has a note of its own.
            if site.mcps and len(named) == len(rule.then.mcps):
                yield from _candidates(path, rule, named or list(site.mcps), policy.foreign_mcps)


def named_of_site(site: Site) -> list[NameKind]:
    """The kinds of names in rules that are defined in a site."""
    mcps = {mcp.name for mcp in site.mcps}
    accesses = {access.name for access in site.access_networks}
    return [
        (("then", "mcps"), "MCP", Code.UNKNOWN_MCP, mcps),
        (("when", "access"), "access network", Code.UNKNOWN_ACCESS, accesses),
        (("then", "ratio"), "access network", Code.UNKNOWN_ACCESS, accesses),
    ]


def _names(path: Path, rule: PolicyRule, kinds: list[NameKind]) -> Iterator[PlacelessFinding]:
    wanted = (rule.then.mcps, rule.when.access_networks, {name for name, _ in rule.then.ratio})
    for (keys, what, code, known), names in zip(kinds, wanted, strict=True):
        for name in sorted(names - known):
            yield unknown(code, (*path, *keys), what, name, known, rule.name)


def _accesses(
    path: Path, rule: PolicyRule, accesses: dict[str, tuple[NetworkAccessType, Trust]]
) -> Iterator[PlacelessFinding]:
    when, title = rule.when, f"rule {quoted(rule.name)}"
    known = [accesses[name] for name in when.access_networks if name in accesses]
    if known and len(known) == len(when.access_networks):
        if when.access_types and not any(kind in when.access_types for kind, _ in known):
            message = f"{title}: none of these access networks is of such a type"
            yield PlacelessFinding((*path, "when", "access_type"), Code.NEVER_MATCHES, message)
        if when.trusts and not any(trust in when.trusts for _, trust in known):
            message = f"{title}: none of these access networks has such a trust"
            yield PlacelessFinding((*path, "when", "trust"), Code.NEVER_MATCHES, message)
    allowed = rule.then.pooling.allowed
    for name, _ in rule.then.ratio:
        if allowed and name in accesses and accesses[name][0] not in allowed:
            message = f"{title}: {quoted(name)} has a share, and pooling allows no {accesses[name][0]}"
            yield PlacelessFinding((*path, "then", "ratio", name), Code.CONTRADICTION, message)


def _candidates(path: Path, rule: PolicyRule, mcps: list[Mcp], foreign: bool) -> Iterator[PlacelessFinding]:
    """A rule that no MCP can serve. In implicit mode, an MCP serves the families of which it has addresses (T-18)."""
    title = f"rule {quoted(rule.name)}"
    at: Path = (*path, "then", "mcps") if rule.then.mcps else path
    if mcps and not foreign and all(mcp.operator != HOME for mcp in mcps):
        message = f"{title}: other operators run every MCP that is left, and foreign_mcps is false"
        yield PlacelessFinding(at, Code.EMPTY_CANDIDATES, message)
        return
    ports = rule.when.ports
    serving = [mcp for mcp in mcps if not ports or overlap(ports, mcp.tcp_ports)]
    if not serving:
        yield PlacelessFinding(at, Code.EMPTY_CANDIDATES, f"{title}: no MCP is left that serves such a port")
        return
    possible = families(rule.when)
    served = {address.version for mcp in serving for address in mcp.addresses}
    if possible and not possible & served:
        message = f"{title}: no MCP is left that serves {_spelled(possible)}"
        yield PlacelessFinding(at, Code.EMPTY_CANDIDATES, message)
    elif crossing := _asked_for(rule) & (possible - served):
        message = f"{title}: {_spelled(crossing)} would have to cross address families at the MCP, which needs the explicit mode"
        yield PlacelessFinding(at, Code.CROSS_FAMILY, message)


def _asked_for(rule: PolicyRule) -> frozenset[int]:
    """The address families that a rule names explicitly."""
    when = rule.when
    return when.ip_versions | {network.version for network in (*when.sources, *when.destinations)}


def _spelled(versions: frozenset[int]) -> str:
    return " and ".join(f"IPv{version}" for version in sorted(versions))
