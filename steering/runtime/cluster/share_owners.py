"""Tells the engine and the lines to switches which controller decides for which switch, and which controllers can be
reached. Used only where a cluster has several shares: with one share, no controller writes to another's switches."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from steering.cluster.coordination import Coordination
from steering.core.inputs import Input
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerUp
from steering.model.ids import DatapathId
from steering.openflow.peers.peer_traffic import PeerTraffic
from steering.runtime.cluster.peer_conversation import PeerFault

WRITE_REFUSED = "write-refused"  # event: a write of another controller to a switch here was refused


class ShareOwners:
    """`switches`: the current switches of the site. `masters`: the switches that obey this controller. `heard` gives
    inputs to the engine."""

    def __init__(
        self,
        coordination: Coordination,
        switches: Callable[[], Iterable[DatapathId]],
        masters: Callable[[], Collection[DatapathId]],
        heard: Callable[[Input], None],
        traffic: PeerTraffic,
    ) -> None:
        self._coordination = coordination
        self._switches = switches
        self._masters = masters
        self._heard = heard
        self.traffic = traffic
        self._reached: dict[str, int] = {}  # controller -> version of the protocol that is spoken with it
        self._told: set[str] = set()  # controllers that the engine knows can be reached
        self._before: tuple[ClusterChanged, frozenset[str]] | None = None

    def look(self) -> None:
        """Report owners and reachable controllers where they have changed. Called whenever they may have changed."""
        coordination = self._coordination
        me = coordination.me.id
        owners, masters = {}, self._masters()
        for dpid in self._switches():
            # A switch that still obeys this controller is served until the switch has another MASTER.
            owner = me if dpid in masters else coordination.owner_of(dpid)
            if owner:
                owners[dpid] = owner
        owning = set(owners.values())
        # A controller that is not reachable and owns no switch has no session: its successor has its tokens.
        members = {
            one.id for one in coordination.cell.present() if one.id in self._reached or one.id in owning
        }
        now = (ClusterChanged(me, frozenset(members - {me}), owners), frozenset(self._reached))
        if now == self._before:
            return
        self._tell(*now)
        self._told &= members
        for name in sorted((self._reached.keys() & members) - self._told):
            self._told.add(name)
            self._heard(PeerUp(name, self._reached[name]))

    def _tell(self, changed: ClusterChanged, reached: frozenset[str]) -> None:
        self._before = changed, reached
        self.traffic.shared(changed, reached)
        self._heard(changed)

    def taken_back(self, dpid: DatapathId) -> None:
        """Another controller decided for a switch in between, and now this one decides again. The engine gives the switch up and takes it over
        anew, because the switch has sessions that the engine does not know."""
        if self._before is not None:
            known, reached = self._before
            others = {one: owner for one, owner in known.owners.items() if one != dpid}
            self._tell(known._replace(owners=others), reached)
        self.look()

    def heard(self, given: Any) -> None:
        """Take a message of another controller, or the news that its stream has begun or ended."""
        if isinstance(given, PeerUp):
            self._reached[given.name] = given.version
            self._told.discard(given.name)
            self._before = None  # a controller that is reachable again is told everything
            self.look()
        elif isinstance(given, PeerLost):
            self._reached.pop(given.name, None)
            self._told.discard(given.name)
            self._heard(given)
            self.look()
        else:
            self._heard(given)


def events_of(faults: Mapping[PeerFault, int], traffic: PeerTraffic | None) -> dict[str, int]:
    """Name of event -> count, for faults of streams with other controllers and their refused writes. Only counts above
    zero."""
    found = {f"stream-{fault.value}": count for fault, count in faults.items() if count}
    if traffic is not None and traffic.refused:
        found[WRITE_REFUSED] = traffic.refused
    return found
