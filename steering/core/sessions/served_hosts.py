"""Which addresses are known to be their hosts'."""

from steering.core.selection.quotas import SUBSCRIBER
from steering.core.sessions.table import SessionTable


class ServedHosts:
    """Asks the table for the sessions of an address."""

    def __init__(self, table: SessionTable) -> None:
        self._table = table

    def has(self, address: bytes) -> bool:
        """Whether a host with this address (4 or 16 bytes; IPv6 counts by /64) has a session that is more than half
        open. Not known of registered subscribers, whose sessions count by name."""
        who = address if len(address) == 4 else address[:8]
        return self._table.ledger.count(SUBSCRIBER, who) > self._table.half_open_from.get(who, 0)
