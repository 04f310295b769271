"""Carries out an operator's order to level the load, one move after the other. etcd holds the move that is under way.

The member that assigns the shares carries the order out. `cluster.rebalance` plans the moves, and says how long one move may take.
"""

import logging
from collections.abc import Callable, Collection

from steering.cluster.cell import GAVE_UP, REBALANCE, ClusterCell, rebalance_text
from steering.cluster.rebalance import TAKEN_WITHIN
from steering.cluster.shares import Allotment, granted
from steering.model.cluster import Rebalance, ShareAssignment
from steering.store.etcd.keys import Delete, Keys, Put

log = logging.getLogger(__name__)

Commit = Callable[[dict[str, ShareAssignment], int, tuple[str, int, Put]], bool]


class RebalanceOrder:
    """The order under way. `is_there`: whether a member is there. `commit` writes assignments, the last granted generation and another
    key with its expected revision (Coordination._commit). `now`: seconds, monotonic."""

    def __init__(
        self, keys: Keys, is_there: Callable[[str], bool], commit: Commit, now: Callable[[], float]
    ) -> None:
        self._keys = keys
        self._is_there = is_there
        self._commit = commit
        self._now = now
        # etcd's revision of the move under way, and when this controller first saw that revision.
        self._moving: tuple[int, float] = (0, 0.0)

    def go_on(
        self, cell: ClusterCell, allotment: Allotment, under_way: Rebalance, unheard: Collection[str]
    ) -> None:
        """Order the next move, if the taker of the last one has said that it has taken its share, and all members are heard. Otherwise
        give up in time. `unheard`: members that are not heard. Raises EtcdError."""
        revision = cell.revisions.get(REBALANCE, 0)
        if self._moving[0] != revision:
            self._moving = revision, self._now()
        is_late = self._now() >= self._moving[1] + TAKEN_WITHIN
        if under_way.share:
            if self._is_there(under_way.taker) and not is_late:
                return
            log.warning(
                "the load is not levelled further: %s has not taken share %s",
                under_way.taker,
                under_way.share,
            )
            told = Put(GAVE_UP, rebalance_text(under_way))
            self._keys.commit({REBALANCE: revision}, [told, Delete(REBALANCE)])
            return
        if unheard:
            if is_late:
                log.warning("the load is not levelled further: not heard: %s", ", ".join(sorted(unheard)))
                self._keys.commit({REBALANCE: revision}, [Delete(REBALANCE)])
            return
        move = next(iter(allotment.moves()), None)
        if move is None:
            log.info("the load is level")
            self._keys.commit({REBALANCE: revision}, [Delete(REBALANCE)])
            return
        wanted = allotment.wanted(moves=1)[move.share]
        assignment, last = granted(wanted, cell.shares.get(move.share), cell.last)
        told = Put(REBALANCE, rebalance_text(Rebalance(move.share, move.taker)))
        self._commit({move.share: assignment}, last, (REBALANCE, revision, told))
