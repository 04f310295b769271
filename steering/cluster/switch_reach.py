"""Tells the cell the shares of which this controller reaches no switch.

Streams and etcd show that a controller lives. They do not show that switches are connected to it. So a controller that has lost its switches
tells the cell, and its shares go to a member that still reaches them (steering.cluster.shares). Switches that are away only for a moment are
not told.

If a switch is off or starts again, all members lose it within some seconds, and reach it again later. Its owner tells the loss later than the
other members, and tells the return earlier, so that it stays the owner.

A controller that starts tells at once that it reaches no switch. When it does reach switches, it tells this a moment later. So it gets no
share that it could not serve yet. The owner of a share tells the return at once in this case, too, because switches connect to both
controllers at the same time. A starting controller may get a share because no other member is there. Then it waits for the switches like any
other owner.

A share whose switches are lost again and again would go to another member and back each time. So a member that loses them again within CALM
waits twice as long as the last time before it tells the return. It does not wait so long if the owner does not reach them either.
"""

import json
import logging
from collections.abc import Callable, Collection, Iterable

from steering.cluster.cell import ALL, BLIND, ClusterCell
from steering.cluster.shares import share_of
from steering.model.ids import DatapathId
from steering.store.etcd.keys import Keys

WAITED = 5.0  # seconds without any switch of a share after which its owner tells the loss
SOONER = 2.5  # seconds after which another member tells the loss
BACK = 2.0  # seconds with a switch of a share after which another member than the owner tells the return; the owner tells it at once
LONGEST = 128.0  # the longest of these waits, which grow while switches are lost again and again
CALM = 300.0  # seconds since the last loss after which a share's next wait is the shortest one again
FIRST = 1.0  # seconds after which a member tells that it reaches a switch of the share for the first time since its start
EACH = 1.0  # seconds between two looks at all switches while all shares are reached
HEARD = 1.0  # seconds within which the watch of etcd tells a change that was made there

log = logging.getLogger(__name__)


class SwitchReach:
    """`unreached` returns the shares of which no switch is reached now. `me`: this controller's name. `blind`: the shares that the cell is
    told, as in ClusterCell.blind. etcd may have them a moment later."""

    def __init__(self, me: str, unreached: Callable[[], Collection[str]] = tuple) -> None:
        self.unreached = unreached
        self._me = me
        self._since: dict[str, float] = {}  # shares that are not reached, and since when
        self._back: dict[str, float] = {}  # shares that are reached again, and since when
        self._blind: set[str] = set()  # the shares that the cell is told as not reached
        self._never: set[str] = set()  # the shares in `_blind` that were never reached since the start
        # When a share was lost last, and how long the member waits from then on before it tells the return.
        self._losses: dict[str, tuple[float, float]] = {}
        self.blind: frozenset[str] = frozenset()
        self._looked = self._put_at = float("-inf")

    def begins(self, shares: Iterable[str]) -> str:
        """The controller starts, and reaches no switch yet. `shares`: all shares. Returns the text for etcd."""
        self._blind, self._never = set(shares), set(shares)
        self.blind = frozenset({ALL})
        return self.text

    @property
    def text(self) -> str:
        """The value for etcd: the shares that are not reached. "" for none."""
        return json.dumps(sorted(self.blind)) if self.blind else ""

    def look(self, cell: ClusterCell, keys: Keys, lease: int, now: float) -> None:
        """Tell the cell what has changed. `lease`: the lease with which the value in etcd ends. `now`: seconds, monotonic. Raises
        EtcdError."""
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
        blind |= {share for share, at in self._back.items() if now < at + self._wait(share, cell)}
        self._count_losses(blind - self._blind, now)
        self._blind = set(blind)
        self._never &= blind
        if blind and len(blind) == cell.count:
            blind = {ALL}
        self._tell(frozenset(blind), cell.blind.get(self._me, frozenset()), keys, lease, now)

    def _wait(self, share: str, cell: ClusterCell) -> float:
        """Seconds with a switch of a share after which this member, which is not its owner, tells the return."""
        if share in self._never:
            return FIRST
        known = cell.shares.get(share)
        blind = () if known is None else cell.blind.get(known.owner.controller, ())
        return BACK if share in blind or ALL in blind else self._losses.get(share, (0.0, BACK))[1]

    def _count_losses(self, lost: Iterable[str], now: float) -> None:
        for share in lost:
            at, wait = self._losses.get(share, (float("-inf"), BACK))
            self._losses[share] = now, (min(2 * wait, LONGEST) if now < at + CALM else BACK)

    def _tell(self, wanted: frozenset[str], told: frozenset[str], keys: Keys, lease: int, now: float) -> None:
        """Write `wanted` into etcd, unless it was written a moment ago and the watch has not told it yet. `told`: what the cell knows.
        Raises EtcdError."""
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
    """The shares of the site's `switches` that have none of the switches in `reached`."""
    return {share_of(dpid, shares) for dpid in switches} - {share_of(dpid, shares) for dpid in reached}
