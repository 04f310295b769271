"""Notes about eligible ports for which no MCP of the site has a listener, or all ports where the site has no MCP.
Connections to such ports are bypassed. Checking a policy shows these notes."""

from steering.model.network import HOME, Mcp, Site
from steering.model.policy import Policy

Ports = tuple[tuple[int, int], ...]
SHOWN = 8  # most ranges that a note lists


def unserved(policy: Policy, site: Site) -> list[str]:
    """A line about such ports, or no line where every eligible port is served."""
    if not site.mcps:
        return ["the site has no MCP: all connections take their natural paths"]
    left = without(policy.eligible_ports, [span for mcp in _serving(policy, site) for span in mcp.tcp_ports])
    if not left:
        return []
    words = [str(low) if low == high else f"{low}-{high}" for low, high in left[:SHOWN]]
    more = f" and {len(left) - SHOWN} more ranges" if len(left) > SHOWN else ""
    one = len(left) == 1 and left[0][0] == left[0][1]
    ports = f"port {words[0]} is" if one else f"ports {', '.join(words)}{more} are"
    return [
        f"eligible {ports} in no MCP's tcp_ports, so no listener waits there: connections to {'it' if one else 'them'} are bypassed"
    ]


def _serving(policy: Policy, site: Site) -> list[Mcp]:
    return [mcp for mcp in site.mcps if policy.foreign_mcps or mcp.operator == HOME]


def without(wanted: Ports, taken: list[tuple[int, int]]) -> Ports:
    """The ports of `wanted` that are not in `taken`, as ranges with both ends. Ranges of `wanted` are sorted and do
    not overlap."""
    left: list[tuple[int, int]] = []
    for low, high in wanted:
        for first, last in sorted(taken):
            if last < low or first > high:
                continue
            if first > low:
                left.append((low, first - 1))
            low = last + 1
        if low <= high:
            left.append((low, high))
    return tuple(left)
