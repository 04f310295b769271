"""Findings about source modes: pools of source addresses, and contradictions to them (draft-nam section 5.4)."""

from collections.abc import Iterator

from steering.model.network import Network
from steering.model.source import IDENTIFIER_BITS, SourceMode
from steering.policy.language.findings import Code, Path, PlacelessFinding, quoted
from steering.policy.site.plan import Plan
from steering.policy.site.schema import McpFile

IDENTIFIER_LENGTHS = range(80, 113)


def source_problems(plan: Plan) -> Iterator[PlacelessFinding]:
    """All findings of this module, for every MCP. `plan.file.mcps` and the MCPs among its attachments have the same
    order."""
    paths = [a.path for a in plan.attachments if a.path[0] == "mcps"]
    identifiers: list[tuple[Network, str]] = []
    for path, mcp in zip(paths, plan.file.mcps, strict=False):
        title = f"MCP {quoted(mcp.name)}"
        yield from _pools(path, title, mcp)
        yield from _nat64(path, title, mcp)
        if mcp.source_mode.ipv6 is not SourceMode.IPV6_PREFIX:
            continue
        for number, pool in enumerate(mcp.pools):
            for other, owner in identifiers:
                if pool.version == 6 and other.overlaps(pool):
                    message = f"{title} gives identifiers {pool}, which overlap with {other} of {owner}"
                    yield PlacelessFinding((*path, "pools", number), Code.SOURCE_POOL, message)
            identifiers += [(pool, title)] if pool.version == 6 else []


def _pools(path: Path, title: str, mcp: McpFile) -> Iterator[PlacelessFinding]:
    """Pools that are missing where a mode needs one, or given where no mode uses one (N-5.4.1c, N-5.4.2)."""
    for version in (4, 6):
        mode = mcp.source_mode.mode(version)
        pools = [(n, pool) for n, pool in enumerate(mcp.pools) if pool.version == version]
        if mode is None or mode.preserves:
            why = f"no mode of IPv{version} uses it" if mode is None else f"'{mode}' keeps the host's address"
            for number, pool in pools:
                message = f"{title} needs no pool {pool}: {why}"
                yield PlacelessFinding((*path, "pools", number), Code.SOURCE_POOL, message)
            continue
        if not pools:
            message = f"{title}: '{mode}' needs IPv{version} addresses to give: say 'pools'"
            yield PlacelessFinding((*path, "source_mode"), Code.SOURCE_POOL, message)
        for number, pool in pools:
            at = (*path, "pools", number)
            own = [address for address in mcp.addresses if address in pool]
            if mode is SourceMode.IPV6_PREFIX and not _is_identifiers(pool):
                message = (
                    f"{title}: '{mode}' gives identifiers, a prefix of 80 to 112 bits whose first 64 are zero, "
                    f"such as ::5354:1:0:0/96, not {pool}"
                )
                yield PlacelessFinding(at, Code.SOURCE_POOL, message)
            elif mode is SourceMode.NPTV6 and pool.prefixlen > IDENTIFIER_BITS:
                yield PlacelessFinding(
                    at, Code.SOURCE_POOL, f"{title}: {pool} holds no prefix of 64 bits to give"
                )
            elif own:
                yield PlacelessFinding(at, Code.SOURCE_POOL, f"{title} would give its own address {own[0]}")


def _is_identifiers(pool: Network) -> bool:
    value = int(pool.network_address)
    return 0 < value < 1 << IDENTIFIER_BITS and pool.prefixlen in IDENTIFIER_LENGTHS


def _nat64(path: Path, title: str, mcp: McpFile) -> Iterator[PlacelessFinding]:
    if mcp.nat64 is None:
        return
    at = (*path, "nat64")
    if mcp.nat64.version != 6 or mcp.nat64.prefixlen != 96:
        yield PlacelessFinding(
            at, Code.BAD_VALUE, f"{mcp.nat64} is no IPv6 prefix of 96 bits, such as 64:ff9b::/96"
        )
    elif mcp.source_mode.ipv4 is None or mcp.source_mode.ipv4.preserves:
        message = (
            f"{title}: 'nat64' needs IPv4 addresses to give: an ipv4 source mode 'shared' or 'one-to-one'"
        )
        yield PlacelessFinding(at, Code.SOURCE_POOL, message)
