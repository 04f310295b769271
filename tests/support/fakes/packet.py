"""A packet as header fields, under the names that rules use; None is a header the packet has not."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from struct import unpack_from
from typing import Any

import dpkt

from steering.model.rules import VLAN_PRESENT

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
SYN, SYN_ACK, ACK, FIN, RST = 0x02, 0x12, 0x10, 0x11, 0x04
BROADCAST = "ff:ff:ff:ff:ff:ff"
NO_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Packet:
    """Attribute names are the field names of model.rules. `frame`: the bytes it was made of, if any."""

    eth_src: str
    eth_dst: str
    eth_type: int
    arp_op: int | None = None
    arp_spa: str | None = None
    arp_tpa: str | None = None
    arp_sha: str | None = None
    arp_tha: str | None = None
    ipv4_src: str | None = None
    ipv4_dst: str | None = None
    ipv6_src: str | None = None
    ipv6_dst: str | None = None
    ip_proto: int | None = None
    ip_dscp: int | None = None
    nw_ttl: int | None = None
    ip_frag: int = 0
    tcp_src: int | None = None
    tcp_dst: int | None = None
    tcp_flags: int | None = None
    udp_src: int | None = None
    udp_dst: int | None = None
    icmpv4_type: int | None = None
    icmpv4_code: int | None = None
    icmpv6_type: int | None = None
    icmpv6_code: int | None = None
    ipv6_nd_target: str | None = None
    ipv6_nd_sll: str | None = None
    ipv6_nd_tll: str | None = None
    nd_reserved: int | None = None
    nd_options_type: int | None = None
    tags: tuple[int, ...] = ()  # 802.1Q, outermost first
    frame: bytes = field(default=b"", compare=False, repr=False)

    @property
    def vlan_vid(self) -> int:
        """As OpenFlow has it: with OFPVID_PRESENT, or 0."""
        return VLAN_PRESENT | self.tags[0] if self.tags else 0

    @property
    def src(self) -> str | None:
        return self.ipv4_src or self.ipv6_src

    @property
    def dst(self) -> str | None:
        return self.ipv4_dst or self.ipv6_dst


def _ip(src: str, dst: str, proto: int, ttl: int) -> dict[str, Any]:
    """Network-layer fields of the family of `src`."""
    version = ip_address(src).version
    return {
        "eth_type": IPV4 if version == 4 else IPV6,
        f"ipv{version}_src": str(ip_address(src)),
        f"ipv{version}_dst": str(ip_address(dst)),
        "ip_proto": proto,
        "ip_dscp": 0,
        "nw_ttl": ttl,
    }


def tcp(
    src: str,
    sport: int,
    dst: str,
    dport: int,
    flags: int = SYN,
    *,
    eth_src: str,
    eth_dst: str,
    ttl: int = 64,
    frame: bytes = b"",
) -> Packet:
    ip = _ip(src, dst, TCP, ttl)
    return Packet(
        eth_src=eth_src, eth_dst=eth_dst, tcp_src=sport, tcp_dst=dport, tcp_flags=flags, frame=frame, **ip
    )


def udp(src: str, sport: int, dst: str, dport: int, *, eth_src: str, eth_dst: str, ttl: int = 64) -> Packet:
    ip = _ip(src, dst, UDP, ttl)
    return Packet(eth_src=eth_src, eth_dst=eth_dst, udp_src=sport, udp_dst=dport, **ip)


def echo_request(src: str, dst: str, *, eth_src: str, eth_dst: str, ttl: int = 64) -> Packet:
    if ip_address(src).version == 4:
        ip = _ip(src, dst, ICMP, ttl)
        return Packet(eth_src=eth_src, eth_dst=eth_dst, icmpv4_type=8, icmpv4_code=0, **ip)
    ip = _ip(src, dst, ICMPV6, ttl)
    return Packet(eth_src=eth_src, eth_dst=eth_dst, icmpv6_type=128, icmpv6_code=0, **ip)


def arp_request(mac: str, spa: str, tpa: str) -> Packet:
    """Who has `tpa`, tell `spa` at `mac`."""
    return Packet(
        mac, BROADCAST, ARP, arp_op=1, arp_spa=spa, arp_tpa=tpa, arp_sha=mac, arp_tha=NO_MAC
    )  # fmt: skip


def arp_reply(mac: str, spa: str, eth_dst: str, tpa: str) -> Packet:
    """`spa` is at `mac`."""
    return Packet(mac, eth_dst, ARP, arp_op=2, arp_spa=spa, arp_tpa=tpa, arp_sha=mac, arp_tha=eth_dst)


def neighbour_solicitation(mac: str, src: str, target: str, *, sll: bool = True) -> Packet:
    """RFC 4861 4.3, to the solicited-node group; `src` "::" and `sll` False for address detection."""
    tail = ip_address(target).packed[-3:]
    ip = _ip(src, "ff02::1:ff" + tail[:1].hex() + ":" + tail[1:].hex(), ICMPV6, 255)
    return Packet(
        eth_src=mac,
        eth_dst="33:33:ff:" + tail.hex(":"),
        icmpv6_type=135,
        icmpv6_code=0,
        ipv6_nd_target=str(ip_address(target)),
        ipv6_nd_sll=mac if sll else None,
        nd_reserved=0,
        **ip,
    )


def packet_of(frame: bytes) -> Packet:
    """A well-formed Ethernet frame's fields; `frame` itself is kept. Raises dpkt's errors for others."""
    whole, tags = frame, list[int]()
    while frame[12:14] in (b"\x81\x00", b"\x88\xa8"):
        tags.append(int.from_bytes(frame[14:16], "big") & 0xFFF)
        frame = frame[:12] + frame[16:]
    ethernet = dpkt.ethernet.Ethernet(frame)
    fields: dict[str, Any] = {}
    inner = ethernet.data
    if isinstance(inner, dpkt.arp.ARP):
        fields = {
            "arp_op": inner.op,
            "arp_spa": str(ip_address(inner.spa)),
            "arp_tpa": str(ip_address(inner.tpa)),
            "arp_sha": inner.sha.hex(":"),
            "arp_tha": inner.tha.hex(":"),
        }
    elif isinstance(inner, dpkt.ip.IP):
        fields = {**_ip(str(ip_address(inner.src)), str(ip_address(inner.dst)), inner.p, inner.ttl)}
        fields["ip_dscp"] = inner.tos >> 2
    elif isinstance(inner, dpkt.ip6.IP6):
        fields = {**_ip(str(ip_address(inner.src)), str(ip_address(inner.dst)), inner.p, inner.hlim)}
    if isinstance(inner, dpkt.ip.IP | dpkt.ip6.IP6):
        fields |= _transport(inner.data)
    fields["eth_type"] = ethernet.type
    return Packet(
        eth_src=ethernet.src.hex(":"), eth_dst=ethernet.dst.hex(":"), tags=tuple(tags), frame=whole, **fields
    )


def _transport(layer: object) -> dict[str, Any]:
    if isinstance(layer, dpkt.tcp.TCP):
        return {"tcp_src": layer.sport, "tcp_dst": layer.dport, "tcp_flags": layer.flags}
    if isinstance(layer, dpkt.udp.UDP):
        return {"udp_src": layer.sport, "udp_dst": layer.dport}
    if isinstance(layer, dpkt.icmp.ICMP):
        return {"icmpv4_type": layer.type, "icmpv4_code": layer.code}
    if isinstance(layer, dpkt.icmp6.ICMP6):
        return _icmpv6(bytes(layer))
    return {}


def _icmpv6(raw: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {"icmpv6_type": raw[0], "icmpv6_code": raw[1]}
    if raw[0] in (135, 136) and len(raw) >= 24:
        fields["nd_reserved"] = unpack_from("!I", raw, 4)[0]
        fields["ipv6_nd_target"] = str(ip_address(raw[8:24]))
        if raw[24:26] in (b"\x01\x01", b"\x02\x01"):
            fields["ipv6_nd_sll" if raw[24] == 1 else "ipv6_nd_tll"] = raw[26:32].hex(":")
    return fields
