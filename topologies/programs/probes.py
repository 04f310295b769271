"""ping and traceroute for labs: how many answers came, and the addresses that answered. Needs root."""

import os
import socket
import struct
import time
from ipaddress import IPv4Address, IPv6Address

ICMP_ECHO, ICMPV6_ECHO = 8, 128
ICMP_REPLY, ICMPV6_REPLY = 0, 129
IP_RECVERR, IPV6_RECVERR = 11, 25
FIRST_PORT = 33434


def ping(dst: str, count: int, wait: float) -> int:
    """How many of `count` echo requests, a fifth of a second apart, were answered within `wait` seconds each."""
    six = ":" in dst
    probe = socket.socket(
        socket.AF_INET6 if six else socket.AF_INET,
        socket.SOCK_RAW,
        socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP,
    )
    mark = os.getpid() & 0xFFFF
    answered = 0
    for number in range(count):
        head = struct.pack("!BBHHH", ICMPV6_ECHO if six else ICMP_ECHO, 0, 0, mark, number)
        if not six:  # for IPv6 the kernel fills in the checksum
            head = head[:2] + struct.pack("!H", _checksum(head)) + head[4:]
        try:
            probe.sendto(head, (dst, 0))
        except OSError:
            continue
        answered += _answered(probe, six, mark, number, wait)
        time.sleep(0.2)
    probe.close()
    return answered


def _answered(probe: socket.socket, six: bool, mark: int, number: int, wait: float) -> bool:
    limit = time.monotonic() + wait
    while (left := limit - time.monotonic()) > 0:
        probe.settimeout(left)
        try:
            data = probe.recv(2048)
        except OSError:
            return False
        data = data if six else data[(data[0] & 15) * 4 :]
        kind, _, _, got_mark, got_number = struct.unpack_from("!BBHHH", data)
        if kind == (ICMPV6_REPLY if six else ICMP_REPLY) and (got_mark, got_number) == (mark, number):
            return True
    return False


def trace(dst: str, hops: int) -> list[str | None]:
    """The addresses that answered datagrams with TTL 1, 2 and so on, until `dst` answers. None: no answer in a
    second."""
    found: list[str | None] = []
    for ttl in range(1, hops + 1):
        found.append(_hop(dst, ttl))
        if found[-1] == dst:
            break
    return found


def _hop(dst: str, ttl: int) -> str | None:
    six = ":" in dst
    probe = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    if six:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        probe.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        probe.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    probe.sendto(b"hop", (dst, FIRST_PORT + ttl))
    limit = time.monotonic() + 1.0
    while time.monotonic() < limit:
        try:
            _, ancillary, _, _ = probe.recvmsg(512, 512, socket.MSG_ERRQUEUE)
        except OSError:
            time.sleep(0.01)
            continue
        for _, kind, data in ancillary:
            if kind == (IPV6_RECVERR if six else IP_RECVERR):
                # After the 16 bytes of struct sock_extended_err comes the sockaddr of the router that sent the ICMP
                # error.
                return str(IPv6Address(data[24:40])) if six else str(IPv4Address(data[20:24]))
    return None


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
