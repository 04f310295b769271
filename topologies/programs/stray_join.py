"""Sends from a host of the lab one MP_JOIN SYN with a token that no session has, or with the one that is given, or a
preface that is cut off or broken.

usage: stray_join.py join SOURCE DESTINATION PORT [TOKEN] | stray_join.py say DESTINATION PORT HEX
"""

import socket
import sys
from struct import pack

TOKEN = bytes.fromhex("badc0de5")
IPPROTO_MPTCP = 262


def join_syn(src: str, dst: str, sport: int, dport: int, token: bytes) -> bytes:
    """TCP header of an MP_JOIN SYN (RFC 8684 section 3.2), IPv4."""
    option = b"\x1e\x0c\x10\x01" + token + b"\x01\x02\x03\x04"
    head = pack(">HHIIBBHHH", sport, dport, 4711, 0, (20 + len(option)) // 4 << 4, 0x02, 65535, 0, 0) + option
    data = socket.inet_aton(src) + socket.inet_aton(dst) + pack(">HH", 6, len(head)) + head
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:16] + pack(">H", ~total & 0xFFFF) + head[18:]


def main() -> int:
    what, *words = sys.argv[1:]
    if what == "join":
        src, dst, port = words[:3]
        token = bytes.fromhex(words[3]) if words[3:] else TOKEN
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as out:
            out.bind((src, 0))
            out.sendto(join_syn(src, dst, 50505, int(port), token), (dst, 0))
        return 0
    dst, port, text = words
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as out:
        out.settimeout(5)
        out.connect((dst, int(port)))
        out.sendall(bytes.fromhex(text))
        out.shutdown(socket.SHUT_WR)
        try:
            print(out.recv(1000).hex())
        except OSError as error:
            print(f"ended: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
