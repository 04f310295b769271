"""Known addresses of hosts: addresses with a session whose host has completed the handshake.

These counts are separate from the ledger of quotas. The ledger also counts half-open sessions, counts listed subscribers by
name, and counts IPv6 always by /64. Sessions that were read back from switches are not counted here. Their hosts become known
with their next session.
"""

from steering.core.network.site_index import SiteMap
from steering.core.selection.quotas import ManyCounts
from steering.core.sessions.flow_key import source_of
from steering.core.sessions.records import Session


class HeardHosts:
    """How many sessions with complete handshakes each address has, and each IPv6 /64, too. `most`: the most sessions. The
    session table updates it."""

    __slots__ = ("_counts",)

    def __init__(self, most: int) -> None:
        self._counts: ManyCounts[bytes] = ManyCounts(most)

    def __len__(self) -> int:
        return len(self._counts)

    def has(self, who: bytes) -> bool:
        """Whether an address (4 or 16 bytes) or an IPv6 /64 (8 bytes) has such a session."""
        return self._counts.get(who) is not None

    def add(self, session: Session) -> None:
        """The handshake of a session is complete."""
        if session.ruling is not None:
            host = _host_of(session)
            self._counts.add(host)
            if len(host) != 4:
                self._counts.add(host[:8])

    def remove(self, session: Session) -> None:
        """A session has lost its entries, or is over."""
        if session.ruling is not None:
            host = _host_of(session)
            self._take_one(host)
            if len(host) != 4:
                self._take_one(host[:8])

    def _take_one(self, who: bytes) -> None:
        left = self._counts[who] - 1
        if left:
            self._counts[who] = left
        else:
            del self._counts[who]


def _host_of(session: Session) -> bytes:
    """The address of a session's host, which opened it, or to which a server opened it."""
    return session.flow.destination if session.onset.reverse else source_of(session.first)


class ServedHosts:
    """Looks up hosts by address, or by /64 where their access network binds prefixes."""

    def __init__(self, sitemap: SiteMap, heard: HeardHosts) -> None:
        self._map = sitemap
        self._heard = heard

    def has(self, address: bytes) -> bool:
        """Whether a host with this address (4 or 16 bytes) has a session with a complete handshake. IPv6 counts by /64 where
        each host has a /64 of its own (`ipv6_binding: prefix`), else by address."""
        if len(address) == 16:
            access = self._map.access_of(address)
            if access is not None and access.binds_prefixes:
                return self._heard.has(address[:8])
        return self._heard.has(address)
