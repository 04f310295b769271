"""Frames for a real switch: whole, with checksums that are right."""

from ipaddress import ip_address
from struct import pack, unpack

from steering.model.rules import VIRTUAL_MAC

HOST = "0a:00:00:00:00:99"
OWN = {4: "10.0.0.9", 6: "fd00::9"}
GATEWAY = {4: "10.0.0.1", 6: "fd00::1"}
SERVER = {4: "10.9.0.1", 6: "fd00:9::1"}
NET = ("10.0.0.0", "255.0.0.0")
SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    """RFC 1071; 0 over data that holds its own."""
    words = unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(
    src: str, dst: str, proto: int, payload: bytes, sum_at: int, *, to: str = VIRTUAL_MAC, ttl: int = 64
) -> bytes:
    """Ethernet and IP around a transport payload whose checksum belongs at `sum_at`."""
    a, b = ip_address(src).packed, ip_address(dst).packed
    pseudo = b"" if proto == 1 else a + b + pack("!II", len(payload), proto)
    payload = payload[:sum_at] + pack("!H", checksum(pseudo + payload)) + payload[sum_at + 2 :]
    if len(a) == 4:
        head = pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, ttl, proto, 0) + a + b
        head = head[:10] + pack("!H", checksum(head)) + head[12:]
    else:
        head = pack("!IHBB", 6 << 28, len(payload), proto, ttl) + a + b
    return mac(to) + mac(HOST) + (b"\x08\0" if len(a) == 4 else b"\x86\xdd") + head + payload


def tcp(family: int, sport: int, flags: int = SYN, ttl: int = 64, **more) -> bytes:
    segment = pack("!HHIIBBHHH", sport, 443, 1, 0, 0x50, flags, 1000, 0, 0)
    return frame(OWN[family], SERVER[family], 6, segment, 16, ttl=ttl, **more)


def transport(data: bytes) -> bytes:
    """The payload of a frame whose checksums are right, cut to its own length."""
    if data[12:14] == b"\x08\0":
        assert checksum(data[14:34]) == 0
        payload = data[34 : 14 + int.from_bytes(data[16:18], "big")]
        pseudo = b"" if data[23] == 1 else data[26:34] + pack("!II", len(payload), data[23])
    else:
        payload = data[54 : 54 + int.from_bytes(data[18:20], "big")]
        pseudo = data[22:54] + pack("!II", len(payload), data[20])
    assert checksum(pseudo + payload) == 0
    return payload


def arp(operation: int, sha: str, spa: str, tha: str, tpa: str, to: str) -> bytes:
    body = mac(sha) + ip_address(spa).packed + mac(tha) + ip_address(tpa).packed
    return mac(to) + mac(sha) + b"\x08\x06" + pack("!HHBBH", 1, 0x0800, 6, 4, operation) + body
