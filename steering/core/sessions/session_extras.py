"""What few sessions and subflows have beside their record, and most only while they end."""

from steering.core.sessions.fin_pair import FinPair
from steering.core.sessions.session_keys import Secrets
from steering.core.sessions.shared_parts import OnsetParts
from steering.model.ids import NO_TOKEN, Token
from steering.model.preference import NO_WISH, SubflowWish


class SubflowExtras:
    """Made when a subflow has one of these."""

    __slots__ = ("fins", "wish")

    def __init__(self) -> None:
        self.fins = FinPair()  # what its ends did to close it
        self.wish: SubflowWish = NO_WISH  # the wish that its MCP was told last


class SessionExtras:
    """Made when a session has one of these."""

    __slots__ = ("deadline", "ending", "host_token", "idle_at", "leg_fins", "secrets", "server_closed")

    def __init__(self) -> None:
        self.server_closed = 0
        self.leg_fins: FinPair | None = None  # of the server leg, once one was seen
        self.deadline = 0.0  # until when a lingering record is kept
        self.idle_at = ""  # the access network where it is one of those that are idle
        self.secrets: Secrets | None = None  # where the policy needs keys
        self.host_token = NO_TOKEN  # token of the host's key, which joins of the MCP carry
        self.ending = False  # its ends are being told that it is over: its entries lead nowhere


class ExtraParts(OnsetParts):
    """A record with an onset, and with extras, if it has any: their parts are the record's."""

    __slots__ = ("extras",)

    extras: SessionExtras | None

    @property
    def server_closed(self) -> int:
        return 0 if self.extras is None else self.extras.server_closed

    @property
    def deadline(self) -> float:
        return 0.0 if self.extras is None else self.extras.deadline

    @property
    def idle_at(self) -> str:
        return "" if self.extras is None else self.extras.idle_at

    @property
    def secrets(self) -> Secrets | None:
        return None if self.extras is None else self.extras.secrets

    @property
    def ending(self) -> bool:
        return self.extras is not None and self.extras.ending

    @property
    def host_token(self) -> Token:
        return NO_TOKEN if self.extras is None else self.extras.host_token

    def _more(self) -> SessionExtras:
        if self.extras is None:
            self.extras = SessionExtras()
        return self.extras
