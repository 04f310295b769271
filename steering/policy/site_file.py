"""Reads site files: `load_site`, `parse_site`, `site_of`."""

from dataclasses import replace
from ipaddress import IPv6Network
from typing import Any

from steering.model.ids import McpId
from steering.model.network import (
    AccessNetwork,
    Address,
    Gateway,
    Link,
    Mcp,
    Probe,
    Site,
    StaticHost,
    VirtualAddress,
    waypoint_numbers,
)
from steering.model.numbers import Numbers, NumbersByName, numbered
from steering.model.source import SourceMode
from steering.policy.checks.site_addresses import address_problems
from steering.policy.checks.site_hosts import host_problems
from steering.policy.checks.site_mcps import mcp_problems
from steering.policy.checks.site_topology import topology_problems
from steering.policy.checks.site_virtual import virtual_problems
from steering.policy.language.document import load_text, read_document
from steering.policy.language.fields import PortName, merged, switch_port
from steering.policy.language.findings import Code, Finding, PlacelessFinding
from steering.policy.language.validate import Salvage, check, salvage
from steering.policy.site.plan import AttachmentKind, Plan, PlannedAttachment, plan
from steering.policy.site.schema import AccessNetworkFile, GatewayFile, McpFile, SiteFile

NONE = Numbers()  # no name has a number yet


def load_site(path: str) -> tuple[Site | None, list[Finding]]:
    """Read a site file. Returns a site and no findings, or None and all findings in the file's order."""
    text, findings = load_text(path)
    return (None, findings) if text is None else parse_site(text, path)


def parse_site(text: str, filename: str, kept: Numbers = NONE) -> tuple[Site | None, list[Finding]]:
    """Like `load_site`, for a text. `filename`: its name in findings. `kept`: the numbers that names have already."""
    document = read_document(text, filename)
    data = document.data
    if data is None:
        return None, document.report([])
    if "policy" in data and "site" not in data:
        wrong = PlacelessFinding(
            ("policy",), Code.WRONG_FILE, "this is a policy file, not a site file", at_key=True
        )
        return None, document.report([wrong])
    # A section that is an alias counts as lost, like one that the schema refused.
    made, problems = _examined(data, {str(path[0]) for path in document.broken if path})
    findings = document.report(problems)
    if findings or made is None:
        return None, findings
    return _site(made, kept), []


def site_of(data: dict[str, Any], kept: Numbers) -> tuple[Site | None, list[PlacelessFinding]]:
    """Like `parse_site`, for the data of a site file. Problems have paths, but no lines."""
    made, problems = _examined(data, set())
    return (None, problems) if problems or made is None else (_site(made, kept), [])


def _examined(data: dict[str, Any], broken: set[str]) -> tuple[Plan | None, list[PlacelessFinding]]:
    file, problems = check(SiteFile, data)
    left = Salvage(file, {}, set()) if file else salvage(SiteFile, data, problems, {"site": 1})
    if left.model is None:
        return None, problems
    made = plan(left.model, left.numbers, left.lost | broken)
    problems += [*made.problems, *topology_problems(made), *address_problems(made), *mcp_problems(made)]
    return made, [*problems, *virtual_problems(made), *host_problems(made)]


def _site(made: Plan, kept: Numbers) -> Site:
    """The model's records of a file without findings, and all numbers."""
    mcps = numbered((item.name for item in made.file.mcps), kept.mcps)
    site = _records(made, mcps, Numbers(mcps, kept.waypoints))
    return replace(site, numbers=Numbers(mcps, waypoint_numbers(site)))


def _records(made: Plan, mcps: NumbersByName, numbers: Numbers) -> Site:
    placed = {attachment.path: attachment for attachment in made.attachments}
    file = made.file
    return Site(
        access_networks=tuple(
            _access(item, placed["access_networks", n]) for n, item in enumerate(file.access_networks)
        ),
        gateways=tuple(_gateway(item, placed["gateways", n]) for n, item in enumerate(file.gateways)),
        mcps=tuple(_mcp(item, placed["mcps", n], McpId(mcps[item.name])) for n, item in enumerate(file.mcps)),
        links=tuple(
            Link(
                link.ports[0].ref,
                link.ports[1].ref,
                link.weight,
                _bits(link.capacity_mbit),
                link.bfd,
            )
            for link in made.links
        ),
        switches=made.switches,
        switch_certificates=dict(file.switch_certificates),
        unknown_switches=file.unknown_switches == "allow",
        discover=made.discover,
        link_ports=None if file.link_ports is None else tuple(port.ref for port in made.link_ports),
        aaa=file.aaa.compiled(),
        virtual=tuple(
            VirtualAddress(item.address, tuple(McpId(mcps[name]) for name in item.mcps), item.port)
            for item in file.virtual_addresses
        ),
        numbers=numbers,
    )


def _virtual(attachment: PlannedAttachment) -> tuple[Address, ...]:
    """The addresses of the virtual gateway. An access network has one for each prefix, in the order of the prefixes."""
    values = [gateway.value for gateway in attachment.gateways]
    if attachment.kind is AttachmentKind.ACCESS:
        return tuple(next(v for v in values if v in prefix.value) for prefix in attachment.prefixes)
    return tuple(dict.fromkeys(values))


def _access(item: AccessNetworkFile, placed: PlannedAttachment) -> AccessNetwork:
    return AccessNetwork(
        name=item.name,
        type=item.type,
        trust=item.trust,
        prefixes=tuple(item.prefixes),
        ports=tuple(port.ref for port in placed.ports),
        gateways=_virtual(placed),
        capacity=_bits(item.capacity_mbit),
        hosts=item.hosts,
        static_hosts=_static_hosts(item, placed),
        addresses_per_host=item.addresses_per_host,
        binds_prefixes=item.ipv6_binding == "prefix",
        dhcp_ports=tuple(port.ref for port in placed.ports if port.written in item.dhcp_ports),
    )


def _static_hosts(item: AccessNetworkFile, placed: PlannedAttachment) -> tuple[StaticHost, ...]:
    ports = {port.written: port.ref for port in placed.ports}
    return tuple(StaticHost(host.address, ports[host.port], host.mac) for host in item.static_hosts)


def _bits(mbit: float | None) -> int | None:
    return None if mbit is None else int(mbit * 1_000_000)


def _zone(hop: Address) -> PortName | None:
    """The port of a link-local next hop."""
    zone = getattr(hop, "scope_id", None)
    return None if zone is None else switch_port(zone)


def _gateway(item: GatewayFile, placed: PlannedAttachment) -> Gateway:
    ports = {port.written: port.ref for port in placed.ports}
    return Gateway(
        name=item.name,
        prefixes=tuple(item.prefixes),
        ports=tuple(port.ref for port in placed.ports),
        gateways=_virtual(placed),
        next_hops=tuple(hop for hop in item.next_hops or () if _zone(hop) is None),
        link_hops=tuple(
            (ports[zone], hop) for hop in item.next_hops or () if (zone := _zone(hop)) is not None
        ),
        hosts=item.hosts,
    )


def _mcp(item: McpFile, placed: PlannedAttachment, number: McpId) -> Mcp:
    prefixes_kept = item.source_mode.ipv6 is SourceMode.IPV6_PREFIX
    return Mcp(
        name=item.name,
        type=item.type,
        inside=placed.ports[0].ref,
        outside=placed.ports[-1].ref,
        interception=item.interception,
        addresses=tuple(item.addresses),
        gateways=_virtual(placed),
        source_modes=item.source_mode,
        capacity_sessions=item.capacity.sessions,
        tcp_ports=merged(item.tcp_ports),
        pools=tuple(item.pools),
        nat64=item.nat64 if isinstance(item.nat64, IPv6Network) else None,
        referral_ports=merged(item.referral_ports) if prefixes_kept else (),
        location=item.location or "",
        access_networks=frozenset(item.access_networks or ()),
        public_addresses=tuple(item.public_addresses or ()),
        operator=item.operator,
        probe=Probe(item.probe.port, item.probe.interval, item.probe.misses),
        number=number,
    )
