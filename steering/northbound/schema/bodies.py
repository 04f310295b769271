"""What requests may carry: checked by pydantic, described to OpenAPI from the same models."""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from steering.model.network import NetworkAccessType, Trust
from steering.northbound.http.body import Body
from steering.northbound.http.parameters import ADDRESS_SCHEMA, read_address
from steering.store.lists import ports_of

Json = dict[str, Any]

MAX_SEQUENCE = 2**53 - 1  # what every JSON reader holds exactly (RFC 8259 section 6)
MAX_SLOW = 256  # slow servers in one report of an MCP
LATEST = 1 << 33  # seconds since 1970
MAX_SOURCES = 1_024  # sources of all entries of an access control list together


IpAddress = Annotated[str, AfterValidator(read_address), WithJsonSchema(ADDRESS_SCHEMA)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


def _network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError("an IP address or prefix is wanted, no bits set beyond its length") from None
    if getattr(network.network_address, "scope_id", None):
        raise ValueError("an address without a zone is wanted")
    return str(network)


def _ports(text: str) -> str:
    try:
        ports_of(text)
    except ValueError:
        raise ValueError("a port or a range such as 5000-6000 is wanted") from None
    return text


def _own(text: str) -> str:
    return str(read_address(text))


def _devices(text: str) -> str:
    """The address of a device, as text. An MCP opens ports that lead there, so loopback addresses are refused: they would lead to the MCP's
    own machine. IPv4 addresses in IPv6 form are refused, because one device could have its address in two forms."""
    address = read_address(text)
    if address.version == 6 and address.ipv4_mapped is not None:
        raise ValueError("an IPv4 address is wanted as one")
    is_everybodys = address.is_multicast or address.is_unspecified or int(address) == (1 << 32) - 1
    if is_everybodys or address.is_loopback or address.is_link_local:
        raise ValueError("an address of one machine is wanted, which others reach")
    return str(address)


IpNetwork = Annotated[str, Field(max_length=64), AfterValidator(_network)]
DeviceAddress = Annotated[str, AfterValidator(_devices), WithJsonSchema(ADDRESS_SCHEMA)]
HostAddress = Annotated[str, AfterValidator(_own), WithJsonSchema(ADDRESS_SCHEMA)]
PortsText = Annotated[str, Field(pattern="^[0-9]{1,5}(-[0-9]{1,5})?$"), AfterValidator(_ports)]


class AccessUpdate(Body):
    """Network access type information (D-6.3e). `sequence` grows with every update: older ones are refused."""

    type: NetworkAccessType
    trust: Trust
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]


AccessTypes = Annotated[list[NetworkAccessType], Field(max_length=len(NetworkAccessType))]


class SubscriberUpdate(Body):
    """Which access types a subscriber may combine and which come first, in place of what rules say (D-6.3e); both
    empty: as rules say. `sequence` grows with every update: older ones are refused."""

    allowed: AccessTypes = Field(default=[])
    preferred: AccessTypes = Field(default=[])
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]


class LinkUpdate(Body):
    """What a link costs, both ways; null: what the site file says (D-1.d)."""

    weight: Annotated[float, Field(gt=0, le=1_000_000)] | None


class ClockUpdate(Body):
    """Seconds that the clock of rules with windows is ahead of the controller's own; 0: as it is (D-3.2c)."""

    offset_s: Annotated[int, Field(gt=-604_800, lt=604_800)]


class OffloadOrder(Body):
    """Move what goes by the access network `from` to `to` wherever a session has both; null: no more (D-1.u2)."""

    source: Annotated[Name, Field(alias="from")]
    target: Annotated[Name | None, Field(alias="to")]


class SlowServer(Body):
    """A server that gets plain TCP until then (N-5.6.1d); seconds since 1970."""

    address: HostAddress
    until: Annotated[float, Field(ge=0, le=LATEST)]


class LoadReport(Body):
    """An MCP's own word: whether it serves, and how full it is, 0 to 1. `slow_servers`: all that it knows, the newest;
    alone they say nothing of its health."""

    alive: bool = True
    load: Annotated[float, Field(ge=0, le=1)] | None = None
    slow_servers: Annotated[list[SlowServer], Field(max_length=MAX_SLOW)] | None = None


class WhatIfQuestion(Body):
    """A connection that nobody opens."""

    source: IpAddress
    destination: IpAddress
    port: Annotated[int, Field(ge=1, le=65_535)]
    source_port: Annotated[
        int, Field(ge=1, le=65_535, description="The host's; rules with terminate_only go by it")
    ] = 49_152
    access: Name | None = None
    mptcp_version: Annotated[int, Field(ge=0, le=1)] = 1


class Rollback(Body):
    """An earlier version of the policy."""

    version: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]


class AclEntryBody(Body):
    """One entry of the access control list: all that is given must hold; what is empty accepts all."""

    name: Name
    action: Literal["allow", "deny"]
    source: Annotated[list[IpNetwork], Field(max_length=1_024)] = Field(default=[])
    access: Annotated[list[Name], Field(max_length=64)] = Field(default=[])
    destination: Annotated[list[IpNetwork], Field(max_length=1_024)] = Field(default=[])
    port: Annotated[list[PortsText], Field(max_length=64)] = Field(default=[])


def _few_sources(entries: list[AclEntryBody]) -> list[AclEntryBody]:
    if sum(len(entry.source) for entry in entries) > MAX_SOURCES:
        raise ValueError(f"the entries name more than {MAX_SOURCES} sources together")
    return entries


class AclList(Body):
    """The live list, whole: it stands before the policy's own, and the first entry that matches decides."""

    entries: Annotated[list[AclEntryBody], Field(max_length=256), AfterValidator(_few_sources)]


class Registration(Body):
    """A subscriber by its own name, which is not kept, and where its hosts are."""

    subscriber: Annotated[str, Field(min_length=1, max_length=128)]
    allowed: bool = True
    addresses: Annotated[list[IpNetwork], Field(max_length=16)] = Field(default=[])


class SubscriberName(Body):
    """A subscriber by its own name, which is not kept and in no log."""

    subscriber: Annotated[str, Field(min_length=1, max_length=128)]


class Pairing(Body):
    """Where a device speaks from."""

    addresses: Annotated[list[DeviceAddress], Field(min_length=1, max_length=8)]


MODELS: tuple[type[Body], ...] = (
    AccessUpdate,
    SubscriberUpdate,
    LinkUpdate,
    ClockUpdate,
    OffloadOrder,
    LoadReport,
    WhatIfQuestion,
    Rollback,
    AclList,
    Registration,
    Pairing,
    SubscriberName,
)


def schemas(models: Iterable[type[Body]]) -> dict[str, Json]:
    """JSON Schemas of models and of the models in them, by name. References point to OpenAPI's components."""
    found: dict[str, Json] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found
