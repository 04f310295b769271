"""Findings about where an MCP can be reached: its access networks, and its public addresses."""

from collections.abc import Iterator
from ipaddress import ip_network

from steering.model.network import Address
from steering.policy.language.findings import Code, PlacelessFinding, nearest, quoted
from steering.policy.site.plan import AttachmentKind, Plan

# Addresses that are not routed on the Internet: RFC 1122, 1918, 6598, 3927, 5771, 1112; RFC 4291, 4193. Documentation
# prefixes (RFC 5737, 3849) are allowed: labs and examples use them as public ones.
NOT_ROUTED = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "224.0.0.0/3", "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip


def mcp_problems(plan: Plan) -> Iterator[PlacelessFinding]:
    """Unknown access networks, and public addresses that are not the MCP's own or not routed (D-6.2d)."""
    known = {a.name for a in plan.attachments if a.kind is AttachmentKind.ACCESS}
    for number, mcp in enumerate(plan.file.mcps):
        path = ("mcps", number)
        title = f"MCP {quoted(mcp.name)}"
        if "access_networks" not in plan.lost:
            for place, name in enumerate(mcp.access_networks or ()):
                if name not in known:
                    message = f"{title} is reached from access network {quoted(name)}, which the site has not"
                    where = (*path, "access_networks", place)
                    yield PlacelessFinding(where, Code.UNKNOWN_ACCESS, message, nearest(name, known))
        if mcp.probe.port is not None and mcp.gateways is not None:
            families = {gateway.version for gateway in mcp.gateways}
            if families.isdisjoint(address.version for address in mcp.addresses):
                message = (
                    f"{title} is probed from a gateway of its own, and none has the family of its addresses"
                )
                yield PlacelessFinding((*path, "probe", "port"), Code.BAD_VALUE, message)
        for place, address in enumerate(mcp.public_addresses or ()):
            where = (*path, "public_addresses", place)
            if address not in mcp.addresses:
                message = f"{title} has no address {address}: list it under 'addresses' too"
                yield PlacelessFinding(where, Code.NOT_PUBLIC, message)
            elif not routed(address):
                message = (
                    f"{title} cannot be reached from the Internet at {address}, a private or special address"
                )
                yield PlacelessFinding(where, Code.NOT_PUBLIC, message)


def routed(address: Address) -> bool:
    """Whether an address can be reached from the Internet."""
    return not any(address in network for network in NOT_ROUTED if network.version == address.version)
