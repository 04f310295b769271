"""The schema of a site file. The checks compare its parts later."""

from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetPydanticSchema, WithJsonSchema
from pydantic_core import core_schema

from steering.model.network import HOME, HostLearning, Interception, McpType, NetworkAccessType, Trust
from steering.model.source import SourceMode, SourceModes
from steering.policy.language.fields import (
    DatapathId,
    IpAddress,
    IpNetwork,
    IpPrefix,
    ListOrItem,
    Mac,
    Name,
    NextHop,
    PortRange,
    PortRanges,
    SwitchPort,
    Version,
    WordedEnum,
    kind_of,
    refuse,
)
from steering.policy.language.findings import Code, nearest, quoted
from steering.policy.language.validate import EmptyList, EmptyMapping, StrictModel
from steering.policy.site.aaa_schema import AaaFile

MAX_ITEMS = 8_192  # most access networks, gateways or MCPs
Items = Field(max_length=MAX_ITEMS)
CertificateName = Annotated[str, Field(min_length=1, max_length=253)]  # a DNS name, or a common name


REFERRAL_PORTS = (
    21,
    554,
    1720,
    5060,
    5061,
)  # ports of FTP, RTSP, H.323 and SIP, whose payload carries addresses
MODES = [mode.value for mode in SourceMode]


def source_modes(value: Any) -> SourceModes:
    """One mode, or one for each family: `{ipv4: shared, ipv6: nptv6}`."""
    if not isinstance(value, dict):
        mode = _source_mode(value)
        return SourceModes(*(mode if version in mode.versions else None for version in (4, 6)))
    chosen: dict[str, SourceMode] = {}
    for key, word in value.items():
        if key not in ("ipv4", "ipv6"):
            raise refuse(Code.UNKNOWN_KEY, f"unknown key {quoted(key)}", nearest(key, ("ipv4", "ipv6")))
        chosen[key] = _source_mode(word)
        if int(key[-1]) not in chosen[key].versions:
            raise refuse(Code.BAD_VALUE, f"{quoted(word)} is no mode of IPv{key[-1]}")
    if not chosen:
        raise refuse(Code.BAD_VALUE, "neither 'ipv4' nor 'ipv6' has a mode")
    return SourceModes(chosen.get("ipv4"), chosen.get("ipv6"))


def _source_mode(value: Any) -> SourceMode:
    if not isinstance(value, str) or value not in MODES:
        shown = quoted(value) if isinstance(value, str) else kind_of(value)
        raise refuse(Code.BAD_VALUE, f"{shown} is none of {', '.join(MODES)}", nearest(value, MODES))
    return SourceMode(value)


def _modes_schema(source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    return core_schema.no_info_plain_validator_function(source_modes)


_MODE_TEXT = {"type": "string", "enum": MODES}
_MODES_TEXT = {
    "anyOf": [
        _MODE_TEXT,
        {
            "type": "object",
            "description": "a mode for each family: {ipv4: MODE, ipv6: MODE}",
            "properties": {
                f"ipv{n}": {"type": "string", "enum": [m.value for m in SourceMode if n in m.versions]}
                for n in (4, 6)
            },
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}


Prefixes = Annotated[list[IpPrefix], Field(min_length=1, max_length=64)]
Ports = Annotated[list[SwitchPort], Field(min_length=1, max_length=64)]
Addresses = Annotated[list[IpAddress], Field(min_length=1, max_length=64)]
NextHops = Annotated[list[NextHop], Field(min_length=1, max_length=64)]
Mbit = Annotated[float, Field(gt=0, le=10_000_000)]


class StaticHostFile(StrictModel):
    """A host of an access network whose `hosts` are `static`."""

    address: IpAddress
    port: SwitchPort
    mac: Mac | None = None  # None: any


class AccessNetworkFile(StrictModel):
    name: Name
    type: Annotated[NetworkAccessType, WordedEnum()]
    trust: Annotated[Trust, WordedEnum()] = Trust.OPERATOR
    prefixes: Prefixes
    ports: Ports
    gateways: Addresses | None = None
    capacity_mbit: Mbit | None = None  # of each port in each direction (D-1.e)
    hosts: Annotated[HostLearning, WordedEnum()] = HostLearning.PROBED
    # Of its ports, those that its DHCP server or relay is behind, where hosts are `dhcp`.
    dhcp_ports: Annotated[list[SwitchPort], EmptyList, Field(max_length=64)] = Field(default=[])
    static_hosts: Annotated[list[StaticHostFile], EmptyList, Field(max_length=65_536)] = Field(default=[])
    addresses_per_host: Annotated[int, Field(ge=1, le=65_536)] = 64  # most addresses of one MAC at one port
    # What binds an IPv6 source to its port, unless hosts are `learned`: its address, or its /64 (RFC 8273).
    ipv6_binding: Literal["address", "prefix"] = "address"


class GatewayFile(StrictModel):
    name: Name
    prefixes: Prefixes
    ports: Ports
    next_hops: NextHops | None = None
    gateways: Addresses | None = None
    hosts: Annotated[HostLearning, WordedEnum()] = HostLearning.PROBED  # `static` is for access networks


class InLinePorts(StrictModel):
    inside: SwitchPort
    outside: SwitchPort


class Capacity(StrictModel):
    sessions: int = Field(default=10_000, ge=1, le=1_000_000)


class ProbeFile(StrictModel):
    """How an MCP is asked whether it lives. Without a port by ARP or ND."""

    port: Annotated[int, Field(ge=1, le=0xFFFF)] | None = None
    interval: float = Field(default=0.2, ge=0.1, le=60)  # seconds
    misses: int = Field(default=3, ge=1, le=100)  # in a row, then it is taken for gone


class McpFile(StrictModel):
    name: Name
    type: Annotated[McpType, WordedEnum()]
    port: SwitchPort | None = None
    ports: InLinePorts | None = None
    interception: Annotated[Interception, WordedEnum()] = Interception.STEERED
    addresses: Addresses
    gateways: Addresses | None = None
    source_mode: Annotated[
        SourceModes, GetPydanticSchema(_modes_schema), WithJsonSchema(_MODES_TEXT)
    ]  # required, as no mode may be assumed (N-5.4.0)
    pools: Annotated[list[IpNetwork], EmptyList, Field(max_length=64)] = Field(default=[])
    nat64: IpNetwork | None = None
    referral_ports: Annotated[list[PortRange], EmptyList, Field(max_length=256)] = Field(
        default=[(p, p) for p in REFERRAL_PORTS]
    )
    capacity: Annotated[Capacity, EmptyMapping] = Capacity()
    tcp_ports: PortRanges = Field(default=[(1, 0xFFFF)])
    location: Name | None = None  # in the operator's words: small-cell, ip-gateway, sgi, data-centre
    access_networks: Annotated[list[Name], Field(min_length=1, max_length=64), ListOrItem()] | None = None
    public_addresses: Annotated[list[IpAddress], Field(min_length=1, max_length=64), ListOrItem()] | None = (
        None
    )
    operator: Name = HOME  # an MCP of another operator gets no session unless the policy says so (D-7.3)
    probe: Annotated[ProbeFile, EmptyMapping] = ProbeFile()


class VirtualAddressFile(StrictModel):
    """An address that several MCPs share; hosts in explicit mode address it, the controller chooses (N-5.2.1)."""

    address: IpAddress
    mcps: Annotated[list[Name], Field(min_length=1, max_length=64), ListOrItem()]
    port: Annotated[int, Field(ge=1, le=0xFFFF)] | None = None  # the only TCP port that is served; None: all


class LinkFile(StrictModel):
    ports: Annotated[list[SwitchPort], Field(min_length=2, max_length=2)]
    weight: float = Field(default=1.0, gt=0, le=1_000_000)
    capacity_mbit: Mbit | None = None
    bfd: bool = False  # both switches run BFD on it (docs/failover.rst), and are believed


class SiteFile(StrictModel):
    site: Version
    switches: Annotated[dict[Name, DatapathId], EmptyMapping] = Field(default={})
    switch_certificates: Annotated[dict[Name, CertificateName], EmptyMapping] = Field(default={})
    unknown_switches: Literal["refuse", "allow"] = "refuse"
    links: Annotated[list[LinkFile], Field(max_length=50_000)] | None = None
    discover: bool | None = None
    # The only ports at which links are discovered. Without it, at any port that is no attachment.
    link_ports: Annotated[list[SwitchPort], Field(min_length=1, max_length=100_000), ListOrItem()] | None = (
        None
    )
    access_networks: Annotated[list[AccessNetworkFile], EmptyList, Items] = Field(default=[])
    gateways: Annotated[list[GatewayFile], EmptyList, Items] = Field(default=[])
    mcps: Annotated[list[McpFile], EmptyList, Items] = Field(default=[])
    virtual_addresses: Annotated[list[VirtualAddressFile], EmptyList, Items] = Field(default=[])
    aaa: Annotated[AaaFile, EmptyMapping] = AaaFile()
