"""DSCP carried over from one leg to the other (N-5.6.5): preserved unless told otherwise, or re-marked.

The kernel hides a segment's DSCP from the owner of an MPTCP socket (`IP_RECVTOS` is refused, `IP_TOS` reads 0), so nft does it.
Both sockets of a session carry a mark (SO_MARK) that differs in its last bit. What comes in at one leg's socket is noted under
that leg's mark; what leaves by the other leg looks there. A changed DSCP takes effect with the first segment that carries it.
The server leg's SYN, and what the host sent before its connection was accepted, belong to no marked socket: for those the
host's SYN is remembered by its addresses and ports, which both legs share in transparent mode. In other source modes they leave
with DSCP 0.

nft cannot compare what it looks up with what a segment carries, so each code point has three small chains.
"""

import socket
from collections.abc import Mapping, Sequence

from steering.relay.kernel.commands import command
from steering.relay.model import OptionError

TABLE = "steering_dscp"
SPACE = 0x40000000
"""Of session marks; the rest of the top byte is zero."""
SPACE_MASK = 0xFF000000
AVOIDED = 0x5354
"""In the low 16 bits: the relay's mark for segments that are to be delivered to this machine (rules.MARK)."""
CODE_POINTS = 64
SHORT6 = "@nh,160,32 . tcp sport . @nh,288,32 . tcp dport"
"""The last 32 bits of both IPv6 addresses, and the ports: nft 1.0.6 has no registers for all of them."""
LEGS = 1 << 16
"""At most so many legs and SYNs are remembered; one more is forwarded with the kernel's DSCP 0."""


class CodePoints:
    """Gives each session a pair of marks: the host leg's, and the server leg's, which is one more."""

    def __init__(self) -> None:
        self._next = 0

    def put(self, host_leg: socket.socket, server_leg: socket.socket) -> int:
        """Mark both sockets; the host leg's mark. Later subflows of an MPTCP socket inherit it. Raises OSError."""
        mark = self._pair()
        host_leg.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        server_leg.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark | 1)
        return mark

    def _pair(self) -> int:
        # 8 million pairs, so that none is used again while the kernel still remembers its last session.
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
    """The nft table as text for `nft -f`; it replaces this table and no other."""
    points = range(CODE_POINTS)

    def jump(prefix: str) -> str:
        return "{ " + ", ".join(f"{point} : goto {prefix}{point}" for point in points) + " }"

    chains = "".join(_chains(point, remap.get(point, point)) for point in points)
    tuple4 = "ip saddr . tcp sport . ip daddr . tcp dport"
    tuple6 = SHORT6
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  map legs {{ type mark : mark; flags dynamic,timeout; timeout 10m; size {LEGS}; }}
  map syns4 {{ typeof {tuple4} : meta mark; flags dynamic,timeout; timeout 10s; size {LEGS}; }}
  map syns6 {{ typeof {tuple6} : meta mark; flags dynamic,timeout; timeout 10s; size {LEGS}; }}
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
    meta mark set 0
    meta nfproto ipv4 meta mark set {tuple4} map @syns4
    meta nfproto ipv6 meta mark set {tuple6} map @syns6
    meta mark != 0 goto put
  }}
  chain output {{
    type filter hook output priority mangle; policy accept;
    tcp flags & (syn | ack) == syn goto by_syn
    meta mark & {SPACE_MASK:#x} != {SPACE:#x} accept
    jump known
    goto by_syn
  }}
}}
"""


def _chains(point: int, becomes: int) -> str:
    """For what comes in with a code point: noted once, until it changes. For what is to leave: set."""
    return f"""\
  chain leg{point} {{
    meta mark set {SPACE:#x}
    meta mark set socket mark map @legs
    meta mark {point} return
    delete @legs {{ socket mark : {point} }}
    add @legs {{ socket mark : {point} }}
  }}
  chain syn{point} {{
    meta nfproto ipv4 add @syns4 {{ ip saddr . tcp sport . ip daddr . tcp dport : {point} }}
    meta nfproto ipv6 add @syns6 {{ {SHORT6} : {point} }}
  }}
  chain put{point} {{
    ip dscp set {becomes}
    ip6 dscp set {becomes}
    accept
  }}
"""


def remove() -> None:
    """Take the table away; none there is no error."""
    command(f"nft delete table inet {TABLE}", must=False)
