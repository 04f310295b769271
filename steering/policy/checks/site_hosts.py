"""Findings about static hosts of the site file: each has a port and a prefix of its network, and is listed once."""

from collections.abc import Iterator

from steering.model.network import HostLearning
from steering.policy.language.findings import Code, Path, PlacelessFinding
from steering.policy.site.plan import AttachmentKind, Plan, PlannedAttachment
from steering.policy.site.schema import AccessNetworkFile, GatewayFile


def host_problems(plan: Plan) -> Iterator[PlacelessFinding]:
    """Static hosts that are impossible, and static hosts of networks whose `hosts` is not static."""
    accesses = {item.name: item for item in plan.file.access_networks}
    gateways = {item.name: item for item in plan.file.gateways}
    for attachment in plan.attachments:
        if attachment.kind is AttachmentKind.ACCESS:
            yield from _of_access(attachment, accesses[attachment.name])
        elif attachment.kind is AttachmentKind.GATEWAY:
            yield from _of_gateway(attachment, gateways[attachment.name])


def _of_gateway(attachment: PlannedAttachment, item: GatewayFile) -> Iterator[PlacelessFinding]:
    if item.hosts in (HostLearning.STATIC, HostLearning.DHCP):
        message = (
            f"hosts of {attachment.title} are learned or probed: only access networks have {item.hosts} ones"
        )
        yield PlacelessFinding((*attachment.path, "hosts"), Code.BAD_VALUE, message)


def _of_access(attachment: PlannedAttachment, item: AccessNetworkFile) -> Iterator[PlacelessFinding]:
    path: Path = (*attachment.path, "static_hosts")
    is_static = item.hosts is HostLearning.STATIC
    if item.static_hosts and not is_static:
        message = f"{attachment.title} names its hosts, which counts with 'hosts: static' alone"
        yield PlacelessFinding(path, Code.CONTRADICTION, message)
    if is_static and not item.static_hosts:
        message = f"{attachment.title} has 'hosts: static' and names none: nobody can be there"
        yield PlacelessFinding((*attachment.path, "hosts"), Code.CONTRADICTION, message)
    ports = {port.written for port in attachment.ports}
    if (item.hosts is HostLearning.DHCP) != bool(item.dhcp_ports):
        message = f"{attachment.title} needs both: 'hosts: dhcp', and 'dhcp_ports', where its server is"
        yield PlacelessFinding((*attachment.path, "hosts"), Code.CONTRADICTION, message)
    for number, port in enumerate(item.dhcp_ports):
        if port not in ports:
            message = f"{port} is no port of {attachment.title}, so that no DHCP server of it is there"
            yield PlacelessFinding((*attachment.path, "dhcp_ports", number), Code.UNKNOWN_PORT, message)
    seen = set()
    for number, host in enumerate(item.static_hosts):
        where = (*path, number)
        if host.port not in ports:
            message = f"{host.port} of host {host.address} is no port of {attachment.title}"
            yield PlacelessFinding((*where, "port"), Code.UNKNOWN_PORT, message)
        if not any(host.address in prefix.value for prefix in attachment.prefixes):
            message = f"host {host.address} is in none of the prefixes of {attachment.title}"
            yield PlacelessFinding((*where, "address"), Code.BAD_VALUE, message)
        if any(host.address == gateway.value for gateway in attachment.gateways):
            message = f"host {host.address} is the virtual gateway of {attachment.title}"
            yield PlacelessFinding((*where, "address"), Code.DUPLICATE_ADDRESS, message)
        if host.address in seen:
            message = f"{attachment.title} names host {host.address} twice"
            yield PlacelessFinding((*where, "address"), Code.DUPLICATE_ADDRESS, message)
        seen.add(host.address)
