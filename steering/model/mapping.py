"""Who had which external address and ports, and when: what an MCP that shares addresses reports (RFC 6888 section 4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

_IDENTIFIER = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Mapping:
    """`internal` and `external` are addresses or prefixes as text; in mode ipv6-prefix `external` is an identifier (its
    upper half zero) under the prefix of `internal`. `begin` and `end`: seconds since 1970, `end` None for one that
    goes on. `subscriber`: a pseudonym, "" for nobody the policy knew. `destination`: "" unless asked for."""

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
        """What the lines about one mapping have in common."""
        return (self.mcp, self.internal, self.external, self.first_port, self.last_port, self.begin)

    def covers(self, address: str, port: int) -> bool:
        """Whether an external address and port are of it."""
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
    """Whose an external address and port were at a time; `mappings` in the order in which they were reported.

    A mapping whose end was reported is the later line's; one whose end never was (its MCP was killed) is over when
    another of the same address and ports begins.
    """
    found: dict[tuple[str, str, str, int, int, float], Mapping] = {}
    for mapping in mappings:
        if mapping.begin <= at and mapping.covers(address, port):
            found[mapping.key] = mapping
    held = [one for one in found.values() if one.end is None or at <= one.end]
    return max(held, key=lambda one: one.begin, default=None)


class Mappings(Protocol):
    """Where mappings are kept."""

    def append(self, mappings: Iterable[Mapping]) -> None:
        """Keep them. Raises OSError."""

    def find(self, address: str, port: int, at: float | None) -> Mapping | None:
        """Whose they were (see `holder`); `at` None is now. Raises OSError."""
