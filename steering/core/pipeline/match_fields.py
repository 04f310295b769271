"""The match of a rule, from its fields: names and values as OpenFlow has them."""

from functools import lru_cache

from steering.model.rules import FieldValue
from steering.model.source import Prefix

ARP, IPV4, IPV6, LLDP = 0x0806, 0x0800, 0x86DD, 0x88CC
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58


def match(**fields: FieldValue) -> tuple[tuple[str, FieldValue], ...]:
    """The match of a rule: its fields, sorted by name."""
    return tuple(sorted(fields.items()))


@lru_cache(maxsize=65_536)
def prefix_value(prefix: Prefix) -> str | tuple[str, str]:
    """A prefix as a match value: an address, or an address and a mask. Cached, so that the rules of thousands of
    switches share one object for each prefix."""
    if prefix.prefixlen == prefix.max_prefixlen:
        return str(prefix.network_address)
    return (str(prefix.network_address), str(prefix.netmask))


def from_prefix(prefix: Prefix) -> dict[str, FieldValue]:
    """Match fields for packets from a prefix."""
    fields: dict[str, FieldValue] = {"eth_type": IPV4 if prefix.version == 4 else IPV6}
    if prefix.prefixlen:
        fields["ipv4_src" if prefix.version == 4 else "ipv6_src"] = prefix_value(prefix)
    return fields
