"""A rogue host behind the same NAT as a genuine host, for the lab `rogue-nat`: it tries to join the other host's
sessions.

Runs in the namespace of a lab's host with raw sockets, and sends MP_JOIN SYNs with a token that it is given. It reads
one order per line from stdin, and answers each with one line of JSON: the segments that came back.

    repeat DST PORT SPORT TOKEN COUNT GAP    send the same SYN COUNT times, GAP seconds apart
    forge DST PORT SPORT TOKEN               send a SYN, and then a third ACK with a wrong HMAC
"""

import json
import os
import socket
import sys
import time
from struct import pack, unpack_from
from typing import Any

SYN, RST, ACK = 0x02, 0x04, 0x10
SYN_ACK = SYN | ACK
ISN = 1_000_000
PATIENCE_S = 1.5
TIMESTAMP = bytes.fromhex("0101080a0000000100000000")


def _sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Rogue:
    """Raw TCP over IPv4. The kernel knows none of these connections; a rule of the lab drops the resets that it would
    send."""

    def __init__(self) -> None:
        self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)

    def repeat(self, dst: str, port: str, sport: str, token: str, count: str, gap: str) -> list[str]:
        """Send a join's SYN again and again; the segments that came back."""
        heard: list[str] = []
        for _ in range(int(count)):
            self._send(dst, int(sport), int(port), SYN, ISN, 0, self._join(token))
            heard += self._listen(dst, int(port), int(sport), float(gap))
        return heard

    def forge(self, dst: str, port: str, sport: str, token: str) -> list[str]:
        """Join with the right token but without the keys; the segments that came back."""
        self._send(dst, int(sport), int(port), SYN, ISN, 0, self._join(token))
        heard = self._listen(dst, int(port), int(sport), PATIENCE_S, stop=SYN_ACK)
        if heard[-1:] == ["syn-ack"]:
            wrong = bytes((30, 24, 0x10, 0)) + os.urandom(20)
            self._send(dst, int(sport), int(port), ACK, ISN + 1, self._theirs + 1, wrong + TIMESTAMP)
            heard += self._listen(dst, int(port), int(sport), PATIENCE_S, stop=RST)
        return heard

    @staticmethod
    def _join(token: str) -> bytes:
        return bytes((30, 12, 0x10, 9)) + bytes.fromhex(token) + b"evil"

    def _send(self, dst: str, sport: int, dport: int, flags: int, seq: int, ack: int, options: bytes) -> None:
        self._raw.connect((dst, 0))
        source = socket.inet_aton(self._raw.getsockname()[0])
        words = (20 + len(options)) // 4
        head = (
            pack(">HHIIBBHHH", sport, dport, seq, ack & 0xFFFF_FFFF, words << 4, flags, 65535, 0, 0) + options
        )
        check = ~_sum(source + socket.inet_aton(dst) + pack(">HH", 6, len(head)) + head) & 0xFFFF
        self._raw.send(head[:16] + pack(">H", check) + head[18:])

    def _listen(self, dst: str, port: int, sport: int, seconds: float, stop: int = 0) -> list[str]:
        heard: list[str] = []
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            self._raw.settimeout(left)
            try:
                packet, (address, _) = self._raw.recvfrom(2048)
            except TimeoutError:
                break
            at = (packet[0] & 0xF) * 4
            if address != dst or unpack_from(">HH", packet, at) != (port, sport):
                continue
            flags = packet[at + 13]
            self._theirs = int.from_bytes(packet[at + 4 : at + 8], "big")
            heard.append("reset" if flags & RST else "syn-ack" if flags & SYN_ACK == SYN_ACK else "segment")
            if stop and flags & stop == stop:
                break
        return heard


def main() -> None:
    rogue = Rogue()
    orders: dict[str, Any] = {"repeat": rogue.repeat, "forge": rogue.forge}
    for line in sys.stdin:
        word, *rest = json.loads(line)["words"]
        try:
            answer: dict[str, Any] = {"heard": orders[word](*rest)}
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
