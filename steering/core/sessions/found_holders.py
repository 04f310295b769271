"""Whose sessions are that were read back from switches: what they count towards (N-7.2b).

Such a session has no ruling, so the policy of the moment in which a switch tells of it says who its subscriber is. It counts for that one
until a switch that is read later tells of it again, whatever a policy says meanwhile: what was taken of a limit is what is given back.
"""

from collections.abc import Callable

from steering.core.selection.quotas import QuotaKeys, quota_keys
from steering.core.sessions.flow_key import Origin, split
from steering.core.sessions.indexes import NumberedIndex
from steering.core.sessions.records import Session

Holder = tuple[str, str]  # a subscriber and an application, by name; "" for none


class FoundHolders:
    """Holders by number of session; only of sessions that were read back, and whose initial subflow is known."""

    def __init__(self, origin_of: Origin) -> None:
        self._origin_of = origin_of
        self._holders: NumberedIndex[Holder] = NumberedIndex()

    def keys_of(self, session: Session) -> QuotaKeys | None:
        """What such a session counts towards; None of any other one."""
        holder = self._holders.get(session.id)
        return None if holder is None else self._keys(session, *holder)

    def add(self, session: Session, holder_of: Callable[[bytes, bytes, int], Holder]) -> QuotaKeys:
        """A session's initial subflow is known. `holder_of`: whose it is, by source, destination and destination's port.
        Returns what it counts towards."""
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
