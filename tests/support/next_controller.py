"""A controller that was killed, what it had kept, and the one that begins after it."""

from typing import Any

from steering.core import inputs
from steering.core.engine import Engine
from steering.core.snapshots import kept as snapshots
from steering.model.kept import KeptState, Piece, merged
from steering.model.network import NetworkAccessType, PortRole
from tests.support.sites import Driver

CELLULAR = NetworkAccessType.CELLULAR


def kept(driver: Any) -> KeptState:
    """What would be on disk."""
    begun, _ = snapshots.sessions(driver.engine)
    pieces = [snapshots.kept(driver.engine, piece, driver.now) for piece in Piece]
    return merged([*pieces, KeptState(sessions=tuple(s for _, s in begun))])


def held_by(driver: Driver, bytes_of: dict[int, int] | None = None) -> dict[int, list[inputs.ObservedEntry]]:
    """The session entries of each switch; `bytes_of`: what the entries of a switch have counted."""
    found: dict[int, list[inputs.ObservedEntry]] = {}
    for session in driver.table:
        for entry in session.entries(PortRole.GATEWAY):
            size = (bytes_of or {}).get(entry.dpid, 0)
            found.setdefault(entry.dpid, []).append(inputs.ObservedEntry(entry, 5, size))
    return found


class Next:
    """The controller after `before`; its switches come one by one."""

    def __init__(self, before: Driver, told: KeptState, policy=None, gone: float = 5.0, **bytes_of) -> None:
        self.before = before
        self.driver: Any = Driver.__new__(Driver)
        self.driver.site, self.driver.now, self.driver.fills = before.site, before.now + gone, {}
        self.driver.engine = Engine(before.site, policy or before.engine.policy, epoch=8)
        self.entries = held_by(before, **bytes_of)
        left = tuple(one._replace(remaining=one.remaining - gone) for one in told.reservations)
        self.driver.give(inputs.Restored(told._replace(reservations=left)))
        # What the operator told of an access network is no part of it.
        self.driver.give(inputs.AccessChanged("lte", CELLULAR, None))

    def up(self, *dpids: int) -> None:
        for dpid in dpids or sorted(self.before.engine.switches):
            self.driver.up(dpid, self.entries.get(dpid, []))
        self.driver.mcps_answer()
