"""Limits the joins of a session or a subscriber to the number of reserved subflows (D-6.4g)."""

from collections.abc import Mapping

from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.limit import FullLimit, Limit
from steering.model.network import Network
from steering.model.prefix_table import PrefixTable
from steering.model.session import EntryKind, Refusal


class Slots:
    """`sessions` and `subscribers`: id -> number of reserved later subflows (MP_JOINs)."""

    def __init__(self, table: SessionTable) -> None:
        self._table = table
        self.sessions: dict[int, int] = {}
        self.subscribers: dict[str, int] = {}
        self._recovered: dict[int, str] = {}  # sessions that were read back -> subscriber
        self._recovered_of: dict[str, set[int]] = {}  # subscriber -> these sessions

    def full(self, session: Session) -> FullLimit | None:
        """The reservation's limit that leaves no room for one more MP_JOIN of a session, None if there is room."""
        most = self.sessions.get(session.id)
        if most is not None and sum(s.kind is EntryKind.JOIN for s in session.subflows) >= most:
            return FullLimit("subflows", f"of session {session.id}", Limit(most, "reservation"))
        if self.subscribers:
            ruling = session.ruling
            subscriber = ruling.subscriber if ruling is not None else self._recovered.get(session.id, "")
            most = self.subscribers.get(subscriber)
            if most is not None and self._joins(subscriber) >= most:
                return FullLimit("subscriber", subscriber, Limit(most, "reservation"))
        return None

    def _joins(self, subscriber: str) -> int:
        joins = self._table.joins_of.get(subscriber, 0)
        for number in self._recovered_of.get(subscriber, ()):
            if (session := self._table.by_id.get(number)) is not None:
                joins += sum(s.kind is EntryKind.JOIN for s in session.subflows)
        return joins

    def recover(self, prefixes: Mapping[str, tuple[Network, ...]]) -> None:
        """Find the subscribers of sessions that were read back from switches, by the addresses of their hosts, because such
        sessions have no decision. `prefixes`: of each subscriber."""
        owners = PrefixTable((one, who) for who, networks in prefixes.items() for one in networks)
        self._recovered.clear()
        self._recovered_of.clear()
        for session in self._table:
            if session.ruling is not None:
                continue
            found = owners.of(session.flow.source)
            if found is not None:
                self._recovered[session.id] = found
                self._recovered_of.setdefault(found, set()).add(session.id)

    def refusal(self, session: Session, allowed: Limit) -> tuple[Refusal, FullLimit] | None:
        """Why a session gets no further subflow, None if it may. Either the policy's limit (`allowed`) or a reservation's
        limit is reached."""
        if session.subflow_count >= allowed.most:
            return Refusal.SUBFLOWS_FULL, FullLimit("subflows", "of a session", allowed)
        reserved = self.full(session) if self.sessions or self.subscribers else None
        return None if reserved is None else (Refusal.RESERVED, reserved)
