"""Decides when each standby begins anew after the state kept in etcd has changed: one after the other, so that one
standby is always ready."""

from math import ceil

from steering.cluster.cell import ClusterCell
from steering.cluster.shares import share_name

SETTLED = 0.5  # seconds from a change of the kept state until the first standby begins anew
TURN = 5.0  # seconds of a standby's turn: it should be ready again before the next standby begins anew
SELDOM = 30.0  # least seconds between two starts of a standby, however often the kept state changes


def line_of(cell: ClusterCell, me: str) -> list[str]:
    """The members that begin anew after a change of the kept state, in their order, which is the same at all members.
    These are all members but the owner of the first share, because the owner made the change. `me`: the asking member,
    which `cell` may not list yet."""
    first = cell.shares.get(share_name(0))
    decides = "" if first is None else first.owner.controller
    return sorted({one.id for one in cell.present()} - {decides} | {me})


def turn_of(place: int, standbys: int, now: float, started: float, wall: float) -> float:
    """When the standby at `place` of `standbys`, counted from 0, begins anew. `now`, `started` and the result are seconds
    of the standby's own monotonic clock; `wall` is `now` in seconds since 1970."""
    # Members start and learn of the change at different moments, so turns are counted by the wall clock, which all share.
    # Where wall clocks differ by seconds, several standbys may begin anew at once. That is safe: a switch without a
    # controller forwards by the entries that it has.
    earliest = max(now + SETTLED, started + SELDOM)
    if standbys == 1:
        return earliest  # there is no other standby to wait for
    turn = ceil((earliest - now + wall) / TURN)
    return now + (turn + (place - turn) % standbys) * TURN - wall
