"""Source guard: a port may only send with the addresses of the hosts that are known behind the port.

This holds where a network's hosts are probed, static, or known by DHCP. The port's switch drops packets with any
other source. IPv6 sources may be bound by /64, for networks that give each host a /64 (RFC 8273). Then the ports
that have an address of a /64 hold it, and no other port can get an address of it.
"""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Protocol

from steering.core.network.site_index import Attachment
from steering.model.ids import WaypointId
from steering.model.network import AccessNetwork, Network, Waypoint
from steering.model.rules import Rule


class SourceRules(Protocol):
    """Makes the rules that let sources pass (core.pipeline.host_rules)."""

    def source(self, at: Waypoint, source: Network) -> Rule:
        """The rule that lets packets with a source pass, at the switch of the waypoint's port."""


class SourceBindings:
    """Makes the rules of bound sources, and knows which ports hold a /64. `enabled`: False makes no rules."""

    def __init__(self, made: SourceRules, enabled: bool) -> None:
        self._made = made
        self._enabled = enabled
        # /64 -> waypoint -> the addresses there. Only of networks that bind by /64.
        self._held: dict[bytes, dict[WaypointId, dict[bytes, None]]] = {}

    def elsewhere(self, attachment: Attachment, address: bytes) -> bytes | None:
        """An address of the same /64 at another port, if this port has no address of the /64. Otherwise None."""
        holders = self._held.get(address[:8], {}) if self._by_prefix(attachment, address) else {}
        if attachment.waypoint.id in holders:
            return None
        return next((known for addresses in holders.values() for known in addresses), None)

    def add(self, attachment: Attachment, address: bytes) -> tuple[Rule, ...]:
        """Bind an address to a port. Returns the rules to add."""
        if self._by_prefix(attachment, address):
            self._held.setdefault(address[:8], {}).setdefault(attachment.waypoint.id, {})[address] = None
        return self._rules(attachment, address)

    def remove(self, attachment: Attachment, address: bytes) -> tuple[Rule, ...]:
        """Unbind an address from a port. Returns the rules to remove."""
        if self._by_prefix(attachment, address):
            holders = self._held[address[:8]]
            here = holders[attachment.waypoint.id]
            del here[address]
            if here:
                return ()
            del holders[attachment.waypoint.id]
            if not holders:
                del self._held[address[:8]]
        return self._rules(attachment, address)

    def rules(self, attachment: Attachment, addresses: Iterable[bytes]) -> Iterable[Rule]:
        """All source rules of a port whose hosts have these addresses."""
        found = {rule.key: rule for address in addresses for rule in self._rules(attachment, address)}
        return found.values()

    def _rules(self, attachment: Attachment, address: bytes) -> tuple[Rule, ...]:
        part = attachment.part
        if not (self._enabled and isinstance(part, AccessNetwork) and part.binds_sources):
            return ()
        length = 64 if self._by_prefix(attachment, address) else 8 * len(address)
        return (self._made.source(attachment.waypoint, ip_network((address, length), strict=False)),)

    def _by_prefix(self, attachment: Attachment, address: bytes) -> bool:
        part = attachment.part
        return isinstance(part, AccessNetwork) and part.binds_prefixes and len(address) == 16
