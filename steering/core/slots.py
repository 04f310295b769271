"""How many later subflows a session or a subscriber has reserved: no more of them are taken (D-6.4g)."""

from steering.core.quotas import Full, Limit
from steering.core.sessions import Session, SessionTable
from steering.model.session import EntryKind, Refusal


class Slots:
    """`sessions` and `subscribers`: id -> later subflows (MP_JOINs) that are reserved."""

    def __init__(self, table: SessionTable) -> None:
        self._table = table
        self.sessions: dict[int, int] = {}
        self.subscribers: dict[str, int] = {}

    def full(self, session: Session) -> Full | None:
        """Which reservation has no room for one more MP_JOIN of a session."""
        most = self.sessions.get(session.id)
        if most is not None and sum(s.kind is EntryKind.JOIN for s in session.subflows) >= most:
            return Full("subflows", f"of session {session.id}", Limit(most, "reservation"))
        if self.subscribers and session.ruling is not None:
            subscriber = session.ruling.subscriber
            most = self.subscribers.get(subscriber)
            if most is not None and self._table.joins_of.get(subscriber, 0) >= most:
                return Full("subscriber", subscriber, Limit(most, "reservation"))
        return None

    def refusal(self, session: Session, allowed: Limit) -> tuple[Refusal, Full] | None:
        """Why a session gets no further subflow: what policy allows, or what is reserved; None if it may."""
        if len(session.subflows) >= allowed.most:
            return Refusal.SUBFLOWS_FULL, Full("subflows", "of a session", allowed)
        reserved = self.full(session) if self.sessions or self.subscribers else None
        return None if reserved is None else (Refusal.RESERVED, reserved)
