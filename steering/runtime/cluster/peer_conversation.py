"""The protocol of one stream with another controller (the peer): the peer's name, its messages, and whether it is alive.
Takes bytes and times as arguments and uses no socket.

The first message of each side is its Hello. The name in the Hello has to be a name in the peer's certificate, and the
name of a member. All later messages are for the engine, except heartbeats. Each side sends a heartbeat every BEAT
seconds. A peer that sends nothing for MISSED heartbeats is gone.
"""

from collections.abc import Callable
from enum import StrEnum

from steering.wire.errors import WireError, WireRefusal
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import Heartbeat, Hello, PeerMessage
from steering.wire.peer_stream import cut

BEAT = 0.1  # seconds between heartbeats
MISSED = 3.5  # heartbeats without a message: the fourth one is late too
GREETING = 2.0  # seconds within which a Hello has to come


class PeerFault(StrEnum):
    """Why a stream ended, or did not begin."""

    NO_TLS = "no-tls"  # no TLS, or no certificate of the cluster
    WRONG_NAME = "wrong-name"  # the name in the peer's Hello is not in its certificate
    NO_MEMBER = "no-member"  # the peer's name is not the name of a member
    MY_NAME = "my-name"  # the peer uses the name of this controller
    OTHER_SITE = "other-site"  # the peer has another site file
    OLD_PROTOCOL = "old-protocol"
    NO_HELLO = "no-hello"  # another message came before the Hello, or no Hello came in time
    SECOND_HELLO = "second-hello"
    MALFORMED = "malformed"
    SILENT = "silent"
    BACKLOG = "backlog"  # the peer does not read the bytes sent to it
    CLOSED = "closed"
    REPLACED = "replaced"  # the peer opened a newer stream
    TOO_MANY = "too-many"  # too many streams without a Hello


class PeerError(Exception):
    """The stream has to end."""

    def __init__(self, reason: PeerFault) -> None:
        super().__init__(reason.value)
        self.reason = reason


class PeerConversation:
    """One stream's state. `names`: the names in the peer's certificate. `is_member`: whether a name is a member's. `now`:
    monotonic seconds."""

    def __init__(
        self, me: Hello, names: frozenset[str], is_member: Callable[[str], bool], now: float
    ) -> None:
        self._me = me
        self._names = names
        self._is_member = is_member
        self._rest = b""
        self._beats = 0
        self.peer: Hello | None = None  # the peer's Hello, once it has come
        self.began = self.heard = now
        # When bytes came last. `heard` is later than that where this process itself read nothing for a while.
        self.came = now

    def greeting(self) -> bytes:
        """The bytes to send first: this controller's Hello."""
        return encoded(self._me)

    def beat(self) -> bytes:
        """The bytes to send every BEAT seconds."""
        self._beats += 1
        return encoded(Heartbeat(self._beats - 1))

    def received(self, data: bytes, now: float) -> list[PeerMessage]:
        """Take bytes. Returns the peer's messages in order, without its Hello and heartbeats. Raises PeerError for a
        refused message; then no message in `data` counts."""
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
        """This process itself read nothing for a while. That time does not count as the peer's silence."""
        self.heard = now

    def judge(self, now: float) -> None:
        """Raises PeerError where the peer is gone, or has sent no Hello in time."""
        if self.peer is None:
            if now - self.began > GREETING:
                raise PeerError(PeerFault.NO_HELLO)
        elif now - self.heard > MISSED * BEAT:
            raise PeerError(PeerFault.SILENT)
