"""Lost hosts: their port went down, and they are not known at another port yet.

For SOUGHT seconds a lost host is asked for behind all ports of its network. Bounded are the number of lost hosts, the
time, the questions for one host, and the questions for all of them together.
"""

from dataclasses import dataclass

from steering.core.counters import Counters
from steering.core.network.address_queries import RETRY, TRIES
from steering.model.token_bucket import TokenBucket

MOST = 1_024  # most lost addresses; the network that has most of them drops its oldest
# Seconds in which a lost host is sought. A host that moves has carrier again within seconds. A host that was switched
# off asks for its gateway by itself when it returns.
SOUGHT = 30.0
# Least seconds between two questions for one address behind all ports: a question is open for so long. A question that
# was dropped for lack of room is opened again by the next packet. Packets with a spoofed source open questions, too.
BETWEEN = RETRY * TRIES
# Questions a second behind further ports, and most at once, for all lost hosts together. A switch that reboots may lose
# hundreds of hosts, and each would be asked for behind every port of its network.
RATE, BURST = 500.0, 4_000.0
PART = 0.5  # the share of RATE and BURST that one network has at most


@dataclass(slots=True)
class LostHost:
    """A lost host: it is sought until `until`, and not asked for before `next_turn` (seconds of the engine's clock)."""

    until: float
    next_turn: float


class LostHosts:
    """The lost hosts, by name of their network and by address."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._lost: dict[str, dict[bytes, LostHost]] = {}  # network -> address -> host, the oldest first
        self._count = 0
        self._all: TokenBucket | None = None
        self._of: dict[str, TokenBucket] = {}  # by name of the network, so the site's networks bound it

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
        """Whether a lost address may be asked for behind all ports of its network now. If so, its next turn is BETWEEN
        seconds later. `questions`: how many questions that takes."""
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
        """Whether RATE and BURST allow so many questions for a network now. A refusal is counted."""
        if self._all is None:
            self._all = TokenBucket(RATE, BURST, now)
        if network not in self._of:
            self._of[network] = TokenBucket(RATE * PART, BURST * PART, now)
        cost = min(questions, BURST * PART)
        # The network's own bucket is asked first: a network that asks without end leaves the common one to others.
        if not self._of[network].take(now, cost) and not self._all.take(now, cost):
            return True
        self._counters.lost_hosts_unasked += 1
        return False
