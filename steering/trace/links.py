"""Finds the IP datagram in a captured frame, after the link layer.

The link types are those that tcpdump and Wireshark write for IP traffic. Between the link layer and the datagram
there may be VLAN tags, MPLS labels, a PPPoE session header (RFC 2516), LLC with SNAP (RFC 1042) and a backbone
service tag (802.1ah), at most `MAX_SHIMS` of them together. Compressed headers (RFC 1144) and encrypted payloads are
refused as not-ip.
"""

from enum import IntEnum

from steering.wire.errors import WireError, WireRefusal
from steering.wire.segment import ETH_IPV4, ETH_IPV6, VLAN_TAGS, Buffer, u16

MAX_SHIMS = 8
_TAGS = VLAN_TAGS | {0x9200}  # 0x9200: an older number for stacked tags, which tcpdump reads too
_MPLS = frozenset((0x8847, 0x8848))  # unicast, multicast
_PPPOE_SESSION = 0x8864
_BACKBONE_TAG = 0x88E7
_LARGEST_LENGTH = 1500  # a field up to this is a length, and LLC follows; above, it is an EtherType (802.3)
_SNAP = b"\xaa\xaa\x03\0\0\0"  # LLC, then SNAP whose organisation 0 says that an EtherType follows
_PPP_PROTOCOLS = {0x0021: ETH_IPV4, 0x0057: ETH_IPV6, 0x0281: 0x8847, 0x0283: 0x8848}
_IP_VERSIONS = {4: ETH_IPV4, 6: ETH_IPV6}
# Numbers of address families: 2 is IPv4 everywhere; IPv6 is 10 on Linux, 23 on Windows, 24 on NetBSD and OpenBSD,
# 28 on FreeBSD, 30 on Darwin.
_FAMILIES = {2: ETH_IPV4, **dict.fromkeys((10, 23, 24, 28, 30), ETH_IPV6)}


class LinkType(IntEnum):
    """Link-layer types of capture files (tcpdump.org/linktypes.html)."""

    NULL = 0  # BSD loopback: the address family in the byte order of the host
    ETHERNET = 1
    PPP = 9
    RAW_OLD = 12  # DLT_RAW as most systems write it into files
    RAW_OPENBSD = 14  # DLT_RAW as OpenBSD writes it into files
    PPP_SERIAL = 50  # PPP or Cisco's HDLC
    PPPOE = 51  # begins with the PPPoE header
    RAW = 101
    CISCO_HDLC = 104
    LOOP = 108  # OpenBSD loopback: the address family in network byte order
    ENC = 109  # OpenBSD IPsec: address family, SPI, flags
    COOKED_V1 = 113
    PPP_PPPD = 166  # PPP whose address byte was replaced with the direction
    PPP_DIRECTION = 204  # a byte for the direction before PPP
    MPLS = 219
    IPV4 = 228
    IPV6 = 229
    COOKED_V2 = 276


def link_tag(frame: Buffer, link: int) -> bytes:
    """Link addresses, or interface and direction, which tell the two legs of a relay apart; b"" where they are
    unknown."""
    if link == LinkType.ETHERNET:
        return bytes(frame[:12])
    if link == LinkType.COOKED_V1:
        return bytes(frame[:2]) + bytes(frame[6:14])  # packet type, source address
    if link == LinkType.COOKED_V2:
        return bytes(frame[4:8]) + bytes(frame[10:20])  # interface, packet type, source address
    if link in (LinkType.PPP_PPPD, LinkType.PPP_DIRECTION):
        return bytes(frame[:1])
    return b""


def locate_ip(frame: Buffer, link: int) -> tuple[int, int]:
    """The EtherType after all tags and labels, and the offset of its payload.

    Raises WireError: unknown-link-type, not-ip (of address families and PPP protocols), too-many-tags, truncated.
    """
    ethertype, at = _after_link(frame, link)
    for _ in range(MAX_SHIMS + 1):
        if ethertype in _TAGS:
            ethertype, at = u16(frame, at + 2), at + 4
        elif ethertype in _MPLS:
            ethertype, at = _after_label(frame, at, ethertype)
        elif ethertype == _PPPOE_SESSION:
            ethertype, at = _after_pppoe(frame, at)
        elif ethertype == _BACKBONE_TAG:
            ethertype, at = u16(frame, at + 4 + 12), at + 4 + 14
        elif ethertype <= _LARGEST_LENGTH:
            if not _SNAP.startswith(bytes(frame[at : at + len(_SNAP)])):
                raise WireError(WireRefusal.NOT_IP)
            ethertype, at = u16(frame, at + 6), at + 8
        else:
            return ethertype, at
    raise WireError(WireRefusal.TOO_MANY_TAGS)


def _after_link(frame: Buffer, link: int) -> tuple[int, int]:
    match link:
        case LinkType.ETHERNET:
            return u16(frame, 12), 14
        case LinkType.COOKED_V1:
            return u16(frame, 14), 16
        case LinkType.COOKED_V2:
            return u16(frame, 0), 20
        case LinkType.RAW | LinkType.RAW_OLD | LinkType.RAW_OPENBSD | LinkType.IPV4 | LinkType.IPV6:
            return _by_version(frame, 0), 0
        case LinkType.NULL | LinkType.LOOP:
            return _by_family(frame), 4
        case LinkType.ENC:
            return _by_family(frame), 12
        case LinkType.PPP | LinkType.PPP_SERIAL:
            return _after_ppp(frame, 0)
        case LinkType.PPP_PPPD | LinkType.PPP_DIRECTION:
            return _after_ppp(frame, 2 if bytes(frame[1:2]) == b"\x03" else 1)
        case LinkType.CISCO_HDLC:
            return u16(frame, 2), 4
        case LinkType.PPPOE:
            return _PPPOE_SESSION, 0
        case LinkType.MPLS:
            return 0x8847, 0
    raise WireError(WireRefusal.UNKNOWN_LINK_TYPE)


def _by_version(frame: Buffer, at: int) -> int:
    """The EtherType of bytes that begin with an IP version. For others 0xFFFF, which is reserved."""
    if at >= len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    return _IP_VERSIONS.get(frame[at] >> 4, 0xFFFF)


def _by_family(frame: Buffer) -> int:
    """The EtherType of an address family in four bytes. Their order is that of the capturing host."""
    if len(frame) < 4:
        raise WireError(WireRefusal.TRUNCATED)
    head = bytes(frame[:4])
    little, big = int.from_bytes(head, "little"), int.from_bytes(head, "big")
    ethertype = _FAMILIES.get(little) or _FAMILIES.get(big)
    if ethertype is None:
        raise WireError(WireRefusal.NOT_IP)
    return ethertype


def _after_ppp(frame: Buffer, at: int) -> tuple[int, int]:
    """The EtherType and payload of PPP. Address and control may be missing, and a small protocol number may have one
    byte (RFC 1661 6.5, 6.6)."""
    head = bytes(frame[at : at + 2])
    if len(head) < 2:
        raise WireError(WireRefusal.TRUNCATED)
    if head in (b"\x0f\0", b"\x8f\0"):  # Cisco's HDLC, unicast and multicast
        return u16(frame, at + 2), at + 4
    if head == b"\xff\x03":
        at += 2
    if at >= len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    size = 1 if frame[at] & 1 else 2
    protocol = frame[at] if size == 1 else u16(frame, at)
    if protocol not in _PPP_PROTOCOLS:
        raise WireError(WireRefusal.NOT_IP)
    return _PPP_PROTOCOLS[protocol], at + size


def _after_pppoe(frame: Buffer, at: int) -> tuple[int, int]:
    """The EtherType and payload of PPPoE. Version and type are 1, and the code of session data is 0 (RFC 2516 4)."""
    if u16(frame, at) != 0x1100:
        raise WireError(WireRefusal.NOT_IP)
    return _after_ppp(frame, at + 6)


def _after_label(frame: Buffer, at: int, ethertype: int) -> tuple[int, int]:
    """The EtherType and payload after an MPLS label. After the last label the first nibble tells: 4 or 6 for IP, 0
    for a control word before Ethernet (RFC 4385)."""
    last = u16(frame, at + 2) & 0x0100
    at += 4
    if not last:
        return ethertype, at
    if at >= len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if frame[at] >> 4 == 0:
        return u16(frame, at + 4 + 12), at + 4 + 14
    return _by_version(frame, at), at
