"""The subscribers and applications of sessions that were read back from switches, for limits (N-7.2b).

Such a session has no ruling. Its subscriber is found by the policy at the moment when a switch is read. The session keeps this
subscriber, whatever a later policy says, until another switch is read that shows the session. Thus each limit gets back what
was taken from it.
"""

from collections.abc import Callable

from steering.core.selection.quotas import QuotaKeys, quota_keys
from steering.core.sessions.flow_key import OriginOf, split
from steering.core.sessions.indexes import NumberedIndex
from steering.core.sessions.records import Session

Holder = tuple[str, str]  # names of a subscriber and an application, "" for none


class FoundHolders:
    """Holders by number of session, only for sessions that were read back and whose initial subflow is known."""

    def __init__(self, origin_of: OriginOf) -> None:
        self._origin_of = origin_of
        self._holders: NumberedIndex[Holder] = NumberedIndex()

    def keys_of(self, session: Session) -> QuotaKeys | None:
        """The keys towards which a session counts, None for a session without a holder here."""
        holder = self._holders.get(session.id)
        return None if holder is None else self._keys(session, *holder)

    def add(self, session: Session, holder_of: Callable[[bytes, bytes, int], Holder]) -> QuotaKeys:
        """Find the holder of a session whose initial subflow is known. `holder_of` returns it from source, destination and
        destination port. Returns the keys towards which the session counts."""
        _, source, destination, _, port = split(session.first)
        holder = holder_of(source, destination, port)
        self._holders.put(session.id, holder)
        return self._keys(session, *holder)

    def forget(self, session: Session) -> None:
        """A session is over."""
        if session.ruling is None:
            self._holders.pop(session.id)

    def _keys(self, session: Session, subscriber: str, application: str) -> QuotaKeys:
        _, client, server, _, port = split(session.first)
        if session.onset.reverse:
            client, server = server, client
        return quota_keys(subscriber or self._origin_of(client), application, server, port, session.mcp)
