"""The part of a session's record that is not about subflows: what is learnt of the session, how its server leg closes, and until when the
record is kept.

`records.Session` is such a record, with its subflows and entries.
"""

from steering.core.sessions.fin_pair import BOTH_FINS, Fin, FinPair
from steering.core.sessions.record_pages import PagedSession
from steering.core.sessions.session_keys import Secrets
from steering.core.sessions.shared_parts import Returns, onset_of
from steering.model.ids import Token


class SessionFacts(PagedSession):
    """`records.Session` sets the fields, and says what they are."""

    __slots__ = ("token",)

    token: Token

    def return_by(self, places: Returns) -> None:
        """The server leg has entries at these places from now on. The caller writes them."""
        self.onset = onset_of(self.onset._replace(returns=places))

    def speaks(self, version: int) -> None:
        """Set the MPTCP version of the session's SYN/ACK."""
        if version != self.onset.version:
            self.onset = onset_of(self.onset._replace(version=version))

    def keep(self, secrets: Secrets | None) -> None:
        """Keep the session's keys from now on. None: no longer."""
        if secrets is not None or self.extras is not None:
            self._more().secrets = secrets

    def known_by_host(self, token: Token) -> None:
        """The token of the host's key is known."""
        self._more().host_token = token

    def _found(self, reverse: bool, returns: Returns) -> None:
        self.onset = onset_of(self.onset._replace(reverse=reverse, returns=returns))

    def saw_leg_fin(self, side: int, one: Fin) -> bool:
        """Record a FIN of one end of the server leg. Returns whether the FINs of both ends belong together."""
        extras = self._more()
        if extras.leg_fins is None:
            extras.leg_fins = FinPair()
        return extras.leg_fins.closes(side, one)

    def close_server_leg(self, side: int) -> bool:
        """One end has closed the server leg. Returns whether both ends have."""
        extras = self._more()
        extras.server_closed |= side
        return extras.server_closed == BOTH_FINS

    def idles_at(self, access: str) -> None:
        """Set the access network towards which the session counts while it is idle: that of its host."""
        self._more().idle_at = access

    def keep_until(self, deadline: float) -> None:
        """Set the time until which the record of a lingering session is kept."""
        self._more().deadline = deadline

    def belongs_to_its_ends(self, token: Token, deadline: float) -> None:
        """The session is native (handshakes.withdrawal). Its record is only for operators, and its joins take their natural
        path."""
        self.token = token
        self._more().deadline = deadline
