"""Gives each server leg its source address and port from pools. The module keeps tables and does no I/O.

A *mapping* joins a subscriber to its part of a pool: a block of ports of an IPv4 address (`shared`), an IPv4 address
(`one-to-one`), a prefix (`nptv6`) or an interface identifier (`ipv6-prefix`). A mapping stays when its last session ends, so
that a host keeps its address from session to session. It is ended only when the pool is full and the mapping has been
idle for the hold time (RFC 6888 REQ-8 asks for at least 120 s); the mapping that is idle longest goes first. The hold time
is measured by a steady clock: where the machine's clock is set, mappings are neither ended early nor kept for years. Tables
are bounded by the pool and by MAX_MAPPINGS.
"""

from collections.abc import Callable
from errno import EADDRNOTAVAIL
from hashlib import blake2s
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from steering.relay.model import NoSourceReason
from steering.relay.options.source_mode import (
    FIRST_PORT,
    IDENTIFIER_BITS,
    SHARED_PORTS,
    Network,
    RelaySourceMode,
    SourceOptions,
)
from steering.wire.nptv6 import UnmappableAddress, translate

MAX_MAPPINGS = 65_536
LAST_PORT = 65_535


class NoSource(OSError):
    """No source address can be given, with the reason. As an OSError it has the errno EADDRNOTAVAIL, like a bind that fails."""

    def __init__(self, reason: NoSourceReason) -> None:
        super().__init__(EADDRNOTAVAIL, f"no source: {reason.value}")
        self.reason = reason


class AddressMapping:
    """One subscriber's part of a pool. `external` is an address or, for prefixes, a network. `first` and `last` are ports.
    `begin`: seconds since 1970; `idle_since`: seconds of a steady clock."""

    __slots__ = ("begin", "external", "first", "idle_since", "internal", "last", "live", "slot", "used")

    def __init__(self, internal: str, external: str, first: int, last: int, slot: int, begin: float) -> None:
        self.internal = internal
        self.external = external
        self.first = first
        self.last = last
        self.slot = slot
        self.begin = begin
        self.live = 0  # sessions
        self.idle_since = 0.0
        self.used: set[int] = set()  # ports, where they are shared


class SourceBinding(NamedTuple):
    """The source address and port of a server leg, and the mapping they come from. None: they are the host's own."""

    address: str
    port: int
    mapping: AddressMapping | None


class MappingObserver(NamedTuple):
    """Functions that are called for every mapping that begins, and for every one that ends (with its end, seconds since
    1970)."""

    begun: Callable[[AddressMapping], None]
    ended: Callable[[AddressMapping, float], None]


SILENT = MappingObserver(lambda mapping: None, lambda mapping, end: None)


class SourcePool:
    """The pool of one address family: its slots are numbered from 0 through all networks in their order.

    In mode `shared` the lowest free slot is given, so that addresses fill up one by one. In the other modes the search begins
    at a hash of the subscriber's address, so that a subscriber usually gets the same slot after a restart.
    """

    def __init__(self, mode: RelaySourceMode, options: SourceOptions, observer: MappingObserver) -> None:
        self.mode = mode
        self._hold = options.hold
        self._observer = observer
        version = 6 if mode in (RelaySourceMode.NPTV6, RelaySourceMode.IPV6_PREFIX) else 4
        self._networks = options.pools_of(version)
        self._ratio = options.sharing_ratio if mode is RelaySourceMode.SHARED else 1
        self.block = SHARED_PORTS // self._ratio
        self._length = options.subscriber_length
        self._sizes = [self._slots_of(network) for network in self._networks]
        self.size = sum(self._sizes)
        self.mappings: dict[str, AddressMapping] = {}
        self._slots: set[int] = set()
        self._idle: dict[str, AddressMapping] = {}  # the longest idle first
        self._freed: list[int] = []
        self._fresh = 0  # in mode `shared`: the first slot that was never given

    def _slots_of(self, network: Network) -> int:
        if self.mode is RelaySourceMode.NPTV6:
            return 1 << (self._length - network.prefixlen)
        if self.mode is RelaySourceMode.SHARED:
            return network.num_addresses * self._ratio
        return network.num_addresses

    def mapping(self, internal: str, now: float, steady: float) -> AddressMapping:
        """The subscriber's mapping, made if there is none. `now`: seconds since 1970; `steady`: seconds of a steady clock.
        Raises NoSource."""
        known = self.mappings.get(internal)
        if known is None:
            known = self._make(internal, now, steady)
        return known

    def _make(self, internal: str, now: float, steady: float) -> AddressMapping:
        if len(self.mappings) >= min(self.size, MAX_MAPPINGS):
            self._reclaim(now, steady)
        slot = self._next() if self.mode is RelaySourceMode.SHARED else self._search(internal)
        external, first, last = self._content(slot)
        made = self.mappings[internal] = AddressMapping(internal, external, first, last, slot, now)
        made.idle_since = steady
        self._slots.add(slot)
        self._idle[internal] = made
        self._observer.begun(made)
        return made

    def _next(self) -> int:
        if self._freed:
            return heappop(self._freed)
        self._fresh += 1
        return self._fresh - 1

    def _search(self, internal: str) -> int:
        slot = int.from_bytes(blake2s(internal.encode(), digest_size=8).digest(), "big") % self.size
        while slot in self._slots:  # this ends: not all slots are taken
            slot = (slot + 1) % self.size
        return slot

    def _content(self, slot: int) -> tuple[str, int, int]:
        at, number = slot, 0
        while at >= self._sizes[number]:
            at -= self._sizes[number]
            number += 1
        base = int(self._networks[number].network_address)
        if self.mode is RelaySourceMode.NPTV6:
            return str(IPv6Network((base | at << (128 - self._length), self._length))), 1, LAST_PORT
        if self.mode is RelaySourceMode.IPV6_PREFIX:
            return str(IPv6Address(base + at)), 1, LAST_PORT
        address = str(IPv4Address(base + at // self._ratio))
        if self.mode is RelaySourceMode.ONE_TO_ONE:
            return address, 1, LAST_PORT
        first = FIRST_PORT + at % self._ratio * self.block
        return address, first, first + self.block - 1

    def _reclaim(self, now: float, steady: float) -> None:
        """End the mapping that is idle longest, if its hold time is over. Raises NoSource."""
        oldest = next(iter(self._idle.values()), None)
        if oldest is None or steady - oldest.idle_since < self._hold:
            raise NoSource(NoSourceReason.POOL)
        self._forget(oldest, now)
        if self.mode is RelaySourceMode.SHARED:
            heappush(self._freed, oldest.slot)

    def _forget(self, mapping: AddressMapping, now: float) -> None:
        del self._idle[mapping.internal]
        del self.mappings[mapping.internal]
        self._slots.discard(mapping.slot)
        self._observer.ended(mapping, now)

    def hold(self, mapping: AddressMapping) -> None:
        """One more session uses this mapping."""
        mapping.live += 1
        self._idle.pop(mapping.internal, None)

    def release(self, mapping: AddressMapping, port: int, steady: float) -> None:
        """One session less uses this mapping; `port` is free again. `steady`: seconds of a steady clock."""
        mapping.used.discard(port)
        mapping.live -= 1
        if not mapping.live:
            mapping.idle_since = steady
            self._idle[mapping.internal] = mapping


class SourcePools:
    """Gives every server leg its source. `pick(n)` is a number below n that no peer can predict (RFC 6056)."""

    def __init__(
        self, options: SourceOptions, pick: Callable[[int], int], observer: MappingObserver = SILENT
    ) -> None:
        self._options = options
        self._pick = pick
        self._pools: dict[int, SourcePool] = {}
        for version in (4, 6):
            mode = options.mode(version)
            if mode is not None and not mode.preserves:
                self._pools[version] = SourcePool(mode, options, observer)

    def gives(self, server: str) -> bool:
        """Whether a leg to this server has a source from a pool."""
        return (6 if ":" in server else 4) in self._pools

    def bind(
        self, client: tuple[str, int], server: tuple[str, int], now: float, steady: float | None = None
    ) -> SourceBinding:
        """The source for a leg from host `client` to `server`. The leg has the server's address family. `now`: seconds since
        1970; `steady`: seconds of a clock that is never set, None to use `now`. Raises NoSource."""
        address, port = client
        version = 6 if ":" in server[0] else 4
        mode = self._options.mode(version)
        if mode is None or (version == 6 and ":" not in address):
            raise NoSource(NoSourceReason.FAMILY)
        if mode.preserves:
            if version == 4 and ":" in address:
                raise NoSource(NoSourceReason.FAMILY)
            return SourceBinding(address, port, None)
        if mode is RelaySourceMode.IPV6_PREFIX and server[1] in self._options.referral_ports:
            raise NoSource(NoSourceReason.REFERRAL)
        pool = self._pools[version]
        mapping = pool.mapping(self._subscriber(mode, address), now, now if steady is None else steady)
        if mode is RelaySourceMode.SHARED:
            port = self._port(mapping)
        bound = SourceBinding(self._external(mode, address, mapping), port, mapping)
        pool.hold(mapping)
        return bound

    def release(self, binding: SourceBinding, now: float, steady: float | None = None) -> None:
        """Free the source of a leg that is over. The times are as for `bind`."""
        if binding.mapping is not None:
            pool = self._pools[6 if ":" in binding.mapping.external else 4]
            pool.release(binding.mapping, binding.port, now if steady is None else steady)

    def mappings(self) -> list[AddressMapping]:
        """All mappings."""
        return [mapping for pool in self._pools.values() for mapping in pool.mappings.values()]

    def document(self) -> dict[str, dict[str, int | str]]:
        """How full each pool is: {"ipv4": {"mode", "mappings", "size", "sessions"}}."""
        return {
            f"ipv{version}": {
                "mode": pool.mode.value,
                "mappings": len(pool.mappings),
                "size": min(pool.size, MAX_MAPPINGS),
                "sessions": sum(mapping.live for mapping in pool.mappings.values()),
            }
            for version, pool in self._pools.items()
        }

    def _subscriber(self, mode: RelaySourceMode, address: str) -> str:
        """The owner of a mapping as text: a prefix for NPTv6 and for IPv6 hosts that share IPv4 addresses, else a host's
        address."""
        if ":" not in address or mode in (RelaySourceMode.ONE_TO_ONE, RelaySourceMode.IPV6_PREFIX):
            return address
        return str(ip_network((address, self._options.subscriber_length), strict=False))

    def _external(self, mode: RelaySourceMode, address: str, mapping: AddressMapping) -> str:
        if mode is RelaySourceMode.NPTV6:
            try:
                internal, external = IPv6Network(mapping.internal), IPv6Network(mapping.external)
                return str(translate(IPv6Address(address), internal, external))
            except UnmappableAddress:
                raise NoSource(NoSourceReason.UNMAPPABLE) from None
        if mode is RelaySourceMode.IPV6_PREFIX:
            prefix = int(ip_address(address)) >> IDENTIFIER_BITS << IDENTIFIER_BITS
            return str(IPv6Address(prefix | int(ip_address(mapping.external))))
        return mapping.external

    def _port(self, mapping: AddressMapping) -> int:
        """A free port of the mapping's block; the search begins at a random port. Raises NoSource."""
        size = mapping.last - mapping.first + 1
        if len(mapping.used) >= size:
            raise NoSource(NoSourceReason.PORTS)
        at = self._pick(size)
        while mapping.first + at in mapping.used:
            at = (at + 1) % size
        mapping.used.add(mapping.first + at)
        return mapping.first + at
