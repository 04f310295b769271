"""Address mappings: which host had which external address and ports, and when. MCPs that share addresses report them
(RFC 6888 section 4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

_IDENTIFIER = (1 << 64) - 1


class MappingRefusal(StrEnum):
    """Why a line of an MCP's mapping log is not kept."""

    OTHER_ADDRESS = "other-address"  # its external address is none of the MCP's own, nor of its pools


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping of an MCP. `internal` and `external`: addresses or prefixes as text. In mode ipv6-prefix `external` is
    an interface identifier (its upper half is zero), used under the prefix of `internal`. `begin` and `end`: seconds
    since 1970. `end` is None for a mapping that still exists. `subscriber`: a pseudonym, "" for an unknown one.
    `destination`: "" unless destinations are logged."""

    mcp: str
    internal: str
    external: str
    first_port: int
    last_port: int
    begin: float
    end: float | None
    subscriber: str = ""
    destination: str = ""

    @property
    def key(self) -> tuple[str, str, str, int, int, float]:
        """The fields by which all lines about one mapping are recognised."""
        return (self.mcp, self.internal, self.external, self.first_port, self.last_port, self.begin)

    def covers(self, address: str, port: int) -> bool:
        """Whether the mapping contains an external address and port."""
        if not self.first_port <= port <= self.last_port:
            return False
        asked, given = ip_address(address), ip_network(self.external)
        if asked.version != given.version:
            return False
        if isinstance(given, IPv6Network) and given.prefixlen == 128 and not int(given.network_address) >> 64:
            inside = ip_network(self.internal, strict=False).network_address
            own = int(inside) & ~_IDENTIFIER if isinstance(inside, IPv6Address) else 0
            return int(asked) == own | int(given.network_address)
        return asked in given


def holder(mappings: Iterable[Mapping], address: str, port: int, at: float) -> Mapping | None:
    """The mapping that contained an external address and port at a time. `mappings`: in the order of their reports.

    Of several lines about one mapping the last counts, because it may have the end. The end of a mapping is never
    reported if its MCP was killed. Such a mapping ends when another mapping of the same address and ports begins.
    """
    found: dict[tuple[str, str, str, int, int, float], Mapping] = {}
    for mapping in mappings:
        if mapping.begin <= at and mapping.covers(address, port):
            found[mapping.key] = mapping
    held = [one for one in found.values() if one.end is None or at <= one.end]
    return max(held, key=lambda one: one.begin, default=None)


class Mappings(Protocol):
    """A store of mappings."""

    def append(self, mappings: Iterable[Mapping]) -> None:
        """Store mappings. They take room only from those of the same MCP. Raises OSError."""

    def find(self, address: str, port: int, at: float | None) -> Mapping | None:
        """The mapping that contained an address and port (see `holder`). `at` None: now. Raises OSError."""
