"""The kinds of values in files: names, addresses, prefixes, switch ports, ranges, words."""

import re
from collections.abc import Callable
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, NamedTuple, TypeGuard

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema

from steering.model.network import Address, Network
from steering.policy.language.findings import Code, nearest, quoted

MAX_PORT = 0xFEFF  # the highest port number of Open vSwitch
MAX_TAG = 4094  # 0 means no VLAN and 4095 is reserved (IEEE 802.1Q 9.6)
MAX_DPID = 0xFFFF_FFFF_FFFF_FFFF

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PORT_NUMBERS = re.compile(r"[0-9]{1,10}(\.[0-9]{1,4}){0,2}")
_DPID = re.compile(r"(0x)?[0-9a-fA-F]{1,16}")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_COLONED_DPID = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){7}")
_RANGE = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?")


class PortName(NamedTuple):
    """A switch port as written, `s1:3`. The port of an attachment may have a VLAN tag, `s1:3.20`, or an outer and an inner one,
    `s1:3.20.7`."""

    switch: str
    port: int
    tags: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.switch}:{'.'.join(map(str, (self.port, *self.tags)))}"


def refuse(code: Code, message: str, suggestion: str | None = None) -> PydanticCustomError:
    """An error about a value. pydantic carries it to the place where findings are made."""
    return PydanticCustomError(code.value, "{words}", {"words": message, "suggestion": suggestion})


def kind_of(value: object) -> str:
    """The type of a value, in words for the writer of a file."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


def _text(value: Any, what: str) -> str:
    if isinstance(value, str):
        return value
    hint = ""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value.values())) is None:
        hint = f": put quotes round {quoted(next(iter(value)) + ':')}"  # YAML took the last colon as the end of a key
    raise refuse(Code.WRONG_TYPE, f"must be {what}, not {kind_of(value)}{hint}")


def is_name(value: Any) -> TypeGuard[str]:
    """Whether a value is a name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def name(value: Any) -> str:
    """A name: letters, digits, `_ . -`, 63 at most."""
    text = _text(value, "a name (text; a number needs quotes)")
    if not _NAME.fullmatch(text):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no name: letters, digits, '_', '.', '-', 63 at most")
    return text


def address(value: Any) -> Address:
    """A unicast IPv4 or IPv6 address that a packet can carry between networks."""
    text = _text(value, "an IP address")
    try:
        parsed = ip_address(text)
    except ValueError:
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no IP address") from None
    if getattr(parsed, "scope_id", None) or not _routable(parsed):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no address that a network can route")
    return parsed


def next_hop(value: Any) -> Address:
    """The next hop of a gateway: an address, or a link-local address with the switch port at which the router is,
    `fe80::1%s4:1`. The result's `scope_id` is that port as it is written."""
    written, zone, port = _text(value, "an IP address").partition("%")
    if not zone:
        if _is_link_local(written):
            raise refuse(
                Code.BAD_VALUE, f"{quoted(written)} is on many links: name its port, {written}%SWITCH:PORT"
            )
        return address(value)
    switch_port(port)
    if not _is_link_local(written):
        raise refuse(
            Code.BAD_VALUE, f"{quoted(written)} is no link-local IPv6 address: only such a one needs a port"
        )
    return IPv6Address(f"{written}%{port}")


def _is_link_local(text: str) -> bool:
    try:
        return IPv6Address(text).is_link_local
    except ValueError:
        return False


def prefix(value: Any) -> Network:
    """An IPv4 or IPv6 prefix whose host bits are zero. The checks of the site allow /0 for gateways only."""
    text = _text(value, "a prefix such as 10.1.0.0/24")
    if not re.search(
        "/[0-9]{1,3}$", text
    ):  # ipaddress also accepts netmasks, which are probably mistakes here
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no prefix: it needs a length such as /24 or /64")
    try:
        parsed = ip_network(text, strict=False)
    except ValueError:
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no IP prefix") from None
    if ip_network_text(text) != parsed.network_address:
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} has bits set beyond its length", str(parsed))
    if parsed.prefixlen and (not _routable(parsed.network_address + 1) or getattr(parsed, "scope_id", None)):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no prefix that a network can route")
    if parsed.max_prefixlen - parsed.prefixlen < 2:
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} has no room for a gateway and a host")
    return parsed


def network(value: Any) -> Network:
    """A prefix, or an address, which stands for a prefix with this address only."""
    text = _text(value, "an IP address or a prefix such as 10.1.0.0/24")
    try:
        parsed = ip_network(text, strict=False) if re.search("^[^/]+(/[0-9]{1,3})?$", text) else None
    except ValueError:
        parsed = None
    if parsed is None or getattr(parsed.network_address, "scope_id", None):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no IP address and no prefix")
    if ip_network_text(text) != parsed.network_address:
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} has bits set beyond its length", str(parsed))
    if parsed.prefixlen and not _routable(parsed.network_address):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is nothing that a network can route")
    return parsed


def ip_network_text(text: str) -> Address:
    """The address before the slash of a valid prefix."""
    return ip_address(text.partition("/")[0])


def _routable(value: Address) -> bool:
    return not (value.is_multicast or value.is_loopback or value.is_unspecified or value.is_link_local)


def first_address(network: IPv4Network | IPv6Network) -> Address:
    """The first address of a prefix that a machine may have."""
    return network.network_address + 1


def switch_port(value: Any) -> PortName:
    """`s1:3`: a switch's name and an OpenFlow port number, 1 to 65279. Up to two VLAN tags may follow, 1 to 4094 (IEEE
    802.1Q)."""
    text = _text(value, "a switch port such as s1:3")
    switch, colon, numbers = text.rpartition(":")
    if not colon or not _NAME.fullmatch(switch) or not _PORT_NUMBERS.fullmatch(numbers):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no switch port: write SWITCH:PORT, such as s1:3")
    number, *tags = map(int, numbers.split("."))
    if not 1 <= number <= MAX_PORT:
        raise refuse(Code.OUT_OF_RANGE, f"port number {number} is outside 1 to {MAX_PORT}")
    wrong = [tag for tag in tags if not 1 <= tag <= MAX_TAG]
    if wrong:
        raise refuse(Code.OUT_OF_RANGE, f"tag {wrong[0]} is outside 1 to {MAX_TAG}")
    return PortName(switch, number, tuple(tags))


def mac(value: Any) -> bytes:
    """`02:00:00:00:01:09` -> 6 bytes. Refuses group addresses and all zeros."""
    text = _text(value, "a MAC such as 02:00:00:00:01:09")
    if not _MAC.fullmatch(text):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is no MAC such as 02:00:00:00:01:09")
    packed = bytes.fromhex(text.replace(":", ""))
    if packed[0] & 1 or not any(packed):
        raise refuse(Code.BAD_VALUE, f"{quoted(text)} is the MAC of no machine")
    return packed


def datapath_id(value: Any) -> int:
    """A datapath id: a whole number (10 is ten), or hex text ("10", 0000000000000010 and 0x10 are sixteen)."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        text = _text(value, "a datapath id (a whole number or hex text)")
        if _COLONED_DPID.fullmatch(text):
            text = text.replace(":", "")
        if not _DPID.fullmatch(text):
            raise refuse(
                Code.BAD_VALUE, f"{quoted(text)} is no datapath id: a whole number or up to 16 hex digits"
            )
        number = int(text, 16)
    if not 1 <= number <= MAX_DPID:
        raise refuse(Code.OUT_OF_RANGE, "a datapath id lies between 1 and 2^64-1")
    return number


def tcp_ports(value: Any) -> tuple[int, int]:
    """A range with both ends, from 443 or "5000-6000"."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise refuse(Code.WRONG_TYPE, f"must be a port or a range such as 5000-6000, not {kind_of(value)}")
    match = _RANGE.fullmatch(str(value))
    if match is None:
        raise refuse(Code.BAD_VALUE, f"{quoted(value)} is no port and no range such as 5000-6000")
    low = int(match[1])
    high = int(match[2]) if match[2] else low
    if low < 1 or high > 0xFFFF:
        raise refuse(Code.OUT_OF_RANGE, f"{quoted(value)} leaves the port numbers 1 to 65535")
    if high < low:
        raise refuse(Code.BAD_VALUE, f"{quoted(value)} ends before it begins", f"{high}-{low}")
    return (low, high)


def merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Port ranges in order. Ranges that touch or overlap are joined."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def word(words: type[StrEnum]) -> Callable[[Any], Any]:
    """A function that reads one of the words of an enum."""

    def read(value: Any) -> Any:
        known = [member.value for member in words]
        if isinstance(value, str) and value in known:
            return words(value)
        shown = quoted(value) if isinstance(value, str) else kind_of(value)
        raise refuse(Code.BAD_VALUE, f"{shown} is none of {', '.join(known)}", nearest(value, known))

    return read


def version(value: Any) -> int:
    """The version of a file's format; this release reads 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(Code.WRONG_TYPE, f"the version must be the number 1, not {kind_of(value)}")
    if value != 1:
        raise refuse(
            Code.UNSUPPORTED, f"version {quoted(value)} of this file is not in this release, which reads 1"
        )
    return value


class WordedEnum:
    """The annotation of a field that is written as one of the words of an enum."""

    def __get_pydantic_core_schema__(
        self, source: type[StrEnum], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        self.words = [member.value for member in source]
        return core_schema.no_info_plain_validator_function(word(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": self.words}


class ListOrItem:
    """The annotation of a list whose brackets may be left out if it has one item."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        array = handler(schema["schema"])
        return {"anyOf": [array["items"], array]}


def listed(value: Any) -> Any:
    """A single value as a list of one item. An empty value of YAML stays as it is, which is a mistake."""
    return value if isinstance(value, list) else [value]


_NAME_TEXT = WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
_PORT_TEXT = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"type": "string", "pattern": r"^[0-9]{1,5}( *- *[0-9]{1,5})?$"},
        ]
    }
)
_DPID_TEXT = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": f"^({_DPID.pattern}|{_COLONED_DPID.pattern})$"},
        ]
    }
)


def _text_schema(description: str, pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, "pattern": pattern})


_ADDRESS_TEXT = _text_schema("IPv4 or IPv6 address", "^[0-9A-Fa-f:.]{2,45}$")
_HOP_TEXT = _text_schema(
    "IPv4 or IPv6 address; a link-local one with its port, fe80::1%s4:1",
    f"^[0-9A-Fa-f:.]{{2,45}}(%{_NAME.pattern}:[0-9]{{1,10}})?$",
)
_PREFIX_TEXT = _text_schema("IPv4 or IPv6 prefix", "^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}$")
_NETWORK_TEXT = _text_schema("IPv4 or IPv6 prefix or address", "^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$")

_MAC_TEXT = _text_schema("MAC of one machine", _MAC.pattern)
Name = Annotated[str, PlainValidator(name), _NAME_TEXT]
IpAddress = Annotated[Address, PlainValidator(address), _ADDRESS_TEXT]
NextHop = Annotated[Address, PlainValidator(next_hop), _HOP_TEXT]
IpPrefix = Annotated[Network, PlainValidator(prefix), _PREFIX_TEXT]
IpNetwork = Annotated[Network, PlainValidator(network), _NETWORK_TEXT]
SwitchPort = Annotated[
    PortName,
    PlainValidator(switch_port),
    _text_schema("SWITCH:PORT", f"^{_NAME.pattern}:{_PORT_NUMBERS.pattern}$"),
]
Mac = Annotated[bytes, PlainValidator(mac), _MAC_TEXT]
DatapathId = Annotated[int, PlainValidator(datapath_id), _DPID_TEXT]
PortRange = Annotated[tuple[int, int], PlainValidator(tcp_ports), _PORT_TEXT]
Version = Annotated[int, PlainValidator(version), WithJsonSchema({"type": "integer", "const": 1})]
PortRanges = Annotated[list[PortRange], Field(min_length=1, max_length=256), ListOrItem()]
