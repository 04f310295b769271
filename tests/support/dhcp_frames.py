"""DHCP frames of clients and servers, and a site whose hosts are told by DHCP."""

from dataclasses import replace
from ipaddress import IPv4Address

from steering.model.network import HostLearning, PortRef, Site
from steering.wire.dhcp import CLIENT_PORT, SERVER_PORT, DhcpType
from tests.support.sites import link, off_path_site

HERE, THERE, TRUSTED = (1, 1), (2, 7), (3, 7)
CLIENT = bytes.fromhex("020000000101")
DHCP_SERVER = "10.1.0.53"
_SENT_BY_CLIENTS = (DhcpType.DISCOVER, DhcpType.REQUEST, DhcpType.DECLINE, DhcpType.RELEASE, DhcpType.INFORM)


def dhcp_frame(
    kind: int, *, client: bytes = CLIENT, own: str = "0.0.0.0", given: str = "0.0.0.0", lease: int | None = None,
    options: bytes = b"", hardware: int = 1, transaction: int = 7, identifier: bytes = b"",
) -> bytes:  # fmt: skip
    """A broadcast frame in IPv4."""
    asked = kind in _SENT_BY_CLIENTS
    told = b"\x35\x01" + bytes((kind,)) + (b"" if lease is None else b"\x33\x04" + lease.to_bytes(4, "big"))
    told += b"" if asked else b"\x36\x04" + IPv4Address(DHCP_SERVER).packed
    told += b"\x3d" + bytes((len(identifier),)) + identifier if identifier else b""
    addresses = IPv4Address(own).packed + IPv4Address(given).packed + bytes(8)
    head = bytes((1 if asked else 2, hardware, 6, 0)) + transaction.to_bytes(4, "big") + bytes(4) + addresses
    message = head + client + bytes(10 + 64 + 128) + b"\x63\x82\x53\x63" + told + options + b"\xff"
    ports = (CLIENT_PORT, SERVER_PORT) if asked else (SERVER_PORT, CLIENT_PORT)
    udp = b"".join(n.to_bytes(2, "big") for n in (*ports, 8 + len(message), 0)) + message
    ip = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + bytes(4) + b"\x40\x11\0\0" + bytes(4) + b"\xff" * 4
    return b"\xff" * 6 + (client if asked else b"\2\0\0\0\0\x53") + b"\x08\0" + ip + udp


def dhcp_site() -> Site:
    """The LTE network has three ports, and its server is behind the last."""
    site = off_path_site()
    ports = tuple(PortRef(*one) for one in (HERE, THERE, TRUSTED))
    lte = replace(site.access_networks[0], ports=ports, hosts=HostLearning.DHCP, dhcp_ports=ports[2:])
    return replace(
        site, access_networks=(lte, site.access_networks[1]), links=(*site.links, link("2:9", "3:9"))
    )
