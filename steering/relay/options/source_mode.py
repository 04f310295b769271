"""Options about source addresses (N-5.4): a mode for each family, pools, and further settings of the modes.

Everything is checked before anything is opened. Every refusal is one line (ValueError) that names the option.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

FIRST_PORT = 1024
SHARED_PORTS = 64512
"""Ports 1024 to 65535, which a shared address can give to its users (RFC 6056 section 3.2)."""

MIN_BLOCK = 64
MAX_RATIO = SHARED_PORTS // MIN_BLOCK
MAX_POOLS = 64
IDENTIFIER_BITS = 64
"""Bits of an interface identifier, which is the lower half of an IPv6 address. The upper half is the host's prefix."""

REFERRAL_PORTS = (21, 554, 1720, 5060, 5061)
"""Ports of FTP, RTSP, H.323 and SIP, which carry addresses in their payload. In a mode that changes the address within its
prefix they would need an application gateway (N-5.4.1.2), which does not exist here."""


class RelaySourceMode(StrEnum):
    """How the source address of a server leg is made (N-5.4)."""

    TRANSPARENT = "transparent"  # the host's address, either family (N-5.4.1)
    IPV6_PREFIX = "ipv6-prefix"  # the host's /64 with another interface identifier (N-5.4.1.2)
    IPV6_ADDRESS = "ipv6-address"  # the host's IPv6 address (N-5.4.1.3)
    SHARED = "shared"  # a block of ports of a pool's IPv4 address (N-5.4.2.1)
    ONE_TO_ONE = "one-to-one"  # an IPv4 address of a pool for each host (N-5.4.2.2)
    NPTV6 = "nptv6"  # a pool's prefix in place of the host's (N-5.4.2.3)

    @property
    def preserves(self) -> bool:
        """Whether the server sees the host's own address, so that no pool is needed (N-5.4.1c)."""
        return self in (RelaySourceMode.TRANSPARENT, RelaySourceMode.IPV6_ADDRESS)


FAMILIES: dict[RelaySourceMode, tuple[int, ...]] = {
    RelaySourceMode.TRANSPARENT: (4, 6),
    RelaySourceMode.IPV6_PREFIX: (6,),
    RelaySourceMode.IPV6_ADDRESS: (6,),
    RelaySourceMode.SHARED: (4,),
    RelaySourceMode.ONE_TO_ONE: (4,),
    RelaySourceMode.NPTV6: (6,),
}


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """A checked configuration. A family without a mode is not relayed. `hold`: seconds, see
    addresses/source_pools.py."""

    ipv4: RelaySourceMode | None
    ipv6: RelaySourceMode | None
    pools: tuple[Network, ...] = ()
    sharing_ratio: int = 1
    subscriber_length: int = IDENTIFIER_BITS
    nat64: IPv6Network | None = None
    referral_ports: frozenset[int] = frozenset(REFERRAL_PORTS)
    hold: float = 3600.0
    uplink: bool = False  # for the MCP of a CPE: the address of the uplink, which all hosts of the LAN share

    def __str__(self) -> str:
        if self.uplink:
            return RelaySourceMode.SHARED.value
        if self.ipv4 is not None and self.ipv4 is self.ipv6:
            return self.ipv4.value
        given = (("ipv4", self.ipv4), ("ipv6", self.ipv6))
        return ",".join(f"{family}={mode.value}" for family, mode in given if mode is not None)

    def mode(self, version: int) -> RelaySourceMode | None:
        """The mode of server legs of a family, 4 or 6."""
        return self.ipv4 if version == 4 else self.ipv6

    def pools_of(self, version: int) -> tuple[Network, ...]:
        """The pools of a family. Those of `ipv6-prefix` are interface identifiers whose upper half is zero."""
        return tuple(pool for pool in self.pools if pool.version == version)

    @property
    def identifiers(self) -> tuple[IPv6Network, ...]:
        """The pools of interface identifiers; empty except in `ipv6-prefix`."""
        if self.ipv6 is not RelaySourceMode.IPV6_PREFIX:
            return ()
        return tuple(pool for pool in self.pools if isinstance(pool, IPv6Network))

    @property
    def addresses(self) -> tuple[Network, ...]:
        """The pools of whole addresses."""
        return tuple(pool for pool in self.pools if pool not in self.identifiers)

    @property
    def shares(self) -> bool:
        """Whether several subscribers share an address, so that only a log tells who used it."""
        return self.ipv4 is RelaySourceMode.SHARED

    def owns(self, address: str) -> bool:
        """Whether an address belongs to a pool of this MCP."""
        known = ip_address(address)
        if any(known in pool for pool in self.addresses):
            return True
        low = IPv6Address(int(known) & (1 << IDENTIFIER_BITS) - 1)
        return known.version == 6 and any(low in pool for pool in self.identifiers)

    def behind_nat64(self, address: str) -> str | None:
        """The IPv4 address in an address of the translation prefix (RFC 6052 section 2.2, /96). None for other
        addresses."""
        known = ip_address(address)
        if self.nat64 is None or known not in self.nat64:
            return None
        return str(IPv4Address(int(known) & 0xFFFF_FFFF))


UPLINK = SourceOptions(RelaySourceMode.TRANSPARENT, RelaySourceMode.TRANSPARENT, uplink=True)
"""The options of a relay whose dialler binds to the address of an uplink."""


def parse_modes(values: Sequence[str]) -> tuple[RelaySourceMode | None, RelaySourceMode | None]:
    """The modes for IPv4 and IPv6, from texts like `"shared"` and `"ipv6=nptv6"`. None where no mode is given. Raises
    ValueError."""
    if not values:
        raise ValueError(
            "--source-mode is required and has no default: say --source-mode transparent "
            "(the server sees the host's own address and port)"
        )
    chosen: dict[int, RelaySourceMode] = {}
    for text in values:
        family, given, word = text.rpartition("=")
        try:
            mode = RelaySourceMode(word)
        except ValueError:
            known = ", ".join(RelaySourceMode)
            raise ValueError(f"--source-mode {word!r} is not a source mode (known: {known})") from None
        if given and family not in ("ipv4", "ipv6"):
            raise ValueError(f"--source-mode {text!r}: {family!r} is neither ipv4 nor ipv6")
        versions = (int(family[-1]),) if given else FAMILIES[mode]
        for version in versions:
            if version not in FAMILIES[mode]:
                raise ValueError(f"--source-mode {text}: {mode.value} is no mode of IPv{version}")
            if version in chosen:
                raise ValueError(f"--source-mode {text}: IPv{version} is {chosen[version].value} already")
            chosen[version] = mode
    return chosen.get(4), chosen.get(6)


def parse_pools(values: Sequence[str]) -> tuple[Network, ...]:
    """The pools of both families. None may lie in another. Raises ValueError."""
    pools: list[Network] = []
    for text in values:
        try:
            pool = ip_network(text)
        except ValueError as error:
            raise ValueError(f"--pool {text}: {error}") from None
        for other in pools:
            if other.version == pool.version and other.overlaps(pool):
                raise ValueError(f"--pool {text}: overlaps with {other}")
        pools.append(pool)
    if len(pools) > MAX_POOLS:
        raise ValueError(f"--pool: {len(pools)} pools, at most {MAX_POOLS}")
    return tuple(pools)


def parse_nat64(value: str | None) -> IPv6Network | None:
    """A translation prefix of 96 bits (RFC 6052). Raises ValueError."""
    if value is None:
        return None
    try:
        prefix = IPv6Network(value)
    except ValueError as error:
        raise ValueError(f"--nat64 {value}: {error}") from None
    if prefix.prefixlen != 96:
        raise ValueError(f"--nat64 {value}: a prefix of 96 bits, e.g. 64:ff9b::/96")
    return prefix


def check_source(options: SourceOptions, prefixes: Sequence[Network]) -> None:
    """Raises ValueError for a configuration that contradicts itself or the service prefixes."""
    for version, mode in ((4, options.ipv4), (6, options.ipv6)):
        _check_pools(version, mode, options)
    if options.sharing_ratio > 1 and not options.shares:
        raise ValueError("--sharing-ratio goes with --source-mode shared")
    if options.nat64 is not None and (options.ipv4 is None or options.ipv4.preserves):
        raise ValueError(
            "--nat64 needs IPv4 addresses to give: --source-mode ipv4=shared or ipv4=one-to-one, and --pool"
        )
    for prefix in prefixes:
        if options.mode(prefix.version) is None:
            raise ValueError(
                f"--prefix {prefix}: no source mode for IPv{prefix.version}: say --source-mode ipv{prefix.version}=..."
            )
        for pool in options.addresses:
            if pool.version == prefix.version and prefix.prefixlen and pool.overlaps(prefix):
                raise ValueError(f"--pool {pool}: overlaps with the servers of --prefix {prefix}")


def _check_pools(version: int, mode: RelaySourceMode | None, options: SourceOptions) -> None:
    pools = options.pools_of(version)
    if pools and mode is None:
        raise ValueError(f"--pool {pools[0]}: no source mode for IPv{version} uses it")
    if mode is None:
        return
    if mode.preserves:
        if pools:
            raise ValueError(
                f"--pool {pools[0]}: {mode.value} keeps the host's own address and takes no pool"
            )
        return
    if not pools:
        raise ValueError(f"--source-mode {mode.value} needs a --pool of IPv{version}")
    for pool in pools:
        if mode is RelaySourceMode.IPV6_PREFIX and not _is_identifiers(pool):
            raise ValueError(
                f"--pool {pool}: {mode.value} takes identifiers, a prefix of 80 to 112 bits whose first 64 are zero, "
                "e.g. ::5354:1:0:0/96"
            )
        if mode is RelaySourceMode.NPTV6 and pool.prefixlen > options.subscriber_length:
            raise ValueError(f"--pool {pool}: has no prefix of {options.subscriber_length} bits to give")


def _is_identifiers(pool: Network) -> bool:
    zero = not int(pool.network_address) >> IDENTIFIER_BITS
    return zero and int(pool.network_address) > 0 and 80 <= pool.prefixlen <= 112
