"""OXM fields: names of model rules <-> TLVs of OpenFlow 1.3 (7.2.3) and of Open vSwitch's extensions.

os-ken sorts match fields by type number. That puts Nicira fields before their prerequisites, and Open vSwitch refuses
such a match. Here the order of the table FIELDS is the order on the wire: every prerequisite (eth_type, ip_proto,
icmpv6_type) stands before the fields that need it.
"""

from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple

from steering.model.rules import FieldValue

from .errors import EncodeError

Value = str | int

_BASIC = 0x8000  # OFPXMC_OPENFLOW_BASIC
_NXM_0 = 0x0000  # OpenFlow 1.0's fields as Nicira extended matches
_NXM_1 = 0x0001  # Nicira extended match
_ERICSSON = 0x1000  # the class Open vSwitch took for its neighbour discovery fields
_EXPERIMENTER = 0xFFFF
_ONF = 0x4F4E4600  # experimenter id that starts the payload of ONF fields
_MATCH = Struct("!HH")


class Field(NamedTuple):
    """One OXM field. `size`: bytes of the value, without mask and without experimenter id."""

    name: str
    oxm_class: int
    number: int
    size: int
    to_bytes: Callable[[Value, int], bytes]
    experimenter: int = 0

    def header(self, masked: bool = False) -> int:
        """The 32-bit OXM header: class 16, field 7, has-mask 1, payload length 8 bits."""
        length = self.size * (2 if masked else 1) + (4 if self.experimenter else 0)
        return self.oxm_class << 16 | self.number << 9 | masked << 8 | length


def _number(value: Value, size: int) -> bytes:
    if isinstance(value, str):
        raise EncodeError(f"a number is needed, not {value!r}")
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        raise EncodeError(f"{value} does not fit in {size} bytes") from None


def _mac(value: Value, size: int) -> bytes:
    try:
        raw = bytes.fromhex(str(value).replace(":", ""))
    except ValueError:
        raw = b""
    if len(raw) != size or str(value).count(":") != size - 1:
        raise EncodeError(f"not a MAC address: {value!r}")
    return raw


def _ipv4(value: Value, _size: int) -> bytes:
    try:
        return IPv4Address(str(value)).packed
    except AddressValueError:
        raise EncodeError(f"not an IPv4 address: {value!r}") from None


def _ipv6(value: Value, _size: int) -> bytes:
    try:
        return IPv6Address(str(value)).packed
    except AddressValueError:
        raise EncodeError(f"not an IPv6 address: {value!r}") from None


_TABLE = (
    Field("in_port", _BASIC, 0, 4, _number),
    Field("ingress", _NXM_0, 0, 2, _number),  # NXM_OF_IN_PORT: the form of in_port that may be set
    Field("metadata", _BASIC, 2, 8, _number),
    Field("eth_dst", _BASIC, 3, 6, _mac),
    Field("eth_src", _BASIC, 4, 6, _mac),
    Field("eth_type", _BASIC, 5, 2, _number),
    Field("vlan_vid", _BASIC, 6, 2, _number),
    Field("ip_dscp", _BASIC, 8, 1, _number),
    Field("ip_proto", _BASIC, 10, 1, _number),
    Field("ipv4_src", _BASIC, 11, 4, _ipv4),
    Field("ipv4_dst", _BASIC, 12, 4, _ipv4),
    Field("tcp_src", _BASIC, 13, 2, _number),
    Field("tcp_dst", _BASIC, 14, 2, _number),
    Field("udp_src", _BASIC, 15, 2, _number),
    Field("udp_dst", _BASIC, 16, 2, _number),
    Field("icmpv4_type", _BASIC, 19, 1, _number),
    Field("icmpv4_code", _BASIC, 20, 1, _number),
    Field("arp_op", _BASIC, 21, 2, _number),
    Field("arp_spa", _BASIC, 22, 4, _ipv4),
    Field("arp_tpa", _BASIC, 23, 4, _ipv4),
    Field("arp_sha", _BASIC, 24, 6, _mac),
    Field("arp_tha", _BASIC, 25, 6, _mac),
    Field("ipv6_src", _BASIC, 26, 16, _ipv6),
    Field("ipv6_dst", _BASIC, 27, 16, _ipv6),
    Field("icmpv6_type", _BASIC, 29, 1, _number),
    Field("icmpv6_code", _BASIC, 30, 1, _number),
    Field("ipv6_nd_target", _BASIC, 31, 16, _ipv6),
    Field("ipv6_nd_sll", _BASIC, 32, 6, _mac),
    Field("ipv6_nd_tll", _BASIC, 33, 6, _mac),
    Field("ip_frag", _NXM_1, 26, 1, _number),  # NXM_NX_IP_FRAG: bit 0 of a fragment, bit 1 of a later one
    Field("nw_ttl", _NXM_1, 29, 1, _number),  # NXM_NX_IP_TTL, for both families
    Field("nd_reserved", _ERICSSON, 1, 4, _number),  # flags of a neighbour advertisement
    Field("nd_options_type", _ERICSSON, 2, 1, _number),
    Field("tcp_flags", _EXPERIMENTER, 42, 2, _number, _ONF),  # ONF EXT-109
)
FIELDS = {field.name: field for field in _TABLE}
_RANK = {field.name: rank for rank, field in enumerate(_TABLE)}


def field(name: str) -> Field:
    """The field of that name. Raises EncodeError for an unknown name."""
    try:
        return FIELDS[name]
    except KeyError:
        raise EncodeError(f"unknown field {name!r}") from None


def oxm(name: str, value: FieldValue) -> bytes:
    """One OXM TLV, unpadded. `value` as in model.rules.Rule: plain, or (value, mask)."""
    known = field(name)
    experimenter = known.experimenter.to_bytes(4, "big") if known.experimenter else b""
    if not isinstance(value, tuple):
        return known.header().to_bytes(4, "big") + experimenter + known.to_bytes(value, known.size)
    plain, mask = (known.to_bytes(part, known.size) for part in value)
    if any(p & ~m & 0xFF for p, m in zip(plain, mask, strict=True)):
        raise EncodeError(f"{name}: {value[0]} has bits outside its mask {value[1]}")  # OFPBMC_BAD_WILDCARDS
    return known.header(masked=True).to_bytes(4, "big") + experimenter + plain + mask


def match(pairs: tuple[tuple[str, FieldValue], ...]) -> bytes:
    """A whole ofp_match, padded to 8 bytes."""
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise EncodeError(f"a field occurs twice: {names}")
    for name in names:
        field(name)
    body = b"".join(oxm(name, value) for name, value in sorted(pairs, key=lambda pair: _RANK[pair[0]]))
    return _MATCH.pack(1, 4 + len(body)) + body + bytes(-(4 + len(body)) % 8)
