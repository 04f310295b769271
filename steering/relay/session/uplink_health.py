"""Which uplinks answer: a dead one with a carrier is left for the next, remembered, and tried again now and then.

Pure but for what it is told. An uplink is *silent* towards an IP version once a dial by it had no answer while one by
another uplink had: a server that answers nobody says nothing of uplinks. A silent uplink is not dialled by for a time
that doubles with each trial that fails; then one dial has a *trial* beside it, which nobody waits for.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from steering.relay.kernel.uplinks import Uplink

FIRST_S, LONGEST_S = 1.0, 60.0
"""Until the first trial of a silent uplink, and at most between two."""


class Silence(NamedTuple):
    """Trials that failed in a row, and when the next may be."""

    failed: int
    until: float


class Order(NamedTuple):
    """`ways` are dialled one after the other; by each of `trials` once, at the same time as by the first."""

    ways: list[Uplink]
    trials: list[Uplink]


class UplinkHealth:
    """Times are seconds of one steady clock."""

    def __init__(self) -> None:
        self._silent: dict[tuple[str, int], Silence] = {}

    def order(
        self, uplinks: Sequence[Uplink], version: int, now: float, carries: Callable[[str], bool]
    ) -> Order:
        """How to dial by those that have an address of an IP version: first what answers, in the operator's order."""
        able = [uplink for uplink in uplinks if uplink.address(version)]
        up = [uplink for uplink in able if carries(uplink.interface)]
        silent = {one.interface: self._silent.get((one.interface, version)) for one in up}
        fine = [one for one in up if silent[one.interface] is None]
        quiet = sorted(
            (one for one in up if silent[one.interface] is not None),
            key=lambda one: self._silent[one.interface, version].until,
        )
        trials = [one for one in quiet if self._silent[one.interface, version].until <= now] if fine else []
        down = [one for one in able if one not in up]
        return Order([*fine, *quiet, *down], trials)

    def silent(self, interface: str, version: int, now: float) -> bool:
        """A dial by it had no answer and another's had; whether that is news."""
        before = self._silent.get((interface, version))
        failed = 1 if before is None else before.failed + 1
        wait = min(FIRST_S * 2 ** (failed - 1), LONGEST_S)
        self._silent[interface, version] = Silence(failed, now + wait)
        return before is None

    def tried(self, interface: str, version: int, until: float) -> None:
        """A trial began; no other until its end."""
        before = self._silent.get((interface, version))
        if before is not None:
            self._silent[interface, version] = before._replace(until=until)

    def answered(self, interface: str, version: int) -> bool:
        """A dial by it was answered; whether that is news."""
        return self._silent.pop((interface, version), None) is not None

    def forget(self, interface: str) -> None:
        """It has another address, gateway or carrier: what was known of it counts no more."""
        for version in (4, 6):
            self._silent.pop((interface, version), None)

    def document(self, interface: str) -> list[str]:
        """IP versions towards which it is silent, as the status has them."""
        return [f"ipv{version}" for version in (4, 6) if (interface, version) in self._silent]
