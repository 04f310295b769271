"""Carries DSCP over from one leg to the other (N-5.6.5): unchanged by default, or re-marked.

The kernel does not tell the owner of an MPTCP socket the DSCP of segments (`IP_RECVTOS` is refused, `IP_TOS` reads
0), so nft carries it over. The two sockets of a session have marks (SO_MARK) that differ in the last bit. The DSCP of
a segment that comes in at one leg is stored under that leg's mark, and segments that leave by the other leg look
there. A change takes effect with the first segment that carries it. The host's SYN, and data that the host sent before
its connection was accepted, belong to no marked socket. So nft stores the DSCP of the SYN under its addresses and
ports. The relay reads it (`syn_code_points`) and writes it into the marks before it dials. The server leg's SYN and
early data have it then, whatever the leg's address is.

nft cannot compare a stored value with that of a segment, so each code point has three small chains.
"""

import socket
from collections.abc import Mapping, Sequence

from steering.relay.kernel.commands import command
from steering.relay.model import OptionError

TABLE = "steering_dscp"
SPACE = 0x40000000
"""The top two bits of all session marks. The code point of the host's SYN is below them, and then the session's number."""
SPACE_MASK = 0xC0000000
SYN_SHIFT = 24
SYN_MASK = 0x3F000000
AVOIDED = 0x5354
"""A value of the low 16 bits that no session mark has: it marks segments that are delivered to this machine (rules.MARK)."""
CODE_POINTS = 64
SHORT6 = "@nh,160,32 . tcp sport . @nh,288,32 . tcp dport"
"""The last 32 bits of both IPv6 addresses, and the ports. nft 1.0.6 has not enough registers for whole addresses."""
LEGS = 1 << 16
"""Most legs and SYNs that are remembered. Segments of further ones are sent with the kernel's DSCP 0."""
SYNS4, SYNS6 = "syns4", "syns6"


class CodePoints:
    """Gives each session a pair of marks: that of the host leg, and that of the server leg, which is larger by one."""

    def __init__(self) -> None:
        self._next = 0

    def begin(self, host_leg: socket.socket, syn: int) -> int:
        """Mark the host leg of a session whose SYN had code point `syn`. Returns the mark that the server leg needs before it
        connects. Later subflows of an MPTCP socket inherit its mark. Raises OSError."""
        mark = self._pair() | syn << SYN_SHIFT
        host_leg.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        return mark | 1

    def _pair(self) -> int:
        # There are 8 million pairs, so a pair is not used again while the kernel remembers its last session.
        self._next = (self._next + 2) & 0xFFFFFE
        if self._next & 0xFFFE == AVOIDED & 0xFFFE:
            self._next += 2
        return SPACE | self._next


def parse_remap(values: Sequence[str]) -> dict[int, int]:
    """`["34:10"]` -> {34: 10}, code points 0 to 63. Raises OptionError."""
    remap: dict[int, int] = {}
    for text in values:
        old, colon, new = text.partition(":")
        points = [int(part) for part in (old, new) if part.isascii() and part.isdigit() and len(part) <= 2]
        if not colon or len(points) != 2 or max(points) >= CODE_POINTS:
            raise OptionError(f"--dscp-remap {text}: FROM:TO, both from 0 to 63, e.g. 34:10")
        if remap.setdefault(points[0], points[1]) != points[1]:
            raise OptionError(f"--dscp-remap {text}: {points[0]} is already re-marked as {remap[points[0]]}")
    return remap


def ruleset(remap: Mapping[int, int]) -> str:
    """The nft table as text for `nft -f`. It replaces this table and no other."""
    points = range(CODE_POINTS)

    def jump(prefix: str) -> str:
        return "{ " + ", ".join(f"{point} : goto {prefix}{point}" for point in points) + " }"

    by_syn = "{ " + ", ".join(f"{point << SYN_SHIFT:#x} : goto put{point}" for point in points) + " }"
    chains = "".join(_chains(point, remap.get(point, point)) for point in points)
    tuple4 = "ip saddr . tcp sport . ip daddr . tcp dport"
    tuple6 = SHORT6
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  map legs {{ type mark : mark; flags dynamic,timeout; timeout 10m; size {LEGS}; }}
  map {SYNS4} {{ typeof {tuple4} : meta mark; flags dynamic,timeout; timeout 10s; size {LEGS}; }}
  map {SYNS6} {{ typeof {tuple6} : meta mark; flags dynamic,timeout; timeout 10s; size {LEGS}; }}
{chains}\
  chain noted {{
    ip dscp vmap {jump("leg")}
    ip6 dscp vmap {jump("leg")}
  }}
  chain opened {{
    ip dscp 0 return
    ip6 dscp 0 return
    ip dscp vmap {jump("syn")}
    ip6 dscp vmap {jump("syn")}
  }}
  chain prerouting {{
    type filter hook prerouting priority mangle - 10; policy accept;
    tcp flags & (syn | ack) == syn jump opened
    socket mark & {SPACE_MASK:#x} == {SPACE:#x} jump noted
    meta l4proto tcp meta mark set 0
  }}
  chain put {{
    meta mark vmap {jump("put")}
  }}
  chain known {{
    meta mark set meta mark ^ 1
    meta mark set meta mark map @legs
    goto put
  }}
  chain by_syn {{
    meta mark & {SYN_MASK:#x} vmap {by_syn}
  }}
  chain output {{
    type filter hook output priority mangle; policy accept;
    meta mark & {SPACE_MASK:#x} != {SPACE:#x} accept
    tcp flags & (syn | ack) == syn goto by_syn
    jump known
    meta mark & 1 == 0 goto by_syn comment "the server leg's, as `known` turned it"
  }}
}}
"""


def _chains(point: int, becomes: int) -> str:
    """The chains of a code point: segments that come in with it store it, once until it changes. Segments that leave
    get it."""
    return f"""\
  chain leg{point} {{
    meta mark set {SPACE:#x}
    meta mark set socket mark map @legs
    meta mark {point} return
    delete @legs {{ socket mark : {point} }}
    add @legs {{ socket mark : {point} }}
  }}
  chain syn{point} {{
    meta nfproto ipv4 add @{SYNS4} {{ ip saddr . tcp sport . ip daddr . tcp dport : {point} }}
    meta nfproto ipv6 add @{SYNS6} {{ {SHORT6} : {point} }}
  }}
  chain put{point} {{
    ip dscp set {becomes}
    ip6 dscp set {becomes}
    accept
  }}
"""


def remove() -> None:
    """Remove the table, if it exists."""
    command(f"nft delete table inet {TABLE}", must=False)
