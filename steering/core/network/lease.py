"""Who may have an address where a network says so for each host: by its site file, or by the leases of its DHCP server."""

from collections.abc import Mapping
from typing import NamedTuple

from steering.model.ids import WaypointId
from steering.model.network import AccessNetwork, Attachment, HostLearning


class Lease(NamedTuple):
    """Whose an address is, and until when."""

    waypoint: WaypointId
    client: bytes
    until: float


def may_have(
    attachment: Attachment,
    address: bytes,
    mac: bytes,
    leases: Mapping[bytes, Lease],
    known: Mapping[bytes, bytes],
) -> bool:
    """Whether a host behind a port may have an address. `known`: address -> MAC of those behind the port."""
    part, port = attachment.part, attachment.waypoint.port
    if not isinstance(part, AccessNetwork):
        return True
    if part.hosts is HostLearning.DHCP and len(address) == 4:
        lease = leases.get(address)
        if lease is None:  # who was there before this controller keeps it until the server says otherwise
            return port in part.dhcp_ports or known.get(address) == mac
        return (lease.waypoint, lease.client) == (attachment.waypoint.id, mac)
    if part.hosts is not HostLearning.STATIC:
        return True
    return any(
        host.address.packed == address and host.port == port and host.mac in (None, mac)
        for host in part.static_hosts
    )
