"""Of which shares a controller reaches no switch, as it tells the cell.

Streams and etcd tell that a controller lives, not that switches hear it. One that has lost its switches says so, and its shares go to a
member that has not (steering.cluster.shares). It says nothing of switches that come and go in a moment.

A switch that is off, or starts again, is lost by all members within some seconds, and reached by all of them again. Its owner says the first
later than the others, and the second earlier, so that it stays the owner.

A controller that starts says at once that it reaches no switch, and the opposite as soon as it does: it gets no share that it could not serve yet.
"""

import json
import logging
from collections.abc import Callable, Collection, Iterable

from steering.cluster.cell import ALL, BLIND, ClusterCell
from steering.cluster.shares import share_of
from steering.model.ids import DatapathId
from steering.store.etcd.keys import Keys

WAITED = 5.0  # seconds without any switch of a share after which its owner tells that
SOONER = 2.5  # the same for another member than the owner
BACK = 2.0  # seconds with a switch after which another member than the owner tells that; the owner at once
EACH = 1.0  # seconds between two looks at all switches

log = logging.getLogger(__name__)


class SwitchReach:
    """`unreached` tells of which shares no switch is reached now. `me`: this controller's name."""

    def __init__(self, me: str, unreached: Callable[[], Collection[str]] = tuple) -> None:
        self.unreached = unreached
        self._me = me
        self._since: dict[str, float] = {}
        self._back: dict[str, float] = {}  # shares that are reached again, and since when
        self._blind: set[str] = set()  # those that are told
        self._never: set[str] = set()  # those of them that were not reached since the start
        self._looked = float("-inf")

    def begins(self, shares: Iterable[str]) -> str:
        """No switch of these, which are all shares, is reached yet; the text that tells so."""
        self._blind, self._never = set(shares), set(shares)
        return json.dumps([ALL])

    def look(self, cell: ClusterCell, keys: Keys, lease: int, now: float) -> None:
        """Tell what is another than what the cell knows. `lease`: with which it ends; `now`: seconds, monotonic. Raises EtcdError."""
        if now < self._looked + EACH:
            return
        self._looked = now
        unreached = set(self.unreached())
        own = {share for share, one in cell.shares.items() if one.owner.controller == self._me}
        self._since = {share: self._since.get(share, now) for share in unreached}
        first, self._never = self._never - unreached, self._never & unreached
        waiting = self._blind - unreached - own - first
        self._back = {share: self._back.get(share, now) for share in waiting}
        blind = {
            share for share, at in self._since.items() if now >= at + (WAITED if share in own else SOONER)
        }
        blind |= self._blind & unreached
        blind |= {share for share, at in self._back.items() if now < at + BACK}
        self._blind = set(blind)
        if blind and len(blind) == cell.count:
            blind = {ALL}
        told = cell.blind.get(self._me, frozenset())
        wanted = frozenset(blind)
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
