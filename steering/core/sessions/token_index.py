"""Sessions by a token. Nearly every token is that of one session; where several have the same one, each is found (G4)."""

from steering.core.sessions.indexes import HashedIndex
from steering.core.sessions.records import Session


class TokenIndex(HashedIndex[int, Session | list[Session]]):
    """Token -> the session, or the sessions in the order in which they became known."""

    __slots__ = ()

    def add(self, session: Session, token: int) -> None:
        """A session is found by a token from now on."""
        known = self.get(token)
        if known is None:
            self[token] = session
        elif isinstance(known, list):
            known.append(session)
        else:
            self[token] = [known, session]

    def drop(self, session: Session, token: int) -> None:
        """A session is found by a token no more, if it was."""
        known = self.get(token)
        if known is session:
            del self[token]
        elif isinstance(known, list):
            known.remove(session)
            if len(known) == 1:
                self[token] = known[0]

    def sessions_of(self, token: int) -> list[Session]:
        """Every session that is found by a token."""
        known = self.get(token)
        if known is None:
            return []
        return list(known) if isinstance(known, list) else [known]
