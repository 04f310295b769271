"""Which addresses are known to be their hosts': a session was opened from them, or to them, and its host was heard after the SYN.

Counted apart from the ledger of quotas: that counts half-open sessions too, registered subscribers by their name, and IPv6
by /64 wherever. Not known of a session that was read back from switches: its host is, with its next one.
"""

from steering.core.network.site_index import SiteMap
from steering.core.selection.quotas import ManyCounts
from steering.core.sessions.flow_key import source_of
from steering.core.sessions.records import Session


class HeardHosts:
    """How many sessions that are more than half open each address has; of IPv6 each /64, too. `most`: sessions. Kept
    by the session table."""

    __slots__ = ("_counts",)

    def __init__(self, most: int) -> None:
        self._counts: ManyCounts[bytes] = ManyCounts(most)

    def __len__(self) -> int:
        return len(self._counts)

    def has(self, who: bytes) -> bool:
        """Whether an address (4 or 16 bytes) or an IPv6 /64 (8 bytes) has one."""
        return self._counts.get(who) is not None

    def add(self, session: Session) -> None:
        """A session is more than half open from now on."""
        if session.ruling is not None:
            host = _host_of(session)
            self._counts.add(host)
            if len(host) != 4:
                self._counts.add(host[:8])

    def remove(self, session: Session) -> None:
        """It has none of its entries any more, or is over."""
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
    """Whose session it is: who opened it, or to whom a server did."""
    return session.flow.destination if session.onset.reverse else source_of(session.first)


class ServedHosts:
    """Asks which hosts have sessions, by what their networks bind."""

    def __init__(self, sitemap: SiteMap, heard: HeardHosts) -> None:
        self._map = sitemap
        self._heard = heard

    def has(self, address: bytes) -> bool:
        """Whether a host with this address (4 or 16 bytes) has a session that is more than half open. IPv6 counts by /64
        where a host has one to itself (`ipv6_binding: prefix`), else by address."""
        if len(address) == 16:
            access = self._map.access_of(address)
            if access is not None and access.binds_prefixes:
                return self._heard.has(address[:8])
        return self._heard.has(address)
