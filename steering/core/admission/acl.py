"""Evaluates access control lists: the verdict on a connection, and the sources that may not send to an MCP's address."""

from collections.abc import Iterable, Iterator
from ipaddress import summarize_address_range

from steering.model.authorisation import AclEntry, ListAnswer, Verdict
from steering.model.network import Address, Network
from steering.wire.handshake import Handshake

_Span = tuple[int, int]  # addresses, both ends included


def verdict(entries: Iterable[AclEntry], access: str, handshake: Handshake) -> Verdict:
    """The verdict of the first entry that matches a SYN, NO_OPINION if no entry matches. `access`: the name of the access
    network where the SYN came in."""
    for entry in entries:
        if (
            (not entry.access_networks or access in entry.access_networks)
            and (not entry.sources or holds(entry.sources, handshake.src))
            and (not entry.destinations or holds(entry.destinations, handshake.dst))
            and (not entry.ports or any(low <= handshake.dport <= high for low, high in entry.ports))
        ):
            return Verdict.ALLOW if entry.action is ListAnswer.ALLOW else Verdict.DENY
    return Verdict.NO_OPINION


def holds(networks: Iterable[Network], address: bytes) -> bool:
    """Whether one of the networks contains an address of 4 or 16 bytes."""
    value, version = int.from_bytes(address, "big"), 4 if len(address) == 4 else 6
    return any(n.version == version and value & int(n.netmask) == int(n.network_address) for n in networks)


def kept_out(
    entries: Iterable[AclEntry], access: str, within: Iterable[Network], target: Address
) -> Iterator[Network]:
    """The disjoint parts of the prefixes `within` from which no packet may come to `target`.

    An entry that denies certain ports only concerns SYNs, which the controller judges. An entry that allows certain ports
    lets all packets of its sources through.
    """
    left = [_span(network) for network in within if network.version == target.version]
    out: list[_Span] = []
    for entry in entries:
        if entry.access_networks and access not in entry.access_networks:
            continue
        if entry.destinations and not holds(entry.destinations, target.packed):
            continue
        denies = entry.action is ListAnswer.DENY
        if denies and entry.ports:
            continue
        spans = [_span(s) for s in entry.sources if s.version == target.version]
        for low, high in spans if entry.sources else [(0, (1 << target.max_prefixlen) - 1)]:
            left, hit = _cut(left, low, high)
            out += hit if denies else []
    kind = type(target)
    for low, high in out:
        yield from summarize_address_range(kind(low), kind(high))


def _span(network: Network) -> _Span:
    return int(network.network_address), int(network.broadcast_address)


def _cut(spans: list[_Span], low: int, high: int) -> tuple[list[_Span], list[_Span]]:
    """Split spans of addresses: the parts outside low..high, and the parts inside."""
    outside: list[_Span] = []
    inside: list[_Span] = []
    for first, last in spans:
        if last < low or first > high:
            outside.append((first, last))
            continue
        inside.append((max(first, low), min(last, high)))
        if first < low:
            outside.append((first, low - 1))
        if last > high:
            outside.append((high + 1, last))
    return outside, inside
