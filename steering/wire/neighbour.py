"""ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861).

The module reads messages of hosts. It writes requests, and the router advertisements of the virtual gateway. Every
frame is untagged Ethernet. Reading is bounded: one frame, at most MAX_OPTIONS options.
"""

from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from .checksum import internet_checksum, pseudo_header_v6
from .errors import WireError, WireRefusal

ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD
ICMPV6 = 58
MAX_OPTIONS = 16
BROADCAST = b"\xff" * 6
ALL_NODES = b"\xff\x02" + b"\0" * 13 + b"\x01"
ALL_NODES_MAC = b"\x33\x33\x00\x00\x00\x01"
GATEWAY_LINK_LOCAL = (
    b"\xfe\x80" + b"\0" * 13 + b"\x01"
)  # fe80::1, the link-local address of every virtual gateway
ROUTER_LIFETIME = 1800  # seconds
VALID_LIFETIME = 2_592_000  # of a prefix, seconds; RFC 4861 6.2.1
PREFERRED_LIFETIME = 604_800  # of a prefix, seconds; RFC 4861 6.2.1

_ETHERNET_LENGTH = 14
_ND = 54  # offset of ICMPv6 when nothing stands between it and the IPv6 header
_ARP = Struct(">HHBBH6s4s6s4s")
_IPV6 = Struct(">IHBB16s16s")
_ROUTER_SOLICITATION, _ROUTER_ADVERTISEMENT = 133, 134
_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT = 135, 136
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER, _PREFIX = 1, 2, 3


class NeighbourKind(IntEnum):
    """Which message of ARP or neighbour discovery was read."""

    ARP_REQUEST = 1
    ARP_REPLY = 2
    ROUTER_SOLICITATION = 3
    NEIGHBOUR_SOLICITATION = 4
    NEIGHBOUR_ADVERTISEMENT = 5


class NeighbourMessage(NamedTuple):
    """One message: the host with `address` (4 or 16 bytes) has the link address `mac` (6 bytes).

    `address` is all zero when the sender has none yet (ARP probe, duplicate-address detection, early router
    solicitation). `mac` is b"" when the message names none. For a router solicitation without a link-layer option,
    `mac` is the frame's source. `target` is the address that the message asks for or advertises, b"" for router
    solicitations.
    """

    kind: NeighbourKind
    address: bytes
    mac: bytes
    target: bytes

    @property
    def tells(self) -> bool:
        """Whether the message tells the MAC of an address that is in use."""
        return bool(self.mac) and any(self.address)


def read_neighbour(frame: bytes) -> NeighbourMessage:
    """Read a frame with ARP, or with a neighbour solicitation, neighbour advertisement or router solicitation.

    Raises WireError for any other frame and for a malformed message.
    """
    if len(frame) < _ETHERNET_LENGTH:
        raise WireError(WireRefusal.TRUNCATED)
    ethertype = frame[12] << 8 | frame[13]
    if ethertype == ETH_ARP:
        return _read_arp(frame)
    if ethertype == ETH_IPV6:
        return _read_nd(frame)
    raise WireError(WireRefusal.NOT_IP)


def _read_arp(frame: bytes) -> NeighbourMessage:
    if len(frame) < _ETHERNET_LENGTH + _ARP.size:
        raise WireError(WireRefusal.TRUNCATED)
    hardware, protocol, hardware_size, protocol_size, operation, mac, address, _, target = _ARP.unpack_from(
        frame, _ETHERNET_LENGTH
    )
    if (hardware, protocol, hardware_size, protocol_size) != (1, 0x0800, 6, 4) or operation not in (1, 2):
        raise WireError(WireRefusal.BAD_VALUE)
    return NeighbourMessage(NeighbourKind(operation), address, _unicast(mac), target)


def _unicast(mac: bytes) -> bytes:
    """A MAC that a host may have. Raises WireError for a group address and for zero."""
    if mac[0] & 1 or not any(mac):
        raise WireError(WireRefusal.BAD_VALUE)
    return mac


def _read_nd(frame: bytes) -> NeighbourMessage:
    if len(frame) < _ND + 8:
        raise WireError(WireRefusal.TRUNCATED)
    word, length, following, hops, src, dst = _IPV6.unpack_from(frame, _ETHERNET_LENGTH)
    if word >> 28 != 6:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    # RFC 4861 6.1, 7.1: hop limit 255 proves that no router forwarded the packet, and no extension header may come
    # before ICMPv6.
    if following != ICMPV6 or hops != 255:
        raise WireError(WireRefusal.BAD_VALUE)
    if length < 8:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    end = _ND + length
    if end > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    message = frame[_ND:end]
    if message[1] or internet_checksum(pseudo_header_v6(src, dst, length, ICMPV6) + message):
        raise WireError(WireRefusal.BAD_VALUE)
    return _read_nd_message(message, src, frame[6:12])


def _read_nd_message(message: bytes, src: bytes, sender: bytes) -> NeighbourMessage:
    if message[0] == _ROUTER_SOLICITATION:
        mac = _link_layer_option(message, 8, _SOURCE_LINK_LAYER) or _unicast(sender)
        return NeighbourMessage(NeighbourKind.ROUTER_SOLICITATION, src, mac, b"")
    if message[0] not in (_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT):
        raise WireError(WireRefusal.BAD_VALUE)
    if len(message) < 24:
        raise WireError(WireRefusal.TRUNCATED)
    target = message[8:24]
    if target[0] == 0xFF:
        raise WireError(WireRefusal.BAD_VALUE)
    if message[0] == _NEIGHBOUR_SOLICITATION:
        mac = _link_layer_option(message, 24, _SOURCE_LINK_LAYER)
        if mac and not any(src):
            raise WireError(WireRefusal.BAD_VALUE)  # RFC 4861 7.1.1
        return NeighbourMessage(NeighbourKind.NEIGHBOUR_SOLICITATION, src, mac, target)
    mac = _link_layer_option(message, 24, _TARGET_LINK_LAYER)
    return NeighbourMessage(NeighbourKind.NEIGHBOUR_ADVERTISEMENT, target, mac, target)


def _link_layer_option(message: bytes, at: int, wanted: int) -> bytes:
    """The MAC in option `wanted`, b"" where the message has no such option. The whole list is checked."""
    found = b""
    for _ in range(MAX_OPTIONS):
        if at == len(message):
            return found
        if at + 2 > len(message):
            raise WireError(WireRefusal.OPTION_OVERRUN)
        size = message[at + 1] * 8
        if not size:
            raise WireError(WireRefusal.OPTION_LENGTH_ZERO)
        if at + size > len(message):
            raise WireError(WireRefusal.OPTION_OVERRUN)
        if message[at] == wanted and not found:
            if size != 8:
                raise WireError(WireRefusal.BAD_OPTION_LENGTH)
            found = _unicast(message[at + 2 : at + 8])
        at += size
    if at == len(message):
        return found
    raise WireError(WireRefusal.OPTIONS_TOO_LONG)


def arp_request(src_mac: bytes, src_ip: bytes, target: bytes) -> bytes:
    """Broadcast frame that asks who has `target`. MAC of 6 bytes, addresses of 4."""
    _sized(src_mac, 6)
    body = _ARP.pack(1, 0x0800, 6, 4, 1, src_mac, _sized(src_ip, 4), b"\0" * 6, _sized(target, 4))
    return BROADCAST + src_mac + ETH_ARP.to_bytes(2, "big") + body


def neighbour_solicitation(src_mac: bytes, src_ip: bytes, target: bytes) -> bytes:
    """Frame to the solicited-node group of `target`. MAC of 6 bytes, addresses of 16."""
    _sized(target, 16)
    group = b"\xff\x02" + b"\0" * 9 + b"\x01\xff" + target[13:]
    option = bytes((_SOURCE_LINK_LAYER, 1)) + _sized(src_mac, 6)
    message = bytes((_NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0)) + target + option
    return _nd_frame(b"\x33\x33\xff" + target[13:], src_mac, src_ip, group, message)


def router_advertisement(
    src_mac: bytes,
    prefixes: Sequence[tuple[bytes, int]],
    dst_mac: bytes = ALL_NODES_MAC,
    dst_ip: bytes = ALL_NODES,
    *,
    on_link: bool = True,
    autonomous: bool = True,
) -> bytes:
    """Frame of the virtual gateway at fe80::1 (RFC 4861 4.2). `prefixes`: address (16 bytes) and length of each.

    `on_link`: hosts reach the addresses of every prefix directly. `autonomous`: hosts make addresses from every prefix,
    which they do for a length of 64 only.
    """
    parts = [
        # hop limit 64, no managed configuration, router lifetime, reachable and retransmission time unspecified
        bytes((_ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0)) + ROUTER_LIFETIME.to_bytes(2, "big") + b"\0" * 8,
        bytes((_SOURCE_LINK_LAYER, 1)) + _sized(src_mac, 6),
    ]
    for address, length in prefixes:
        if not 0 <= length <= 128:
            raise WireError(WireRefusal.BAD_VALUE)
        parts.append(
            bytes((_PREFIX, 4, length, on_link << 7 | autonomous << 6))
            + VALID_LIFETIME.to_bytes(4, "big")
            + PREFERRED_LIFETIME.to_bytes(4, "big")
            + b"\0" * 4
            + _sized(address, 16)
        )
    return _nd_frame(dst_mac, src_mac, GATEWAY_LINK_LOCAL, dst_ip, b"".join(parts))


def _nd_frame(dst_mac: bytes, src_mac: bytes, src: bytes, dst: bytes, message: bytes) -> bytes:
    """Ethernet, IPv6 with hop limit 255, and `message` with its checksum (bytes 2 and 3) filled in."""
    _sized(dst_mac, 6), _sized(src, 16), _sized(dst, 16)
    total = internet_checksum(pseudo_header_v6(src, dst, len(message), ICMPV6) + message)
    header = _IPV6.pack(6 << 28, len(message), ICMPV6, 255, src, dst)
    ethernet = dst_mac + src_mac + ETH_IPV6.to_bytes(2, "big")
    return ethernet + header + message[:2] + total.to_bytes(2, "big") + message[4:]


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise WireError(WireRefusal.BAD_VALUE)
    return value
