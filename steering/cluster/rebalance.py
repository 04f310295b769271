"""Plans the moves of a rebalancing, or says why it is refused. The plan is a pure function of the cell's known state.

The member that assigns the shares moves one share at a time, and etcd holds the move under way. The taker writes into etcd that
it has taken the share, when the switches obey it and it knows their sessions. Only then the next share moves. A share that is not
taken within TAKEN_WITHIN seconds ends the rebalancing; shares that have moved stay where they are.
"""

from collections.abc import Collection

from steering.cluster.cell import ClusterCell
from steering.cluster.shares import Allotment, share_names
from steering.model.cluster import RebalanceRefusal, ShareMove

TAKEN_WITHIN = 30.0  # seconds in which a share has to be taken; taking it needs some 20 us a session


def plan(cell: ClusterCell, unreachable: Collection[str]) -> list[ShareMove]:
    """The moves of a rebalancing, in their order. `unreachable`: members whose streams are closed. Raises RebalanceRefusal."""
    if cell.rebalance is not None:
        where = f": {cell.rebalance.share} goes to {cell.rebalance.taker}" if cell.rebalance.share else ""
        raise RebalanceRefusal(f"the load is being levelled already{where}")
    if cell.count < 2:
        raise RebalanceRefusal("the cell has one share: start its controllers with --cluster-shares")
    if draining := sorted(one.id for one in cell.present() if one.draining):
        raise RebalanceRefusal(f"{_names(draining)} to decide for nothing: undrain or end first")
    if silent := sorted(cell.members.keys() & set(unreachable)):
        raise RebalanceRefusal(f"not heard: {', '.join(silent)}")
    names = share_names(cell.count)
    known = [(name, cell.shares.get(name)) for name in names]
    if lost := [name for name, one in known if one is None or one.owner.controller not in cell.members]:
        raise RebalanceRefusal(f"nobody who is there decides for {', '.join(lost[:5])}: wait until one does")
    allotment = Allotment(cell.present(), names, cell.shares, cell.blind)
    moves = allotment.moves()
    if not moves:
        held = ", ".join(f"{name} has {count}" for name, count in allotment.loads().items())
        raise RebalanceRefusal(f"nothing is to be done: of {cell.count} shares {held}")
    return moves


def _names(some: list[str]) -> str:
    return f"{some[0]} is" if len(some) == 1 else f"{', '.join(some)} are"
