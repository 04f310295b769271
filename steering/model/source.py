"""The source modes of an MCP (draft-nam section 5.4): which source addresses the MCP's server legs have. The network has
to lead packets to these addresses back to the MCP."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network
IDENTIFIER_BITS = 64


class SourceMode(StrEnum):
    """How the source address of a server leg is made (N-5.4)."""

    TRANSPARENT = "transparent"  # the host's address, either family (N-5.4.1)
    IPV6_PREFIX = "ipv6-prefix"  # the host's /64 with another interface identifier (N-5.4.1.2)
    IPV6_ADDRESS = "ipv6-address"  # the host's IPv6 address (N-5.4.1.3)
    SHARED = "shared"  # some ports of an IPv4 address that several subscribers share (N-5.4.2.1)
    ONE_TO_ONE = "one-to-one"  # an IPv4 address for each host (N-5.4.2.2)
    NPTV6 = "nptv6"  # another prefix in place of the host's (N-5.4.2.3)

    @property
    def preserves(self) -> bool:
        """Whether servers see the host's own address, so that the MCP needs no pool (N-5.4.1c)."""
        return self is _TRANSPARENT or self is _IPV6_ADDRESS

    @property
    def shares(self) -> bool:
        """Whether several subscribers share an address, so that only ports tell them apart (RFC 6269)."""
        return self is SourceMode.SHARED

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions for which the mode exists."""
        if self is SourceMode.TRANSPARENT:
            return (4, 6)
        return (4,) if self in (SourceMode.SHARED, SourceMode.ONE_TO_ONE) else (6,)


@dataclass(frozen=True, slots=True)
class SourceModes:
    """The modes of an MCP. Where a family has no mode, the MCP makes no server legs of that family."""

    ipv4: SourceMode | None
    ipv6: SourceMode | None

    def mode(self, version: int) -> SourceMode | None:
        """The mode of server legs of an IP version."""
        return self.ipv4 if version == 4 else self.ipv6

    def preserves(self, version: int) -> bool:
        """Whether a server leg of this version has the host's own address and port."""
        mode = self.ipv4 if version == 4 else self.ipv6
        return mode is _TRANSPARENT or mode is _IPV6_ADDRESS


# These two are read for every session. In Python 3.11 a module's name is three times as fast as an attribute of the enum.
_TRANSPARENT, _IPV6_ADDRESS = SourceMode.TRANSPARENT, SourceMode.IPV6_ADDRESS
TRANSPARENT = SourceModes(SourceMode.TRANSPARENT, SourceMode.TRANSPARENT)


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The interface identifiers of `pool` under every /64 of `prefix`: the source addresses of an MCP in
    `ipv6-prefix` (N-5.4.1.2).

    Fixed bits in the lower half mark these addresses. Thus one entry for each access prefix leads all of them back to
    their MCP, for all sessions, with or without a controller. Rules use this class in place of an IPv6Network, so it has
    the same attributes. `prefixlen` is the number of bits that are matched.
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
    """The source addresses of an MCP's server legs: its pools, or their identifiers under the hosts' `prefixes`."""
    found: list[Prefix] = []
    for pool in pools:
        if isinstance(pool, IPv6Network) and modes.ipv6 is SourceMode.IPV6_PREFIX:
            found += [Identifiers(prefix, pool) for prefix in prefixes if isinstance(prefix, IPv6Network)]
        else:
            found.append(pool)
    return found
