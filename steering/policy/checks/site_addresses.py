"""Findings about addresses: prefixes, MCP addresses, virtual gateways, next hops."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import TypeGuard

from steering.model.network import Address, Network
from steering.policy.checks.site_sources import source_problems
from steering.policy.language.findings import Code, Path, PlacelessFinding
from steering.policy.site.plan import AttachmentKind, PlacedAddress, Plan, PlannedAttachment


def address_problems(plan: Plan) -> Iterator[PlacelessFinding]:
    """All findings of this module, in no order."""
    yield from _containment(plan)
    yield from _everything(plan)
    yield from source_problems(plan)
    yield from _mcp_addresses(plan)
    for attachment in plan.attachments:
        if attachment.kind is AttachmentKind.MCP:
            yield from _mcp_families(attachment)
        else:
            yield from _gateways_of(attachment)
            yield from _next_hops(attachment)


@dataclass(frozen=True, slots=True)
class _Item:
    network: Network
    path: Path
    owner: PlannedAttachment
    code: Code  # the finding for a prefix inside another one
    title: str
    implied: bool = False

    @property
    def order(self) -> tuple[int, int, int]:
        return (self.network.version, int(self.network.network_address), self.network.prefixlen)


def _containment(plan: Plan) -> Iterator[PlacelessFinding]:
    """Prefixes inside others. It goes once over all prefixes in order and keeps those that have not ended on a stack:
    a prefix that begins inside another lies in it."""
    found: dict[tuple[Path, bool], PlacelessFinding] = {}
    around: list[_Item] = []
    for item in sorted(_items(plan), key=lambda one: one.order):
        while around and not _begins_in(item.network, around[-1].network):
            around.pop()
        if around and (item.code is Code.OVERLAPPING_PREFIX or around[-1].owner is not item.owner):
            outer = around[-1]
            same = "is" if outer.network == item.network else "lies in"
            message = f"{item.title} {same} {outer.network} of {outer.owner.title}"
            found[item.path, item.implied] = PlacelessFinding(item.path, item.code, message)
        if item.code is Code.OVERLAPPING_PREFIX:
            around.append(item)
    for (path, implied), problem in found.items():
        # The default gateway of an MCP with a misplaced address has no finding of its own.
        if not (implied and (path, False) in found):
            yield problem


def _begins_in(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and int(inner.network_address) <= int(outer.broadcast_address)


def _items(plan: Plan) -> Iterator[_Item]:
    for owner in plan.attachments:
        everything = False
        for prefix in owner.prefixes:
            everything = everything or not prefix.value.prefixlen
            if prefix.value.prefixlen:  # a gateway's /0 may contain all others
                title = f"prefix {prefix.value} of {owner.title}"
                yield _Item(prefix.value, prefix.path, owner, Code.OVERLAPPING_PREFIX, title)
        for address in owner.addresses:
            title = f"address {address.value} of {owner.title}"
            yield _Item(ip_network(address.value), address.path, owner, Code.MCP_IN_PREFIX, title)
        for pool in owner.pools:
            title = f"pool {pool.value} of {owner.title}"
            yield _Item(pool.value, pool.path, owner, Code.OVERLAPPING_PREFIX, title)
        for hop in (hop for hop in owner.next_hops if not _is_of_a_link(hop.value)):
            title = f"next hop {hop.value} of {owner.title}"
            yield _Item(ip_network(hop.value), hop.path, owner, Code.NEXT_HOP, title)
        if owner.kind is AttachmentKind.MCP or everything:
            for gateway in owner.gateways:
                title = f"{_gateway_title(gateway)} of {owner.title}"
                network = ip_network(gateway.value)
                yield _Item(network, gateway.path, owner, Code.GATEWAY_IN_PREFIX, title, gateway.implied)


def _gateway_title(gateway: PlacedAddress) -> str:
    return f"{'default' if gateway.implied else 'virtual'} gateway {gateway.value}"


def _everything(plan: Plan) -> Iterator[PlacelessFinding]:
    """Wrong /0 prefixes: each family has one gateway with a /0 at most, and no access network has one."""
    owners: dict[int, PlannedAttachment] = {}
    for attachment in plan.attachments:
        for prefix in attachment.prefixes:
            if prefix.value.prefixlen:
                continue
            if attachment.kind is AttachmentKind.ACCESS:
                message = f"{attachment.title} cannot be everything ({prefix.value}): only a gateway can"
                yield PlacelessFinding(prefix.path, Code.OVERLAPPING_PREFIX, message)
                continue
            if prefix.value.version in owners:
                other = owners[prefix.value.version].title
                message = f"prefix {prefix.value} of {attachment.title} is {prefix.value} of {other}"
                yield PlacelessFinding(prefix.path, Code.OVERLAPPING_PREFIX, message)
            owners.setdefault(prefix.value.version, attachment)


def _mcp_addresses(plan: Plan) -> Iterator[PlacelessFinding]:
    """Wrong addresses of MCPs: an address belongs to one MCP, and is not that of a virtual gateway."""
    owners: dict[Address, PlannedAttachment] = {}
    for attachment in plan.attachments:
        for address in attachment.addresses:
            if address.value in owners:
                message = f"{attachment.title} has address {address.value}, which {owners[address.value].title} has already"
                yield PlacelessFinding(address.path, Code.DUPLICATE_ADDRESS, message)
            owners.setdefault(address.value, attachment)
    for attachment in plan.attachments:
        for gateway in attachment.gateways:
            if gateway.value in owners:
                message = f"{_gateway_title(gateway)} of {attachment.title} is an address of {owners[gateway.value].title}"
                hint = ": say 'gateways'" if gateway.implied else ""
                yield PlacelessFinding(gateway.path, Code.GATEWAY_IS_MCP, message + hint)


def _mcp_families(mcp: PlannedAttachment) -> Iterator[PlacelessFinding]:
    families = {gateway.value.version for gateway in mcp.gateways}
    for address in mcp.addresses:
        if address.value.version not in families:
            message = f"{mcp.title} has an IPv{address.value.version} address and no IPv{address.value.version} gateway"
            yield PlacelessFinding(address.path, Code.GATEWAY_MISSING, message)


def _gateways_of(attachment: PlannedAttachment) -> Iterator[PlacelessFinding]:
    """Wrong virtual gateways: each prefix has one, whose address is one that a machine could have in the prefix."""
    for gateway in attachment.gateways:
        homes = [p.value for p in attachment.prefixes if gateway.value in p.value]
        if not homes:
            message = f"{_gateway_title(gateway)} of {attachment.title} is in none of its prefixes"
            yield PlacelessFinding(gateway.path, Code.GATEWAY_OUTSIDE_PREFIX, message)
        for home in homes:
            if home.prefixlen and _not_a_machine(gateway.value, home):
                message = f"{gateway.value} cannot be a machine's address in {home}"
                yield PlacelessFinding(gateway.path, Code.BAD_VALUE, message)
    for prefix in attachment.prefixes:
        inside = [
            g
            for g in attachment.gateways
            if g.value in prefix.value and not (g.implied and g.path != prefix.path)
        ]
        if not inside and (prefix.value.prefixlen or attachment.kind is AttachmentKind.GATEWAY):
            hint = " and no first address" if not prefix.value.prefixlen else ""
            message = f"prefix {prefix.value} of {attachment.title} has no gateway{hint}: say 'gateways'"
            yield PlacelessFinding(prefix.path, Code.GATEWAY_MISSING, message)
        elif len(inside) > 1 and attachment.kind is AttachmentKind.ACCESS:
            message = f"prefix {prefix.value} of {attachment.title} has more than one gateway"
            yield PlacelessFinding(inside[1].path, Code.BAD_VALUE, message)


def _not_a_machine(address: Address, network: Network) -> bool:
    return address == network.network_address or (
        network.version == 4 and address == network.broadcast_address
    )


def _is_of_a_link(value: Address) -> TypeGuard[IPv6Address]:
    return isinstance(value, IPv6Address) and value.scope_id is not None


def _next_hops(gateway: PlannedAttachment) -> Iterator[PlacelessFinding]:
    own = {virtual.value for virtual in gateway.gateways}
    ports = {str(port.written) for port in gateway.ports}
    zones = {hop.value.scope_id for hop in gateway.next_hops if _is_of_a_link(hop.value)}
    if zones and len(zones) < len(ports) and all(_is_of_a_link(hop.value) for hop in gateway.next_hops):
        message = f"{gateway.title} has a port without a next hop: {', '.join(sorted(ports - zones))}"
        yield PlacelessFinding(gateway.next_hops[0].path, Code.NEXT_HOP, message)
    for hop in gateway.next_hops:
        if _is_of_a_link(hop.value):
            if hop.value.scope_id not in ports:
                message = f"next hop {hop.value} of {gateway.title} is behind none of its ports"
                yield PlacelessFinding(hop.path, Code.NEXT_HOP, message)
            elif all(prefix.value.version == 4 for prefix in gateway.prefixes):
                message = f"next hop {hop.value} of {gateway.title}, which has no IPv6 prefix"
                yield PlacelessFinding(hop.path, Code.NEXT_HOP, message)
            continue
        if not any(hop.value in prefix.value for prefix in gateway.prefixes):
            message = f"next hop {hop.value} of {gateway.title} is in none of its prefixes"
            yield PlacelessFinding(hop.path, Code.NEXT_HOP, message)
        elif hop.value in own:
            yield PlacelessFinding(
                hop.path, Code.NEXT_HOP, f"next hop {hop.value} of {gateway.title} is its own virtual gateway"
            )
