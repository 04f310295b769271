"""DHCP leases, and the check whether a host may have an address (`hosts: dhcp`, `hosts: static`)."""

from collections.abc import Mapping
from typing import NamedTuple

from steering.model.ids import WaypointId
from steering.model.network import AccessNetwork, Attachment, HostLearning


class Lease(NamedTuple):
    """The waypoint and the MAC (`client`) that an address is leased to, and until when (the engine's clock)."""

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
    """Whether a host with a MAC behind a port may have an address. `known`: address -> MAC of the hosts that are known
    behind the port."""
    part, port = attachment.part, attachment.waypoint.port
    if not isinstance(part, AccessNetwork):
        return True
    if part.hosts is HostLearning.DHCP and len(address) == 4:
        lease = leases.get(address)
        if lease is None:  # a host that was known before keeps the address until it is leased
            return port in part.dhcp_ports or known.get(address) == mac
        return (lease.waypoint, lease.client) == (attachment.waypoint.id, mac)
    if part.hosts is not HostLearning.STATIC:
        return True
    return any(
        host.address.packed == address and host.port == port and host.mac in (None, mac)
        for host in part.static_hosts
    )
