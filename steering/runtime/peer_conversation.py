"""One stream with another controller, as bytes and time: who is there, what it says, whether it lives. No socket.

The first message of each side is its Hello. The name in it has to be one in the peer's certificate, and a member's. After that
every message is for the engine, but heartbeats: one each BEAT seconds, and whoever says nothing for MISSED of them is gone.
"""

from collections.abc import Callable
from enum import StrEnum

from steering.wire.errors import WireError, WireRefusal
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import Heartbeat, Hello, PeerMessage
from steering.wire.peer_stream import cut

BEAT = 0.1  # seconds
MISSED = 3.5  # heartbeats: the fourth is late as well
GREETING = 2.0  # seconds in which a Hello has to come


class PeerFault(StrEnum):
    """Why a stream ended, or did not begin."""

    NO_TLS = "no-tls"  # no TLS, or no certificate of the cluster
    WRONG_NAME = "wrong-name"  # its certificate is not of the controller that it says it is
    NO_MEMBER = "no-member"  # a name that is no member's
    MY_NAME = "my-name"  # it has the name of this controller
    OTHER_SITE = "other-site"  # its site file is another
    OLD_PROTOCOL = "old-protocol"
    NO_HELLO = "no-hello"  # none came first, or not in time
    SECOND_HELLO = "second-hello"
    MALFORMED = "malformed"
    SILENT = "silent"
    BACKLOG = "backlog"  # it does not read what it is sent
    CLOSED = "closed"
    REPLACED = "replaced"  # it opened a newer one
    TOO_MANY = "too-many"  # streams without a name


class PeerError(Exception):
    """The stream has to end."""

    def __init__(self, reason: PeerFault) -> None:
        super().__init__(reason.value)
        self.reason = reason


class PeerConversation:
    """`names`: those in the peer's certificate. `is_member`: whether a name is a member's. `now`: seconds, monotonic."""

    def __init__(
        self, me: Hello, names: frozenset[str], is_member: Callable[[str], bool], now: float
    ) -> None:
        self._me = me
        self._names = names
        self._is_member = is_member
        self._rest = b""
        self._beats = 0
        self.peer: Hello | None = None  # once it has said who it is
        self.began = self.heard = now
        self.came = now  # when something came; `heard` is later where this process heard nobody for a while

    def greeting(self) -> bytes:
        """What is sent first."""
        return encoded(self._me)

    def beat(self) -> bytes:
        """What is sent each BEAT seconds."""
        self._beats += 1
        return encoded(Heartbeat(self._beats - 1))

    def received(self, data: bytes, now: float) -> list[PeerMessage]:
        """What the peer says, in order, without its Hello and heartbeats. Raises PeerError; nothing that came with what
        is refused counts."""
        self.heard = self.came = now
        found: list[PeerMessage] = []
        try:
            stream = self._rest + data
            while True:
                messages, rest = cut(stream)
                for kind, body in messages:
                    self._take(decoded(kind, body), found)
                if len(rest) == len(stream) or not messages:
                    break
                stream = rest
            self._rest = rest
        except WireError as refused:
            old = refused.reason is WireRefusal.OLD_PROTOCOL
            raise PeerError(PeerFault.OLD_PROTOCOL if old else PeerFault.MALFORMED) from None
        return found

    def _take(self, message: PeerMessage, found: list[PeerMessage]) -> None:
        if isinstance(message, Hello):
            if self.peer is not None:
                raise PeerError(PeerFault.SECOND_HELLO)
            self._greeted(message)
        elif self.peer is None:
            raise PeerError(PeerFault.NO_HELLO)
        elif not isinstance(message, Heartbeat):
            found.append(message)

    def _greeted(self, hello: Hello) -> None:
        if hello.name not in self._names:
            raise PeerError(PeerFault.WRONG_NAME)
        if hello.name == self._me.name:
            raise PeerError(PeerFault.MY_NAME)
        if not self._is_member(hello.name):
            raise PeerError(PeerFault.NO_MEMBER)
        hello.common()
        if hello.site != self._me.site:
            raise PeerError(PeerFault.OTHER_SITE)
        self.peer = hello

    def stalled(self, now: float) -> None:
        """This process heard nobody for a while: that is not the peer's silence."""
        self.heard = now

    def judge(self, now: float) -> None:
        """Raises PeerError where the peer is gone, or never said who it is."""
        if self.peer is None:
            if now - self.began > GREETING:
                raise PeerError(PeerFault.NO_HELLO)
        elif now - self.heard > MISSED * BEAT:
            raise PeerError(PeerFault.SILENT)
