"""Explicit mode (N-5.2.1): a host addresses its MCP itself, or a virtual address that several MCPs share.

A session to an MCP's own address is routed like any traffic and has no entries (N-5.2.1c). It has a record nevertheless, so
that joins with its token are let through and joins with wrong tokens are not. For a virtual address, the MCP is chosen as for
any session, among the MCPs that have the address. Entries lead every subflow of the session to this MCP.
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
        """The site has other MCPs, so an address may belong to another MCP."""
        self._terms.clear()
        return []

    def owners(self, handshake: Handshake) -> tuple[Mcp, ...]:
        """The MCPs that have a first SYN's destination as their address. Empty if no MCP has."""
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
        entrance: WaypointId = NO_WAYPOINT,
    ) -> Decision:
        """Decide for the MCP that was addressed, or for the best MCP of a virtual address. The server is not known, so paths
        are computed to the nearest gateway."""
        narrowed = self._narrowed(terms, handshake)
        decision = self._chooser.choose(narrowed, access, self._exits, handshake, active, now, entrance)
        own = self._map.mcp_addresses.get(handshake.dst)
        if own is None:
            return decision
        # The host itself has chosen. Filters and scores are only kept to explain the decision.
        winner = decision.candidates.ids.index(own.id)
        return decision._replace(outcome=Outcome.PROXY, winner=winner, reason="addressed")

    def _narrowed(self, terms: Terms, handshake: Handshake) -> Terms:
        """A rule's terms, restricted to the MCPs of one address. If the rule names some of these MCPs, only those are left.

        The same rule and address give the same object, because caches go by identity.
        """
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
