"""The key of a flow: its 5-tuple as one bytes object, and the parts of such a key by name.

A key is source address, destination address and both ports, in network byte order: 12 bytes for IPv4, 36 for IPv6.
The protocol is always TCP. A key is written as the host sends: the source is the host's end, also of what comes back.
Nothing else in this program knows how long the parts are or where they stand.
"""

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from steering.model.session import NO_FLOW, FlowKey

__all__ = [
    "NO_FLOW", "FlowKey", "FlowParts", "Origin", "family_of", "flow_key", "origin_of", "parts_of", "server_of", "source_of", "split",
]  # fmt: skip

Origin = Callable[[bytes], bytes]  # who sends with an address (core.network.site_index)

_pack_ports = Struct("!HH").pack
_IPV4, _IPV6 = Struct("!4s4sHH"), Struct("!16s16sHH")
_unpack4, _unpack6 = _IPV4.unpack, _IPV6.unpack
_IS_IPV4, _IS_IPV6 = (4,), (6,)
_new = tuple.__new__  # of a NamedTuple, without its own constructor's call


class FlowParts(NamedTuple):
    """A flow key taken apart. Addresses are 4 or 16 bytes."""

    family: int  # 4 or 6; 0 for NO_FLOW
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int


_NO_PARTS = FlowParts(0, b"", b"", 0, 0)


def flow_key(src: bytes, dst: bytes, sport: int, dport: int) -> FlowKey:
    """The key of a flow that leaves `src`. Both addresses are of one family."""
    # FlowKey(...) would be a call at run time, for every segment that is looked at.
    return src + dst + _pack_ports(sport, dport)  # type: ignore[return-value]


def parts_of(key: FlowKey) -> FlowParts:
    """A key's parts; those of NO_FLOW are empty. Raises struct.error for any other length than a key has."""
    return _new(FlowParts, split(key)) if key else _NO_PARTS


def split(key: FlowKey) -> tuple[int, bytes, bytes, int, int]:
    """A key's five parts as `FlowParts` has them, without names: for entries, which every handshake makes. Not for
    NO_FLOW."""
    # A display with a star in it, (4, *parts), takes twice as long.
    return _IS_IPV4 + _unpack4(key) if len(key) == 12 else _IS_IPV6 + _unpack6(key)


def source_of(key: FlowKey) -> bytes:
    """The source address alone: the host's."""
    return key[:4] if len(key) == 12 else key[:16]


def server_of(key: FlowKey) -> bytes:
    """Where a flow goes: the destination address, and its port in two more bytes."""
    return key[4:8] + key[10:] if len(key) == 12 else key[16:32] + key[34:]


def origin_of(key: FlowKey) -> bytes:
    """Who a flow comes from at most: the IPv4 address, or the IPv6 /64, which hosts may share (SiteMap.origin_of)."""
    return key[:4] if len(key) == 12 else key[:8]


def family_of(key: FlowKey) -> int:
    """4 or 6."""
    return 4 if len(key) == 12 else 6
