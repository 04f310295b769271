"""Tells the engine and the lines to switches who decides where, and which controllers can be reached. Only where a cluster
has several shares: with one, nobody writes to switches of others."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from steering.cluster.coordination import Coordination
from steering.core.inputs import Input
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerUp
from steering.model.ids import DatapathId
from steering.openflow.peers.peer_traffic import PeerTraffic
from steering.runtime.peer_conversation import PeerFault

WRITE_REFUSED = "write-refused"  # what was to be written to a switch of another controller


class ShareOwners:
    """`switches`: those of the site, now; `masters`: those that say that this controller is their
    MASTER."""

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
        self._reached: set[str] = set()
        self._told: set[str] = set()  # of whom the engine knows that they can be reached
        self._before: tuple[ClusterChanged, frozenset[str]] | None = None

    def look(self) -> None:
        """Tell what is another than before. Called whenever something may be."""
        coordination = self._coordination
        me = coordination.me.id
        owners, masters = {}, self._masters()
        for dpid in self._switches():
            # A switch that still obeys this controller is served until it says otherwise.
            owner = me if dpid in masters else coordination.owner_of(dpid)
            if owner:
                owners[dpid] = owner
        owning = set(owners.values())
        # Who is not there and decides for nothing has no session: its tokens are those of who follows it.
        members = {
            one.id for one in coordination.cell.present() if one.id in self._reached or one.id in owning
        }
        now = (ClusterChanged(me, frozenset(members - {me}), owners), frozenset(self._reached))
        if now == self._before:
            return
        self._before = now
        self.traffic.shared(*now)
        self._heard(now[0])
        self._told &= members
        for name in sorted(self._reached & members - self._told):
            self._told.add(name)
            self._heard(PeerUp(name))

    def heard(self, given: Any) -> None:
        """What a stream tells of another controller, or what that one says."""
        if isinstance(given, PeerUp):
            self._reached.add(given.name)
            self._told.discard(given.name)
            self._before = None  # whoever is there again is told everything
            self.look()
        elif isinstance(given, PeerLost):
            self._reached.discard(given.name)
            self._told.discard(given.name)
            self._heard(given)
            self.look()
        else:
            self._heard(given)


def events_of(faults: Mapping[PeerFault, int], traffic: PeerTraffic | None) -> dict[str, int]:
    """What happened to streams with other controllers, and what of them was refused, by name; what never did is left out."""
    found = {f"stream-{fault.value}": count for fault, count in faults.items() if count}
    if traffic is not None and traffic.refused:
        found[WRITE_REFUSED] = traffic.refused
    return found
