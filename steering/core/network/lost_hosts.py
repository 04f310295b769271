"""Hosts of ports that went down, and that have not been found elsewhere: for some time they are asked for behind all ports
of their network. Bounded in number, in time, and in how often one is asked for.
"""

from dataclasses import dataclass

from steering.core.network.address_queries import RETRY, TRIES

MOST = 1_024  # addresses; the one that was lost first gives way
# Seconds after its port went down in which a host is sought. One that moves has carrier again within seconds; one that
# was switched off stays silent, and asks for its gateway by itself when it returns.
SOUGHT = 30.0
# Least seconds between two questions for one address behind all ports: as long as a question is open. A question that gave
# way to others is opened anew by the next packet, and packets with a spoofed source open questions, too.
BETWEEN = RETRY * TRIES


@dataclass(slots=True)
class LostHost:
    """Times in seconds of the engine's clock: when it is sought no more, and before which it is not asked for again."""

    until: float
    next_turn: float


class LostHosts:
    """By address."""

    def __init__(self) -> None:
        self._lost: dict[bytes, LostHost] = {}  # in order of age

    def add(self, address: bytes, now: float) -> None:
        self._lost.pop(address, None)
        self._lost[address] = LostHost(now + SOUGHT, now)
        if len(self._lost) > MOST:
            del self._lost[next(iter(self._lost))]

    def found(self, address: bytes) -> None:
        self._lost.pop(address, None)

    def has_turn(self, address: bytes, now: float) -> bool:
        """Whether an address is to be asked for behind all ports now, after which its next turn is BETWEEN seconds away."""
        host = self._lost.get(address)
        if host is None:
            return False
        if now >= host.until:
            del self._lost[address]
            return False
        if now < host.next_turn:
            return False
        host.next_turn = now + BETWEEN
        return True
