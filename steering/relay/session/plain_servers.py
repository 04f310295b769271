"""Servers that answered MPTCP with plain TCP: they are dialled by plain TCP for a while.

A socket that offered MPTCP and fell back differs from a plain one: Linux 6.18 loses data of such a socket where a segment that
the server sends again overlaps data that has arrived (docs/design/measured.rst). Before a server's first answer nobody knows
whether it speaks MPTCP. The next connections to the same address and port then need no new attempt. After `ttl` seconds MPTCP
is offered again, since the server may speak it by then (N-5.6.1a).
"""

from steering.relay.model import Endpoint

PLAIN_SERVERS = 16_384
"""Most servers that are remembered, in some 4 MB. Hosts may dial any number of servers; further ones are not remembered until
entries have ended."""


class PlainServers:
    """The remembered servers. Times are seconds of one steady clock. `listed`: entries made; `refused`: servers for which there
    was no room. With a `ttl` of 0 no server is remembered."""

    def __init__(self, ttl: float, most: int = PLAIN_SERVERS) -> None:
        self._ttl = ttl
        self._most = most
        self._until: dict[Endpoint, float] = {}  # in the order of their ends
        self.listed = 0
        self.refused = 0

    def knows(self, server: Endpoint, now: float) -> bool:
        """Whether a server is to be dialled by plain TCP. Asking does not extend the entry."""
        return self._until.get(server, now) > now

    def add(self, server: Endpoint, now: float) -> None:
        """Remember a server that answered without MPTCP."""
        if not self._ttl or self.knows(server, now):
            return
        if self.count(now) >= self._most:
            self.refused += 1
            return
        self._until[server] = now + self._ttl
        self.listed += 1

    def count(self, now: float) -> int:
        """The number of remembered servers. Entries that are over are removed."""
        while self._until:
            server, until = next(iter(self._until.items()))
            if until > now:
                break
            del self._until[server]
        return len(self._until)
