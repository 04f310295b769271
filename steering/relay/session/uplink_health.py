"""The health of uplinks: one that has a carrier but does not answer is left, remembered, and tried again now and
then.

Pure: it knows only what it is told. An uplink is *silent* for an IP version once a dial by it had no answer while a
dial by another uplink had one. A server that answers on no uplink says nothing about them. A silent uplink is not
used for a time that doubles with each failed trial. Then one dial gets a *trial* by the silent uplink beside it, for
which nothing waits.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from steering.relay.kernel.uplinks import Uplink

FIRST_S, LONGEST_S = 1.0, 60.0
"""Seconds until the first trial of a silent uplink, and most seconds between two trials."""
_MOST_DOUBLED = 16
"""Doubled so often the wait is LONGEST_S. A line may be dead for weeks, and no float holds 2 to the power of 1024."""


class Silence(NamedTuple):
    """How many trials in a row have failed, and when the next may begin."""

    failed: int
    until: float


class Order(NamedTuple):
    """`ways` are dialled one after the other. Each of `trials` is dialled once, together with the first way."""

    ways: list[Uplink]
    trials: list[Uplink]


class UplinkHealth:
    """Times are seconds of one steady clock."""

    def __init__(self) -> None:
        self._silent: dict[tuple[str, int], Silence] = {}

    def order(
        self, uplinks: Sequence[Uplink], version: int, now: float, carries: Callable[[str], bool]
    ) -> Order:
        """In which order to use the uplinks that have an address of an IP version: those that answer come first, in
        the operator's order."""
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
        """A dial by this uplink had no answer, and one by another had. Returns whether that is new. Before its next trial is due
        it says nothing more: that dial was under way already when another one found the uplink silent."""
        before = self._silent.get((interface, version))
        if before is not None and now < before.until:
            return False
        failed = 1 if before is None else before.failed + 1
        wait = min(FIRST_S * 2 ** min(failed - 1, _MOST_DOUBLED), LONGEST_S)
        self._silent[interface, version] = Silence(failed, now + wait)
        return before is None

    def tried(self, interface: str, version: int, until: float) -> None:
        """A trial has begun. There is no other before its end."""
        before = self._silent.get((interface, version))
        if before is not None:
            self._silent[interface, version] = before._replace(until=until)

    def answered(self, interface: str, version: int) -> bool:
        """A dial by this uplink was answered. Returns whether that is new."""
        return self._silent.pop((interface, version), None) is not None

    def forget(self, interface: str) -> None:
        """Forget an uplink's silence, as its address, gateway or carrier has changed."""
        for version in (4, 6):
            self._silent.pop((interface, version), None)

    def document(self, interface: str) -> list[str]:
        """The IP versions for which an uplink is silent, for the status."""
        return [f"ipv{version}" for version in (4, 6) if (interface, version) in self._silent]
