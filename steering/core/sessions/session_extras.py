"""What few sessions and subflows have beside their record, and most only while they end."""

from steering.core.sessions.fin_pair import BOTH_FINS, Fin, FinPair
from steering.core.sessions.session_keys import Secrets
from steering.core.sessions.shared_parts import CourseParts, OnsetParts
from steering.model.ids import NO_TOKEN, Token
from steering.model.preference import NO_WISH, SubflowWish

WATCH = 3  # bits of a subflow's marks: Watch; its progress stands above them
PROGRESS = 2  # from which bit on


class SubflowExtras:
    """Made when a subflow has one of these."""

    __slots__ = ("fins", "wish")

    def __init__(self) -> None:
        self.fins = FinPair()  # what its ends did to close it
        self.wish: SubflowWish = NO_WISH  # the wish that its MCP was told last


class MarkedParts(CourseParts):
    """A record with a course, with small numbers as one, and with extras, if it has any: their parts are the record's."""

    __slots__ = ("_extras", "_marks")

    _marks: int
    _extras: SubflowExtras | None

    @property
    def closed(self) -> int:
        """HOST_FIN | MCP_FIN: which ends have closed it."""
        return 0 if self._extras is None else self._extras.fins.closed

    @property
    def watch(self) -> int:
        """What its entry shows to the controller: Watch."""
        return self._marks & WATCH

    @watch.setter
    def watch(self, watch: int) -> None:
        self._marks = self._marks & ~WATCH | watch

    @property
    def progress(self) -> int:
        """How far it has come, as a join: UNANSWERED to HEARD."""
        return self._marks >> PROGRESS

    @progress.setter
    def progress(self, progress: int) -> None:
        self._marks = self._marks & WATCH | progress << PROGRESS

    @property
    def wish(self) -> SubflowWish:
        """The wish that its MCP was told last."""
        return NO_WISH if self._extras is None else self._extras.wish

    def close(self, side: int) -> bool:
        """One end closed the subflow (HOST_FIN, MCP_FIN or BOTH_FINS). True if it is closed from both ends by that."""
        fins = self._more().fins
        if fins.closed == BOTH_FINS:
            return False
        fins.closed |= side
        return fins.closed == BOTH_FINS

    def saw_fin(self, side: int, one: Fin) -> bool:
        """A FIN of one end was seen; whether it closes the subflow, with the other end's."""
        return self._more().fins.closes(side, one)

    def sent_fin(self, sides: int) -> bool:
        """Whether FINs of all these ends were seen. A reset is none."""
        seen = 0 if self._extras is None else sum(self._extras.fins.fins)
        return seen & sides == sides

    def _more(self) -> SubflowExtras:
        if self._extras is None:
            self._extras = SubflowExtras()
        return self._extras


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
