"""The subflows of a driver's one session, and sweeps that find some of them alive."""

from collections.abc import Collection

from steering.core.inputs import ObservedEntry, SweepRead
from steering.model.ids import DatapathId
from tests.support.sites import Driver


def ports(driver: Driver) -> list[int]:
    """The hosts' ports of its subflows."""
    (session,) = driver.table
    return [subflow.flow.source_port for subflow in session.subflows]


def moved(driver: Driver, *which: int, switches: Collection[DatapathId] = ()) -> None:
    """A sweep of these switches, or of all, finds that the entries of these source ports counted packets."""
    (session,) = driver.table
    entries = [session.entry(s) for s in session.subflows if s.flow.source_port in which]
    seen = [ObservedEntry(entry, int(driver.now), 0) for entry in entries if entry is not None]
    driver.give(SweepRead(1, seen, True, True, driver.now))
    driver.engine.sessions.counted.round_over(driver.now, switches or driver.engine.map.switches)
