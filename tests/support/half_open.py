"""Half-open sessions over time: switches that answer what they are asked about single entries."""

from collections.abc import Callable
from typing import NamedTuple

from steering.core.inputs import CountersRead, ObservedEntry
from steering.core.outputs import ReadCounters
from steering.model.session import Entry
from tests.support.sites import Driver


class Counted(NamedTuple):
    """What an entry has counted: packets and bytes of frames."""

    packets: int
    bytes: int


NOTHING, RESET = Counted(0, 0), Counted(1, 54)
ACK = Counted(1, 86)  # a third ACK with MP_CAPABLE and timestamps, IPv4
PLAIN_ACK = Counted(1, 66)


def tell(driver: Driver, outputs: list, counted: Callable[[Entry], Counted]) -> list[Entry]:
    """Answer each question of `outputs`; the entries that were asked about."""
    asked: list[Entry] = []
    for output in outputs:
        if isinstance(output, ReadCounters):
            asked += output.entries
            found = [ObservedEntry(entry, *counted(entry)) for entry in output.entries]
            driver.give(CountersRead(output.dpid, found))
    return asked


def passes(
    driver: Driver, seconds: float, counted: Counted | Callable[[Entry], Counted], step: float = 0.1
) -> list[Entry]:
    """Time goes by, and each entry that is asked about has counted so much. Those entries."""
    told = counted if callable(counted) else lambda entry: counted
    asked: list[Entry] = []
    for _ in range(round(seconds / step)):
        asked += tell(driver, driver.later(step), told)
    return asked
