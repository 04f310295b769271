"""The sender of the lab `md5-ao`: SYNs with any options, and a connection that is signed by TCP-MD5 (RFC 2385).

Runs inside a namespace, with the standard library only.

usage: keyed.py syn SOURCE DESTINATION PORT SPORT OPTIONS_HEX   one SYN; the kernel finds route and neighbour
       keyed.py fragments SOURCE DESTINATION PORT SPORT OPTIONS_HEX   the same SYN in two fragments, the first with 8 bytes
       keyed.py serve PORT PEER KEY                             echo connections signed with KEY until killed
       keyed.py talk DESTINATION PORT KEY ROUNDS                so many echoes; prints how many came back
"""

import ipaddress
import socket
import struct
import sys

TCP_MD5SIG = 14
WAIT_S = 5.0
WORD = b"signed, or nothing"


def _sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def send_syn(source: str, destination: str, port: int, sport: int, options: bytes) -> None:
    """Send one SYN. The length of `options` is a multiple of 4, and 40 bytes at most."""
    segment = _syn(source, destination, port, sport, options)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as out:
        out.bind((source, 0))
        out.sendto(segment, (destination, 0))


def send_fragments(source: str, destination: str, port: int, sport: int, options: bytes) -> None:
    """Send the same SYN in two IP fragments, of which the first ends within the TCP header."""
    segment = _syn(source, destination, port, sport, options)
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
        out.bind((source, 0))
        for part, place in ((segment[:8], 0x2000), (segment[8:], 1)):
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(part), sport, place, 64, socket.IPPROTO_TCP, 0)
            out.sendto(head + addresses + part, (destination, 0))


def _syn(source: str, destination: str, port: int, sport: int, options: bytes) -> bytes:
    src, dst = ipaddress.IPv4Address(source).packed, ipaddress.IPv4Address(destination).packed
    head = (
        struct.pack(">HHIIBBHHH", sport, port, 1, 0, (20 + len(options)) // 4 << 4, 2, 65535, 0, 0) + options
    )
    check = ~_sum(src + dst + struct.pack(">HH", 6, len(head)) + head) & 0xFFFF
    return head[:16] + struct.pack(">H", check) + head[18:]


def sign(made: socket.socket, peer: str, key: bytes) -> None:
    """Have the kernel sign all segments to a peer (TCP-MD5), and drop segments of the peer that are not signed."""
    address = struct.pack("=HH4s120x", socket.AF_INET, 0, ipaddress.IPv4Address(peer).packed)
    made.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, address + struct.pack("=BBHI80s", 0, 0, len(key), 0, key))


def serve(port: int, peer: str, key: bytes) -> None:
    """Serve one connection after the other."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sign(listener, peer, key)
        listener.bind(("", port))
        listener.listen(8)
        while True:
            made, _ = listener.accept()
            with made:
                while data := made.recv(4096):
                    made.sendall(data)


def talk(destination: str, port: int, key: bytes, rounds: int) -> int:
    """Send so many lines; how many echoes came back. Raises OSError."""
    with socket.socket() as made:
        made.settimeout(WAIT_S)
        sign(made, destination, key)
        made.connect((destination, port))
        for number in range(rounds):
            made.sendall(WORD)
            got = b""
            while len(got) < len(WORD):
                part = made.recv(len(WORD) - len(got))
                if not part:
                    return number
                got += part
        return rounds


def main() -> int:
    what, *rest = sys.argv[1:]
    if what in ("syn", "fragments"):
        source, destination, port, sport, options = rest
        send = send_syn if what == "syn" else send_fragments
        send(source, destination, int(port), int(sport), bytes.fromhex(options))
    elif what == "serve":
        port, peer, key = rest
        serve(int(port), peer, key.encode())
    else:
        destination, port, key, rounds = rest
        try:
            print(talk(destination, int(port), key.encode(), int(rounds)), flush=True)
        except OSError as error:
            print(f"{type(error).__name__}: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
