"""Servers that answered MPTCP with plain TCP: they are dialled by plain TCP for a while.

A socket that offered MPTCP and fell back is not the same as a plain one: Linux 6.18 loses data of such sockets where what the
server sends again overlaps what is there (docs/design/measured.rst). Whoever offers MPTCP cannot know before the first answer;
the next connections to the same address and port need not try again. After `ttl` seconds one does, since a server may have
learnt MPTCP meanwhile (N-5.6.1a).
"""

from steering.relay.model import Endpoint

PLAIN_SERVERS = 16_384
"""Most servers that are remembered, some 4 MB. Of further ones none is, until others have had their time: hosts may dial any
number of servers."""


class PlainServers:
    """Times are of one steady clock. `listed`: entries that were made; `refused`: those for which there was no room. A `ttl` of 0
    remembers nobody."""

    def __init__(self, ttl: float, most: int = PLAIN_SERVERS) -> None:
        self._ttl = ttl
        self._most = most
        self._until: dict[Endpoint, float] = {}  # in the order of their ends
        self.listed = 0
        self.refused = 0

    def knows(self, server: Endpoint, now: float) -> bool:
        """Whether a server is to be dialled by plain TCP. That does not extend its time."""
        return self._until.get(server, now) > now

    def add(self, server: Endpoint, now: float) -> None:
        """A server answered without MPTCP."""
        if not self._ttl or self.knows(server, now):
            return
        if self.count(now) >= self._most:
            self.refused += 1
            return
        self._until[server] = now + self._ttl
        self.listed += 1

    def count(self, now: float) -> int:
        """How many are remembered. Those whose time is over are removed."""
        while self._until:
            server, until = next(iter(self._until.items()))
            if until > now:
                break
            del self._until[server]
        return len(self._until)
