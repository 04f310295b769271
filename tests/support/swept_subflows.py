"""The subflows of a driver's one session, and sweeps that find some of them alive."""

from steering.core.inputs import ObservedEntry, SweepRead
from tests.support.sites import Driver


def ports(driver: Driver) -> list[int]:
    """The hosts' ports of its subflows."""
    (session,) = driver.table
    return [subflow.flow.source_port for subflow in session.subflows]


def moved(driver: Driver, *which: int) -> None:
    """A sweep finds that the entries of these source ports counted packets."""
    (session,) = driver.table
    entries = [session.entry(s) for s in session.subflows if s.flow.source_port in which]
    seen = [ObservedEntry(entry, int(driver.now), 0) for entry in entries if entry is not None]
    driver.give(SweepRead(1, seen, True, True, driver.now))
