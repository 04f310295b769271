"""When standbys begin anew because what is kept has changed: one after the other, so that one is ready all the time."""

from math import ceil

from steering.cluster.cell import ClusterCell
from steering.cluster.shares import share_name

SETTLED = 0.5  # seconds after a change of what is kept, until the first standby begins anew
TURN = 5.0  # seconds of a standby's turn: time for one to be ready again before the next one begins anew
SELDOM = 30.0  # least seconds between two starts of a standby, whatever changes how often


def line_of(cell: ClusterCell, me: str) -> list[str]:
    """Who begins anew when what is kept has changed, in this order, which is the same at each: all members but the one that
    decides for the first share, as it has made the change. `me`: the asking member, which may not know of itself yet."""
    first = cell.shares.get(share_name(0))
    decides = "" if first is None else first.owner.controller
    return sorted({one.id for one in cell.present()} - {decides} | {me})


def turn_of(place: int, standbys: int, now: float, started: float, wall: float) -> float:
    """When the standby at a place of so many, counted from 0, begins anew. `now`, `started` and the answer are seconds of
    its own monotonic clock; `wall` is `now` in seconds since 1970."""
    # Members start and hear of the change at different moments, so turns are counted by the clock that all have in common.
    # Where clocks differ by seconds, several may begin anew at once. That is safe: a switch without a controller forwards by
    # the entries that it has.
    earliest = max(now + SETTLED, started + SELDOM)
    if standbys == 1:
        return earliest  # nobody to wait for
    turn = ceil((earliest - now + wall) / TURN)
    return now + (turn + (place - turn) % standbys) * TURN - wall
