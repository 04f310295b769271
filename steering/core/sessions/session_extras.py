"""Data that only few sessions and subflows have, most of them only while they end. They are kept apart from the records."""

from steering.core.sessions.fin_pair import BOTH_FINS, Fin, FinPair
from steering.core.sessions.session_keys import Secrets
from steering.core.sessions.shared_parts import CourseParts, OnsetParts
from steering.model.ids import NO_TOKEN, Token
from steering.model.preference import NO_WISH, SubflowWish

WATCH = 3  # mask of the bits of a subflow's marks that hold its Watch
PROGRESS = 2  # first bit of a subflow's marks that holds its progress


class SubflowExtras:
    """Further data of a subflow. Made when a subflow gets any of these data."""

    __slots__ = ("fins", "wish")

    def __init__(self) -> None:
        self.fins = FinPair()  # FINs of its ends, and which ends have closed it
        self.wish: SubflowWish = NO_WISH  # the last wish that was sent to its MCP


class MarkedParts(CourseParts):
    """Properties of a subflow that are kept in its packed marks and in its extras."""

    __slots__ = ("_extras", "_marks")

    _marks: int
    _extras: SubflowExtras | None

    @property
    def closed(self) -> int:
        """The ends that have closed the subflow: bits HOST_FIN and MCP_FIN."""
        return 0 if self._extras is None else self._extras.fins.closed

    @property
    def watch(self) -> int:
        """Which segments its entry sends to the controller: a Watch."""
        return self._marks & WATCH

    @watch.setter
    def watch(self, watch: int) -> None:
        self._marks = self._marks & ~WATCH | watch

    @property
    def progress(self) -> int:
        """The progress of a join's handshake: records.UNANSWERED to records.HEARD."""
        return self._marks >> PROGRESS

    @progress.setter
    def progress(self, progress: int) -> None:
        self._marks = self._marks & WATCH | progress << PROGRESS

    @property
    def wish(self) -> SubflowWish:
        """The last wish that was sent to its MCP."""
        return NO_WISH if self._extras is None else self._extras.wish

    def close(self, side: int) -> bool:
        """One end or both have closed the subflow (`side`: HOST_FIN, MCP_FIN or BOTH_FINS). Returns whether by this call both
        ends have closed it."""
        fins = self._more().fins
        if fins.closed == BOTH_FINS:
            return False
        fins.closed |= side
        return fins.closed == BOTH_FINS

    def saw_fin(self, side: int, one: Fin) -> bool:
        """Record a FIN of one end. Returns whether the FINs of both ends belong together."""
        return self._more().fins.closes(side, one)

    def sent_fin(self, sides: int) -> bool:
        """Whether FINs of all ends in `sides` were seen. Resets do not count."""
        seen = 0 if self._extras is None else sum(self._extras.fins.fins)
        return seen & sides == sides

    def _more(self) -> SubflowExtras:
        if self._extras is None:
            self._extras = SubflowExtras()
        return self._extras


class SessionExtras:
    """Further data of a session. Made when a session gets any of these data."""

    __slots__ = ("deadline", "ending", "host_token", "idle_at", "leg_fins", "secrets", "server_closed")

    def __init__(self) -> None:
        self.server_closed = 0  # ends that have closed the server leg
        self.leg_fins: FinPair | None = None  # FINs of the server leg
        self.deadline = 0.0  # time until which a lingering record is kept
        self.idle_at = ""  # access network towards which it counts while it is idle
        self.secrets: Secrets | None = None  # keys, if the policy needs them
        self.host_token = NO_TOKEN  # token of the host's key, which joins of the MCP carry
        self.ending = False  # the session is being aborted: its entries forward nothing


class ExtraParts(OnsetParts):
    """Properties of a session that are kept in its extras."""

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
