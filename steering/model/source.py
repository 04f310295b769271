"""What an MCP does with source addresses (draft-nam section 5.4), as far as the network has to know: what its server legs
may come from, and what has to lead back to it."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network
IDENTIFIER_BITS = 64


class SourceMode(StrEnum):
    """How a server leg's source address is made (N-5.4)."""

    TRANSPARENT = "transparent"  # the host's own, either family (N-5.4.1)
    IPV6_PREFIX = "ipv6-prefix"  # the host's /64, another identifier (N-5.4.1.2)
    IPV6_ADDRESS = "ipv6-address"  # the host's own, IPv6 (N-5.4.1.3)
    SHARED = "shared"  # ports of an IPv4 address that several subscribers have (N-5.4.2.1)
    ONE_TO_ONE = "one-to-one"  # an IPv4 address of its own (N-5.4.2.2)
    NPTV6 = "nptv6"  # another prefix for the host's (N-5.4.2.3)

    @property
    def preserves(self) -> bool:
        """Whether servers see the host's own address, so that no pool is needed (N-5.4.1c)."""
        return self is _TRANSPARENT or self is _IPV6_ADDRESS

    @property
    def shares(self) -> bool:
        """Whether several subscribers have one address, so that only ports tell them apart (RFC 6269)."""
        return self is SourceMode.SHARED

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions it is a mode of."""
        if self is SourceMode.TRANSPARENT:
            return (4, 6)
        return (4,) if self in (SourceMode.SHARED, SourceMode.ONE_TO_ONE) else (6,)


@dataclass(frozen=True, slots=True)
class SourceModes:
    """An MCP's modes; it makes no server legs of a family that has none."""

    ipv4: SourceMode | None
    ipv6: SourceMode | None

    def mode(self, version: int) -> SourceMode | None:
        """The mode of server legs of an IP version."""
        return self.ipv4 if version == 4 else self.ipv6

    def preserves(self, version: int) -> bool:
        """Whether a server leg of this version has the host's own address and port."""
        mode = self.ipv4 if version == 4 else self.ipv6
        return mode is _TRANSPARENT or mode is _IPV6_ADDRESS


# Looked up for every session: by names of their own that is three times as fast in Python 3.11.
_TRANSPARENT, _IPV6_ADDRESS = SourceMode.TRANSPARENT, SourceMode.IPV6_ADDRESS
TRANSPARENT = SourceModes(SourceMode.TRANSPARENT, SourceMode.TRANSPARENT)


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Interface identifiers of `pool` under every /64 of `prefix`: what an MCP in `ipv6-prefix` gives (N-5.4.1.2).

    Told by fixed bits in the lower half of the address, so that one entry for each access prefix leads all of them
    back to their MCP, whatever sessions there are and whether or not a controller is there. It stands beside networks
    in rules and so has their attributes; `prefixlen` is the number of bits that are matched.
    """

    prefix: IPv6Network
    pool: IPv6Network  # the upper half is zero

    @property
    def version(self) -> int:
        return 6

    @property
    def max_prefixlen(self) -> int:
        return self.prefix.max_prefixlen

    @property
    def prefixlen(self) -> int:
        return self.prefix.prefixlen + self.pool.prefixlen - IDENTIFIER_BITS

    @property
    def network_address(self) -> IPv6Address:
        return IPv6Address(int(self.prefix.network_address) | int(self.pool.network_address))

    @property
    def netmask(self) -> IPv6Address:
        low = int(self.pool.netmask) & (1 << IDENTIFIER_BITS) - 1
        return IPv6Address(int(self.prefix.netmask) | low)

    def __str__(self) -> str:
        return f"{self.network_address} mask {self.netmask}"


Prefix = Network | Identifiers


def given_under(modes: SourceModes, pools: tuple[Network, ...], prefixes: list[Network]) -> list[Prefix]:
    """What an MCP gives its server legs: its pools, or their identifiers under hosts' `prefixes`."""
    found: list[Prefix] = []
    for pool in pools:
        if isinstance(pool, IPv6Network) and modes.ipv6 is SourceMode.IPV6_PREFIX:
            found += [Identifiers(prefix, pool) for prefix in prefixes if isinstance(prefix, IPv6Network)]
        else:
            found.append(pool)
    return found
