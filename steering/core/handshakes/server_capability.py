"""Which servers speak MPTCP (D-2.2, D-2.4), for the mode `hybrid` (D-3.4c): a server is tried once on the natural
path, and its SYN/ACK tells.

Kept apart from the slow-server cache, because entries here last another time (G7). Bounded: the servers asked for
most recently stay.
"""

from collections import OrderedDict

from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.wire.handshake import Handshake, Kind

SERVERS = 65_536
TRIALS = 4_096
TRIAL_SECONDS = 10.0

Server = tuple[bytes, int]


class Capabilities:
    """`known` answers True (speaks MPTCP), False (plain), or None."""

    def __init__(self, seconds: float) -> None:
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
        self._servers[server] = (now + self._seconds, capable)
        self._servers.move_to_end(server)
        if len(self._servers) > SERVERS:
            self._servers.popitem(last=False)

    def try_on(self, flow: FlowKey, now: float) -> None:
        """A first SYN went to an unknown server on the natural path: the server's answer to it will be believed."""
        self._trials[flow] = now + TRIAL_SECONDS
        self._trials.move_to_end(flow)
        if len(self._trials) > TRIALS:
            self._trials.popitem(last=False)

    def tried(self, flow: FlowKey, now: float) -> bool:
        """Whether this flow was such a trial; may be asked once."""
        deadline = self._trials.pop(flow, None)
        return deadline is not None and deadline > now

    def answered(self, handshake: Handshake, now: float) -> None:
        """A server on the natural path answered. The answer counts only if its SYN was such a trial."""
        if self.tried(flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport), now):
            self.learn((handshake.src, handshake.sport), handshake.kind is Kind.CAPABLE, now)

    def servers(self, now: float) -> list[tuple[Server, bool, float]]:
        """Every known server: its address and port, whether it speaks MPTCP, and for how many seconds that is
        believed."""
        return [(s, capable, end - now) for s, (end, capable) in self._servers.items() if end > now]
