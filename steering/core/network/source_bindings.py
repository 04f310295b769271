"""Which sources a port may send with: the addresses of the hosts that are known behind it (source guard).

Where hosts are probed, static or told by DHCP, an address is bound to the port at which its host is known, and the port's
switch drops what comes with any other. IPv6 may be bound by /64, for networks that give each host one (RFC 8273): then
a /64 is of the ports that have an address of it, and no other port gets one.
"""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Protocol

from steering.core.network.site_index import Attachment
from steering.model.ids import WaypointId
from steering.model.network import AccessNetwork, Network, Waypoint
from steering.model.rules import Rule


class SourceRules(Protocol):
    """The maker of the rules that let sources pass (core.pipeline.host_rules)."""

    def source(self, at: Waypoint, source: Network) -> Rule:
        """The rule that lets a source pass, at the switch of its waypoint's port."""


class SourceBindings:
    """Makes the rules of bound sources, and says whose a /64 is. `enabled`: otherwise nothing is bound."""

    def __init__(self, made: SourceRules, enabled: bool) -> None:
        self._made = made
        self._enabled = enabled
        # /64 -> waypoint -> its addresses there, of networks that bind by it.
        self._held: dict[bytes, dict[WaypointId, dict[bytes, None]]] = {}

    def elsewhere(self, attachment: Attachment, address: bytes) -> bytes | None:
        """An address of the same /64 that another port has, where this port has none of it."""
        holders = self._held.get(address[:8], {}) if self._by_prefix(attachment, address) else {}
        if attachment.waypoint.id in holders:
            return None
        return next((known for addresses in holders.values() for known in addresses), None)

    def add(self, attachment: Attachment, address: bytes) -> tuple[Rule, ...]:
        """An address is bound to a port from now on: the rules that this wants there."""
        if self._by_prefix(attachment, address):
            self._held.setdefault(address[:8], {}).setdefault(attachment.waypoint.id, {})[address] = None
        return self._rules(attachment, address)

    def remove(self, attachment: Attachment, address: bytes) -> tuple[Rule, ...]:
        """An address is not there any more: the rules that go."""
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
        """All rules of a port whose hosts have these addresses."""
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
