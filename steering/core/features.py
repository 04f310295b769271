"""Features that depend on no other feature. One line here registers one (docs/design/parts.rst shows how).

Features that depend on each other are put together in `steering.core.engine`, which also has the order of all parts.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from steering.core.admission.syn_flood import SynFloods
from steering.core.counters import Counters
from steering.core.network.gateway_messages import Advertisements
from steering.core.network.graph import Graph
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.part import Part
from steering.core.pipeline.known_hosts import KnownHosts
from steering.core.pipeline.syn_lease import SynLease
from steering.core.sessions.served_hosts import ServedHosts
from steering.core.sessions.session_watch import SessionWatch
from steering.core.sessions.table import SessionTable
from steering.core.supervision.lost_copies import LostCopies
from steering.core.supervision.refused_tags import RefusedTags
from steering.model.ids import DatapathId
from steering.model.mechanism import Mechanism
from steering.model.policy import Policy


class SharedPieces(NamedTuple):
    """The objects that a feature gets. All but the policy stay the same objects while the engine lives. Parts get a new
    policy by `policy_replaced`. `epochs`: by switch, the number in the cookies of its static rules."""

    sitemap: SiteMap
    policy: Policy
    graph: Graph
    switches: Switches
    table: SessionTable
    counters: Counters
    epochs: Mapping[DatapathId, int]
    disabled: frozenset[Mechanism]
    neighbours: Neighbours


FEATURES: tuple[Callable[[SharedPieces], Part], ...] = (
    lambda of: Advertisements(of.sitemap),
    lambda of: SynLease(of.sitemap, of.policy, of.switches, of.epochs, Mechanism.LEASE in of.disabled),
    lambda of: SessionWatch(of.table),
    lambda of: LostCopies(of.sitemap, of.counters),
    lambda of: RefusedTags(of.sitemap, of.counters),
    lambda of: SynFloods(
        of.sitemap,
        of.policy,
        of.counters,
        Mechanism.FLOOD_METERS in of.disabled,
        KnownHosts(
            of.policy,
            of.sitemap,
            of.neighbours.hosts_at,
            ServedHosts(of.sitemap, of.table.heard).has,
            of.epochs,
            of.counters,
            Mechanism.HOST_METERS in of.disabled,
        ),
    ),
)
