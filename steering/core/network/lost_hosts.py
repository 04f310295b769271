"""Hosts of ports that went down, and that have not been found elsewhere: for some time they are asked for behind all ports
of their network. Bounded in number, in time, in how often one is asked for, and in what all of them ask together.
"""

from dataclasses import dataclass

from steering.core.counters import Counters
from steering.core.network.address_queries import RETRY, TRIES
from steering.model.token_bucket import TokenBucket

MOST = 1_024  # addresses; of the network that has most of them the one that was lost first gives way
# Seconds after its port went down in which a host is sought. One that moves has carrier again within seconds; one that
# was switched off stays silent, and asks for its gateway by itself when it returns.
SOUGHT = 30.0
# Least seconds between two questions for one address behind all ports: as long as a question is open. A question that gave
# way to others is opened anew by the next packet, and packets with a spoofed source open questions, too.
BETWEEN = RETRY * TRIES
# Questions a second behind further ports, and at once, of all lost hosts together: a switch that reboots may lose hosts
# by the hundred, each of which would be asked for behind every port. One network takes half of it at most.
RATE, BURST = 500.0, 4_000.0
PART = 0.5


@dataclass(slots=True)
class LostHost:
    """Times in seconds of the engine's clock: when it is sought no more, and before which it is not asked for again."""

    until: float
    next_turn: float


class LostHosts:
    """By name of the network, and address."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._lost: dict[str, dict[bytes, LostHost]] = {}  # of each network in order of age
        self._count = 0
        self._all: TokenBucket | None = None
        self._of: dict[str, TokenBucket] = {}  # by name of a network, of which a site has no more than it has

    def __len__(self) -> int:
        return self._count

    def add(self, address: bytes, network: str, now: float) -> None:
        self.found(address, network)
        self._lost.setdefault(network, {})[address] = LostHost(now + SOUGHT, now)
        self._count += 1
        if self._count > MOST:
            largest = max(self._lost, key=lambda name: len(self._lost[name]))
            self.found(next(iter(self._lost[largest])), largest)

    def found(self, address: bytes, network: str) -> None:
        here = self._lost.get(network, {})
        if here.pop(address, None) is not None:
            self._count -= 1
            if not here:
                del self._lost[network]

    def has_turn(self, address: bytes, network: str, questions: int, now: float) -> bool:
        """Whether an address is to be asked for behind all ports now, after which its next turn is BETWEEN seconds away.
        `questions`: how many that takes, and `network` whose."""
        host = self._lost.get(network, {}).get(address)
        if host is None:
            return False
        if now >= host.until:
            self.found(address, network)
            return False
        if now < host.next_turn or not self.may_ask(network, questions, now):
            return False
        host.next_turn = now + BETWEEN
        return True

    def may_ask(self, network: str, questions: int, now: float) -> bool:
        """Whether so many questions behind further ports of a network are left of RATE and BURST. Refusals are counted."""
        if self._all is None:
            self._all = TokenBucket(RATE, BURST, now)
        if network not in self._of:
            self._of[network] = TokenBucket(RATE * PART, BURST * PART, now)
        cost = min(questions, BURST * PART)
        # The network's own first: one that asks without end takes nothing of what others may.
        if not self._of[network].take(now, cost) and not self._all.take(now, cost):
            return True
        self._counters.lost_hosts_unasked += 1
        return False
