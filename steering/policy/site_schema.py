"""The shape of a site file, before anything is compared with anything else."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from steering.model.network import Interception, McpType, NetworkAccessType, Trust
from steering.policy.aaa_schema import AaaFile
from steering.policy.fields import (
    DatapathId,
    IpAddress,
    IpPrefix,
    Name,
    PortRanges,
    SwitchPort,
    Version,
    Worded,
    kind_of,
    refuse,
)
from steering.policy.findings import Code, nearest, quoted
from steering.policy.validate import EmptyList, EmptyMapping, Strict

MAX_ITEMS = 1024  # access networks, gateways, MCPs: 16-bit waypoint numbers carry no more
Items = Field(max_length=MAX_ITEMS)


class SourceMode(StrEnum):
    """What an MCP does with source addresses (draft-nam section 5.4); `transparent` is the one served."""

    TRANSPARENT = "transparent"
    PREFIX_PRESERVING = "prefix-preserving"  # N-5.4.1.2
    ADDRESS_PRESERVING = "address-preserving"  # N-5.4.1.3
    SHARED = "shared"  # N-5.4.2.1
    ONE_TO_ONE = "one-to-one"  # N-5.4.2.2
    NPTV6 = "nptv6"  # N-5.4.2.3


def source_mode(value: Any) -> SourceMode:
    """Refuses by different words what the drafts know and what nobody knows."""
    known = [mode.value for mode in SourceMode]
    if not isinstance(value, str) or value not in known:
        shown = quoted(value) if isinstance(value, str) else kind_of(value)
        raise refuse(Code.BAD_VALUE, f"{shown} is none of {', '.join(known)}", nearest(value, known))
    if value != SourceMode.TRANSPARENT:
        raise refuse(Code.UNSUPPORTED, f"{quoted(value)} is not in this version, which serves 'transparent'")
    return SourceMode.TRANSPARENT


Prefixes = Annotated[list[IpPrefix], Field(min_length=1, max_length=64)]
Ports = Annotated[list[SwitchPort], Field(min_length=1, max_length=64)]
Addresses = Annotated[list[IpAddress], Field(min_length=1, max_length=64)]


class AccessNetworkFile(Strict):
    name: Name
    type: Annotated[NetworkAccessType, Worded()]
    trust: Annotated[Trust, Worded()] = Trust.OPERATOR
    prefixes: Prefixes
    ports: Ports
    gateways: Addresses | None = None


class GatewayFile(Strict):
    name: Name
    prefixes: Prefixes
    ports: Ports
    next_hops: Addresses | None = None
    gateways: Addresses | None = None


class InLinePorts(Strict):
    inside: SwitchPort
    outside: SwitchPort


class Capacity(Strict):
    sessions: int = Field(default=10_000, ge=1, le=1_000_000)


class McpFile(Strict):
    name: Name
    type: Annotated[McpType, Worded()]
    port: SwitchPort | None = None
    ports: InLinePorts | None = None
    interception: Annotated[Interception, Worded()] = Interception.STEERED
    addresses: Addresses
    gateways: Addresses | None = None
    source_mode: Annotated[
        SourceMode, PlainValidator(source_mode), WithJsonSchema({"type": "string", "enum": ["transparent"]})
    ]  # N-5.4.0: given, never assumed
    capacity: Annotated[Capacity, EmptyMapping] = Capacity()
    tcp_ports: PortRanges = Field(default=[(1, 0xFFFF)])


class LinkFile(Strict):
    ports: Annotated[list[SwitchPort], Field(min_length=2, max_length=2)]
    weight: float = Field(default=1.0, gt=0, le=1_000_000)


class SiteFile(Strict):
    site: Version
    switches: Annotated[dict[Name, DatapathId], EmptyMapping] = Field(default={})
    links: Annotated[list[LinkFile], Field(max_length=10_000)] | None = None
    discover: bool | None = None
    access_networks: Annotated[list[AccessNetworkFile], EmptyList, Items] = Field(default=[])
    gateways: Annotated[list[GatewayFile], EmptyList, Items] = Field(default=[])
    mcps: Annotated[list[McpFile], EmptyList, Items] = Field(default=[])
    aaa: Annotated[AaaFile, EmptyMapping] = AaaFile()
