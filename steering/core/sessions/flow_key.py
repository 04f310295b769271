"""The key of a flow: its 5-tuple as one bytes object, and the parts of such a key by name.

A key consists of source address, destination address and both ports, in network byte order: 12 bytes for IPv4, 36 for IPv6.
The protocol is always TCP. The source of a key is the host's end, also for segments in the other direction. Only this module
knows the lengths and places of the parts.
"""

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from steering.model.session import NO_FLOW, FlowKey

__all__ = [
    "NO_FLOW", "FlowKey", "FlowParts", "OriginOf", "family_of", "flow_key", "origin_of", "parts_of", "server_of", "source_of", "split",
]  # fmt: skip

OriginOf = Callable[[bytes], bytes]  # who sends with an address (core.network.site_index)

_pack_ports = Struct("!HH").pack
_IPV4, _IPV6 = Struct("!4s4sHH"), Struct("!16s16sHH")
_unpack4, _unpack6 = _IPV4.unpack, _IPV6.unpack
_IS_IPV4, _IS_IPV6 = (4,), (6,)
_new = tuple.__new__  # makes a NamedTuple without the call of its constructor


class FlowParts(NamedTuple):
    """The parts of a flow key. Addresses have 4 or 16 bytes."""

    family: int  # 4 or 6; 0 for NO_FLOW
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int


_NO_PARTS = FlowParts(0, b"", b"", 0, 0)


def flow_key(src: bytes, dst: bytes, sport: int, dport: int) -> FlowKey:
    """The key of a flow from `src` to `dst`. Both addresses are of one family."""
    # FlowKey(...) would be one more call for every segment.
    return src + dst + _pack_ports(sport, dport)  # type: ignore[return-value]


def parts_of(key: FlowKey) -> FlowParts:
    """The parts of a key, empty parts for NO_FLOW. Raises struct.error for a key of wrong length."""
    return _new(FlowParts, split(key)) if key else _NO_PARTS


def split(key: FlowKey) -> tuple[int, bytes, bytes, int, int]:
    """The five parts of a key in the order of `FlowParts`, as a plain tuple, which is faster. Not for NO_FLOW."""
    # (4, *parts) would take twice as long.
    return _IS_IPV4 + _unpack4(key) if len(key) == 12 else _IS_IPV6 + _unpack6(key)


def source_of(key: FlowKey) -> bytes:
    """The source address of a key."""
    return key[:4] if len(key) == 12 else key[:16]


def server_of(key: FlowKey) -> bytes:
    """The destination address of a key, followed by the destination port in two bytes."""
    return key[4:8] + key[10:] if len(key) == 12 else key[16:32] + key[34:]


def origin_of(key: FlowKey) -> bytes:
    """The source of a flow: the IPv4 address, or the IPv6 /64. Several hosts may share a /64 (see SiteMap.origin_of)."""
    return key[:4] if len(key) == 12 else key[:8]


def family_of(key: FlowKey) -> int:
    """The IP version of a key, 4 or 6."""
    return 4 if len(key) == 12 else 6
