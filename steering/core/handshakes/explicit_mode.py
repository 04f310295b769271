"""Explicit mode (N-5.2.1): a host addresses its MCP itself, or an address that several MCPs stand behind.

What goes to an MCP's own address is routed there like any packet and has no entry (N-5.2.1c); it has a record all the
same, so that the joins of its token pass and a stranger's do not. Behind a virtual address the MCP is chosen as for
any session, among those that own the address; its entries lead every subflow to that one.
"""

from dataclasses import replace
from math import inf

from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import McpsChange, Part
from steering.core.selection.active_sessions import ActiveSessions
from steering.core.selection.chooser import Chooser
from steering.model.decision import Decision, Outcome
from steering.model.ids import NO_WAYPOINT, DatapathId, WaypointId
from steering.model.network import Mcp
from steering.model.policy import Terms
from steering.wire.handshake import Handshake

CACHED = 1024  # pairs of a rule's terms and a virtual address


class ExplicitMode(Part):
    """Finds the MCPs that a first SYN addresses, and decides between them."""

    def __init__(self, sitemap: SiteMap, chooser: Chooser) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._terms: dict[tuple[int, bytes], tuple[Terms, Terms]] = {}
        self._exits = tuple(dict.fromkeys(port for g in sitemap.site.gateways for port in g.ports))

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs: an address may be another MCP's now."""
        self._terms.clear()
        return []

    def owners(self, handshake: Handshake) -> tuple[Mcp, ...]:
        """The MCPs that a first SYN's destination addresses; none where the destination is no MCP's address."""
        own = self._map.mcp_addresses.get(handshake.dst)
        if own is not None:
            return (own,)
        virtual = self._map.virtual.get(handshake.dst)
        if virtual is None or (virtual.port is not None and virtual.port != handshake.dport):
            return ()
        return tuple(self._map.mcps[number] for number in virtual.mcps)

    def addressed(self, handshake: Handshake) -> bool:
        """Whether a first SYN's destination is an MCP's address."""
        return bool(self.owners(handshake)) and bool(self._exits)

    def choose(
        self,
        terms: Terms,
        access: DatapathId,
        handshake: Handshake,
        active: ActiveSessions,
        now: float,
        edge: WaypointId = NO_WAYPOINT,
    ) -> Decision:
        """The MCP that was addressed, or the best of those behind a virtual address. The server is not known here,
        so paths are computed to the nearest gateway."""
        narrowed = self._narrowed(terms, handshake)
        decision = self._chooser.choose(narrowed, access, self._exits, handshake, active, now, edge)
        own = self._map.mcp_addresses.get(handshake.dst)
        if own is None:
            return decision
        # The host has chosen. The filters' and scores' results are kept as an explanation, and bind nobody.
        winner = decision.candidates.ids.index(own.id)
        return decision._replace(outcome=Outcome.PROXY, winner=winner, reason="addressed")

    def _narrowed(self, terms: Terms, handshake: Handshake) -> Terms:
        """A rule's terms for one address: the same object for the same rule, because caches go by identity. Of the
        MCPs behind a virtual address those that the rule names are left; where the rule names none of them, all
        are."""
        key = (id(terms), handshake.dst)
        known = self._terms.get(key)
        if known is None or known[0] is not terms:
            if len(self._terms) >= CACHED:
                self._terms.clear()
            names = frozenset(mcp.name for mcp in self.owners(handshake))
            known = self._terms[key] = (
                terms,
                replace(terms, mcps=names & terms.mcps or names, max_stretch=inf),
            )
        return known[1]
