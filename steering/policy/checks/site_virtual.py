"""Findings about virtual addresses: their MCPs, and other owners of the same address (N-5.2.1)."""

from collections.abc import Iterator

from steering.model.network import Address
from steering.policy.language.findings import Code, Path, PlacelessFinding, nearest, quoted
from steering.policy.site.plan import AttachmentKind, Plan


def virtual_problems(plan: Plan) -> Iterator[PlacelessFinding]:
    """Wrong virtual addresses. Each is given once, is not another's address, and names MCPs of the site.

    It may lie in an access network's prefix: entries then answer for it on the link. In a gateway's prefix (other
    than a default route) or in an MCP's pool it would be a server's address.
    """
    known = {attachment.name for attachment in plan.attachments if attachment.kind is AttachmentKind.MCP}
    taken = _taken(plan)
    for number, item in plan.virtual:
        path: Path = ("virtual_addresses", number)
        title = f"virtual address {item.address}"
        if item.address in taken:
            message = f"{title} is {taken[item.address]}"
            yield PlacelessFinding((*path, "address"), Code.DUPLICATE_ADDRESS, message)
        taken.setdefault(item.address, "given already")
        yield from _inside(plan, item.address, (*path, "address"), title)
        for place, name in enumerate(item.mcps):
            where: Path = (*path, "mcps", place)
            if name in item.mcps[:place]:
                yield PlacelessFinding(where, Code.DUPLICATE_NAME, f"{title} has MCP {quoted(name)} twice")
            elif name not in known and "mcps" not in plan.lost:
                message = f"{title}: no MCP is called {quoted(name)}"
                yield PlacelessFinding(where, Code.UNKNOWN_MCP, message, nearest(name, known))


def _taken(plan: Plan) -> dict[Address, str]:
    found: dict[Address, str] = {}
    for attachment in plan.attachments:
        for gateway in attachment.gateways:
            found[gateway.value] = f"a virtual gateway of {attachment.title}"
        for address in attachment.addresses:
            found[address.value] = f"the own address of {attachment.title}"
    return found


def _inside(plan: Plan, address: Address, path: Path, title: str) -> Iterator[PlacelessFinding]:
    for attachment in plan.attachments:
        prefixes = [] if attachment.kind is AttachmentKind.ACCESS else attachment.prefixes
        for placed in (*prefixes, *attachment.pools):
            if placed.value.prefixlen and address in placed.value:
                message = f"{title} lies in {placed.value} of {attachment.title}"
                yield PlacelessFinding(path, Code.MCP_IN_PREFIX, message)
