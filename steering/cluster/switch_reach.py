"""Of which shares a controller reaches no switch, as it tells the cell.

Streams and etcd tell that a controller lives, not that switches hear it. One that has lost its switches says so, and its shares go to a
member that has not (steering.cluster.shares). It says nothing of switches that come and go in a moment.
"""

import json
import logging
from collections.abc import Callable, Collection, Iterable

from steering.cluster.cell import ALL, BLIND, MOST_BLIND, ClusterCell
from steering.cluster.shares import share_of
from steering.model.ids import DatapathId
from steering.store.etcd.keys import Keys

WAITED = 5.0  # seconds without any switch of a share after which that is told
EACH = 1.0  # seconds between two looks at all switches

log = logging.getLogger(__name__)


class SwitchReach:
    """`unreached` tells of which shares no switch is reached now. `me`: this controller's name."""

    def __init__(self, me: str, unreached: Callable[[], Collection[str]] = tuple) -> None:
        self.unreached = unreached
        self._me = me
        self._since: dict[str, float] = {}
        self._looked = float("-inf")

    def look(self, cell: ClusterCell, keys: Keys, lease: int, now: float) -> None:
        """Tell what is another than what the cell knows. `lease`: with which it ends; `now`: seconds, monotonic. Raises EtcdError."""
        if now < self._looked + EACH:
            return
        self._looked = now
        unreached = self.unreached()
        self._since = {share: self._since.get(share, now) for share in unreached}
        blind = {share for share, since in self._since.items() if now >= since + WAITED}
        if blind and len(blind) == cell.count:
            blind = {ALL}
        told = cell.blind.get(self._me, frozenset())
        wanted = frozenset(sorted(blind)[:MOST_BLIND])
        if wanted == told:
            return
        if lost := sorted(wanted - told):
            log.warning(
                "no switch of share %s is reached: another controller should decide there",
                ", ".join(lost[:5]),
            )
        if wanted:
            keys.put(BLIND + self._me, json.dumps(sorted(wanted)), lease)
        else:
            keys.delete(BLIND + self._me)


def unreached(switches: Iterable[DatapathId], reached: Iterable[DatapathId], shares: int) -> Collection[str]:
    """The shares that have some of these switches, and of which none is reached."""
    return {share_of(dpid, shares) for dpid in switches} - {share_of(dpid, shares) for dpid in reached}
