"""Remembers which servers speak MPTCP (D-2.2, D-2.4), for the mode `hybrid` (D-3.4c) and for withdrawn MCPs.

A server is tried once on the natural path, and its SYN/ACK shows whether it speaks MPTCP. The result is remembered for
`timers.capability` (G7). The number of servers is bounded: those learnt most recently stay.
"""

from collections import OrderedDict
from collections.abc import Callable

from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.wire.handshake import Handshake, Kind

SERVERS = 65_536  # most servers that are remembered
TRIALS = 4_096  # most trials whose answer is awaited
TRIAL_SECONDS = 10.0  # how long an answer is awaited

Server = tuple[bytes, int]  # address and port


class Capabilities:
    """Remembers servers for `seconds()`, by the policy in force when they answer. `known` returns True for MPTCP, False for plain TCP, None for an unknown server."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._servers: OrderedDict[Server, tuple[float, bool]] = OrderedDict()
        self._trials: OrderedDict[FlowKey, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._servers)

    def known(self, server: Server, now: float) -> bool | None:
        found = self._servers.get(server)
        if found is None:
            return None
        if found[0] <= now:
            del self._servers[server]
            return None
        return found[1]

    def learn(self, server: Server, capable: bool, now: float) -> None:
        self._servers[server] = (now + self._seconds(), capable)
        self._servers.move_to_end(server)
        if len(self._servers) > SERVERS:
            self._servers.popitem(last=False)

    def try_on(self, flow: FlowKey, now: float) -> None:
        """A first SYN went to an unknown server on its natural path. The server's answer is awaited."""
        self._trials[flow] = now + TRIAL_SECONDS
        self._trials.move_to_end(flow)
        if len(self._trials) > TRIALS:
            self._trials.popitem(last=False)

    def tried(self, flow: FlowKey, now: float) -> bool:
        """Whether the answer to this flow is awaited. The call ends the trial."""
        deadline = self._trials.pop(flow, None)
        return deadline is not None and deadline > now

    def answered(self, handshake: Handshake, now: float) -> None:
        """A server sent a SYN/ACK on the natural path. It counts only if its SYN was a trial."""
        if self.tried(flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport), now):
            self.learn((handshake.src, handshake.sport), handshake.kind is Kind.CAPABLE, now)

    def servers(self, now: float) -> list[tuple[Server, bool, float]]:
        """Every known server: its address and port, whether it speaks MPTCP, and for how many more seconds this is
        remembered."""
        return [(s, capable, end - now) for s, (end, capable) in self._servers.items() if end > now]
