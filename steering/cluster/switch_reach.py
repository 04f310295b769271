"""Of which shares a controller reaches no switch, as it tells the cell.

Streams and etcd tell that a controller lives, not that switches hear it. One that has lost its switches says so, and its shares go to a
member that has not (steering.cluster.shares). It says nothing of switches that come and go in a moment.

A switch that is off, or starts again, is lost by all members within some seconds, and reached by all of them again. Its owner says the first
later than the others, and the second earlier, so that it stays the owner.

A controller that starts says at once that it reaches no switch, and the opposite a moment after it does: it gets no share that it could not
serve yet. The owner says the opposite at once here, too, since switches connect to both at the same time. Who is given a share before it
reaches a switch of it, as the only one that is there, waits for the switches as any other owner.
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
FIRST = 1.0  # the same for a member that has not reached any switch of the share since its start
EACH = 1.0  # seconds between two looks at all switches while all shares are reached
HEARD = 1.0  # seconds in which the watch of etcd tells of what was put there

log = logging.getLogger(__name__)


class SwitchReach:
    """`unreached` tells of which shares no switch is reached now. `me`: this controller's name. `blind`: the shares that the cell is told, as
    in ClusterCell.blind; etcd may know of them a moment later."""

    def __init__(self, me: str, unreached: Callable[[], Collection[str]] = tuple) -> None:
        self.unreached = unreached
        self._me = me
        self._since: dict[str, float] = {}
        self._back: dict[str, float] = {}  # shares that are reached again, and since when
        self._blind: set[str] = set()  # those that are told
        self._never: set[str] = set()  # those of them that were not reached since the start
        self.blind: frozenset[str] = frozenset()
        self._looked = self._put_at = float("-inf")

    def begins(self, shares: Iterable[str]) -> str:
        """No switch of these, which are all shares, is reached yet; the text that tells so."""
        self._blind, self._never = set(shares), set(shares)
        self.blind = frozenset({ALL})
        return self.text

    @property
    def text(self) -> str:
        """What etcd is told; "" for nothing."""
        return json.dumps(sorted(self.blind)) if self.blind else ""

    def look(self, cell: ClusterCell, keys: Keys, lease: int, now: float) -> None:
        """Tell what is another than what the cell knows. `lease`: with which it ends; `now`: seconds, monotonic. Raises EtcdError."""
        if not self._blind and now < self._looked + EACH:
            return
        self._looked = now
        unreached = set(self.unreached())
        own = {share for share, one in cell.shares.items() if one.owner.controller == self._me}
        self._since = {share: self._since.get(share, now) for share in unreached}
        waiting = self._blind - unreached - own
        self._back = {share: self._back.get(share, now) for share in waiting}
        blind = {
            share for share, at in self._since.items() if now >= at + (WAITED if share in own else SOONER)
        }
        blind |= self._blind & (unreached - (own & self._never))
        blind |= {
            share for share, at in self._back.items() if now < at + (FIRST if share in self._never else BACK)
        }
        self._blind = set(blind)
        self._never &= blind
        if blind and len(blind) == cell.count:
            blind = {ALL}
        self._tell(frozenset(blind), cell.blind.get(self._me, frozenset()), keys, lease, now)

    def _tell(self, wanted: frozenset[str], told: frozenset[str], keys: Keys, lease: int, now: float) -> None:
        """Tell etcd, unless it was told a moment ago and its watch has not said so yet. `told`: what the cell knows. Raises EtcdError."""
        if wanted == told or (wanted == self.blind and now < self._put_at + HEARD):
            self.blind = wanted
            return
        lost = sorted(wanted - told)
        if lost and ALL not in told:
            log.warning(
                "no switch of share %s is reached: another controller should decide there",
                ", ".join(lost[:5]),
            )
        self.blind, self._put_at = wanted, now
        if wanted:
            keys.put(BLIND + self._me, self.text, lease)
        else:
            keys.delete(BLIND + self._me)


def unreached(switches: Iterable[DatapathId], reached: Iterable[DatapathId], shares: int) -> Collection[str]:
    """The shares that have some of these switches, and of which none is reached."""
    return {share_of(dpid, shares) for dpid in switches} - {share_of(dpid, shares) for dpid in reached}
