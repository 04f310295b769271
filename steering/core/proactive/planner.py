"""Chooses the MCP of each unit of proactive insertion (core.proactive.units).

A unit may have several accesses, and its servers may be behind any gateway. So its MCP has to serve every pair of access and
gateway.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from math import log
from typing import NamedTuple

from steering.core.admission.authorisation import Authorisation
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.proactive.rules import within
from steering.core.selection.chooser import Chooser
from steering.core.selection.scoring import TIE, candidates, effective
from steering.model.decision import FilterReason
from steering.model.ids import NO_MCP, DatapathId, McpId
from steering.model.insertion import GovernedUnit
from steering.model.network import Mcp, Network, Trust
from steering.model.policy import ALL_PORTS, Policy, Terms
from steering.model.source import SourceMode


class Unit(NamedTuple):
    """A subscriber (or everybody else, ""), its prefixes in the site, and the id of the MCP to which entries lead it."""

    name: str
    prefixes: tuple[Network, ...]
    mcp: McpId
    rule: str
    terms: Terms


class UnitPlanner:
    """Plans the units and their MCPs. `governed`: the units by the policy in force. `apart`, for the negative control: each
    prefix is a unit of its own."""

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        chooser: Chooser,
        authorising: Authorisation,
        apart: bool,
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._chooser = chooser
        self._authorising = authorising
        self._apart = apart
        self.governed: tuple[GovernedUnit, ...] = ()
        self._policy: Policy
        self._forced: dict[tuple[int, int], tuple[Terms, Terms]] = {}  # (id of terms, MCP) -> both terms
        # The same for the policy before. Its terms must stay alive, because caches still go by their ids.
        self._forced_before = self._forced

    def take(self, policy: Policy, governed: tuple[GovernedUnit, ...]) -> None:
        """Use another policy."""
        self._policy, self.governed = policy, governed
        self._forced_before, self._forced = self._forced, {}

    def mcps_changed(self) -> None:
        """The site has other MCPs. Terms for one MCP are forgotten here, and so are the chooser's caches."""
        self._forced.clear()

    def plan(self) -> Iterator[Unit]:
        """The units that should have entries now, each with the best MCP for all its accesses."""
        if self._authorising.acl:
            return  # an access control list is in force (REST may set one at any time), so SYNs have to be judged
        ranks: dict[object, dict[McpId, float]] = {}
        for one in self.governed:
            for part in self._parts(one):
                edges, prefixes = self._edges(part)
                if not edges:
                    continue
                key = (id(one.rule.then), edges, frozenset(p.version for p in prefixes))
                if key not in ranks:
                    ranks[key] = self._rank(one.rule.then, edges, key[2])
                mcp = self._best(part.name, ranks[key], one.rule.then)
                if mcp:
                    yield Unit(part.name, prefixes, mcp, one.rule.name, self.only(one.rule.then, mcp))

    def _parts(self, one: GovernedUnit) -> Iterable[GovernedUnit]:
        if not self._apart:
            return (one,)
        prefixes = one.prefixes or tuple(self._map.access_prefixes())
        return (GovernedUnit(f"{one.name}@{p}", one.rule, (p,)) for p in prefixes)

    def _edges(self, one: GovernedUnit) -> tuple[frozenset[DatapathId], tuple[Network, ...]]:
        """The switches of a unit's accesses, and the unit's prefixes there. Both are empty if a third party runs one of the
        accesses, because joins from there have to be judged."""
        edges: set[DatapathId] = set()
        found: dict[Network, None] = {}
        for access in self._map.site.access_networks:
            here = [
                p if within(p, q) else q
                for q in access.prefixes
                for p in one.prefixes or (q,)
                if within(p, q) or within(q, p)
            ]
            if here and self._chooser.access[access.name][1] is Trust.THIRD_PARTY:
                return frozenset(), ()
            if here:
                edges |= {port.dpid for port in access.ports}
                found |= dict.fromkeys(here)
        return frozenset(edges), tuple(found)

    def _rank(
        self, terms: Terms, edges: frozenset[DatapathId], families: frozenset[int]
    ) -> dict[McpId, float]:
        """The scores of MCPs without load, as mean over all pairs of access and gateway, by id.

        Only MCPs that serve all pairs, IP versions and ports are included. The stretch of an MCP has to be within the limit
        for at least one pair.
        """
        wanted = effective(self._policy, terms)
        mcps = self._map.site.mcps
        gateways = {port.dpid for gateway in self._map.site.gateways for port in gateway.ports}
        scores: dict[McpId, list[float]] = {mcp.id: [] for mcp in mcps}
        near: set[int] = set()
        for access in sorted(edges):
            excluded = dict(self._chooser.excluded) | self._map.beyond_reach(access)
            for gateway in sorted(gateways):
                for family in sorted(families):
                    seen = candidates(wanted, self._graph, mcps, access, gateway, family, 1, excluded)
                    for candidate in seen.all:
                        if candidate.filtered in (None, FilterReason.STRETCH):
                            scores[candidate.mcp.id].append(candidate.base)
                        if candidate.filtered is None:
                            near.add(candidate.mcp.id)
        pairs = len(edges) * len(gateways) * len(families)
        full = {mcp.id for mcp in mcps if mcp.tcp_ports == ALL_PORTS and not _refers(mcp)}
        return {
            i: sum(s) / pairs for i, s in scores.items() if len(s) == pairs and pairs and i in near & full
        }

    def _best(self, name: str, ranks: dict[McpId, float], terms: Terms) -> McpId:
        """The MCP for a unit, among those whose score is the best within the hysteresis.

        The choice is by weighted rendezvous hash. It is the same on every controller, and the death of another MCP moves no
        unit.
        """
        if not ranks:
            return NO_MCP
        margin = effective(self._policy, terms).hysteresis + TIE
        best = min(ranks.values())
        return max(
            (i for i, score in ranks.items() if score <= best + margin),
            key=lambda i: (self._draw(name, i), i),
        )

    def _draw(self, name: str, mcp: McpId) -> float:
        """The weighted hash of a unit and an MCP. The MCP with the greatest hash wins, in proportion to its capacity."""
        part = self._map.mcps[mcp]
        digest = blake2b(f"{name}\0{part.name}".encode(), digest_size=8).digest()
        return -part.capacity_sessions / log((int.from_bytes(digest, "big") + 0.5) / 2**64)

    def only(self, terms: Terms, mcp: McpId) -> Terms:
        """A rule's terms with only one MCP. The results are kept, because the chooser's caches go by their identity."""
        known = self._forced.get((id(terms), mcp))
        if known is None:
            name = self._map.mcps[mcp].name
            only = replace(terms, mcps=frozenset({name}), max_stretch=1000.0)
            known = self._forced[id(terms), mcp] = (terms, only)
        return known[1]


def _refers(mcp: Mcp) -> bool:
    """Whether an MCP never takes some ports (N-5.4.1.2), and so cannot take all TCP."""
    return bool(mcp.referral_ports) and mcp.source_modes.mode(6) is SourceMode.IPV6_PREFIX
