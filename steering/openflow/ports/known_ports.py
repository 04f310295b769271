"""The ports of a switch whose changes are taken. Their number is bounded, because a switch may name any number of ports,
any number of times.
"""

from collections.abc import Iterable

from steering.model.ids import PortNumber

MAX_PORTS = 4_096  # a switch that had more when it connected keeps those


class KnownPorts:
    """The port numbers of one connection."""

    def __init__(self, numbers: Iterable[PortNumber]) -> None:
        self._numbers = set(numbers)

    def takes(self, number: PortNumber, gone: bool) -> bool:
        """Whether a change of this port is taken: not if the change would add one port too many, or removes a port that
        is not known."""
        if gone:
            known = number in self._numbers
            self._numbers.discard(number)
            return known
        if number not in self._numbers and len(self._numbers) >= MAX_PORTS:
            return False
        self._numbers.add(number)
        return True
