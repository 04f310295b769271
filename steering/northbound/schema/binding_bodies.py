"""What devices and MCPs send about ports and addresses: bindings of /v1/bindings, reports of /v1/mappings."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from steering.northbound.http.body import Body
from steering.northbound.schema.bodies import LATEST, HostAddress, IpAddress, Name

LIFETIME, LONGEST = 3_600, 86_400  # seconds (requirements B37)
LOWEST = 1_024  # external ports below are services' own
MOST_REPORTED = 1_000

Port = Annotated[int, Field(ge=1, le=65_535)]
Lifetime = Annotated[int, Field(ge=1, le=LONGEST)]


class BindingWish(Body):
    """`device` is for operators: a token of role device is its own. Without `mcp` one is chosen that is well, without
    `ext_port` a free one, without `address` the first that the device is paired with."""

    device: Name | None = None
    mcp: Name | None = None
    address: HostAddress | None = None
    ext_port: Annotated[int, Field(ge=LOWEST, le=65_535)] | None = None
    int_port: Port
    lifetime_s: Lifetime = LIFETIME


class BindingRenewal(Body):
    """`lifetime_s` from now on; not given, as long as before."""

    lifetime_s: Lifetime | None = None


def _network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError("an IP address or prefix is wanted") from None
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if alone else str(network)


AddressOrPrefix = Annotated[str, Field(min_length=2, max_length=64), AfterValidator(_network)]
AnyPort = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(ge=0, le=LATEST)]


class MappingReport(Body):
    """A line of an MCP's mapping log. `end` null: it goes on."""

    mcp: Annotated[str, Field(max_length=64)] = ""
    internal: AddressOrPrefix
    external: AddressOrPrefix
    first_port: AnyPort
    last_port: AnyPort
    begin: Seconds
    end: Seconds | None = None
    destination: IpAddress | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "MappingReport":
        if self.last_port < self.first_port:
            raise ValueError("last_port is before first_port")
        if self.end is not None and self.end < self.begin:
            raise ValueError("end is before begin")
        return self


class MappingBatch(Body):
    mappings: Annotated[list[MappingReport], Field(min_length=1, max_length=MOST_REPORTED)]
