"""What a channel asks of the application behind it."""

from typing import Any, Protocol, TypeVar

from steering.openflow.budgets import Budgets, UnreadBytes
from steering.openflow.fastpath.reader import UsualMessages
from steering.openflow.messages.reader import Disconnect, Message

C = TypeVar("C", contravariant=True)  # the channel (openflow.connection.channel, which knows this module)


class Adapter(Protocol[C]):
    """Takes what a channel receives."""

    budgets: Budgets
    unread: UnreadBytes
    usual: UsualMessages | None  # the fast path; None: every message goes the general way
    foyer: Any  # a semaphore: of connections that are no switch yet, one works at a time; None: no such limit

    def admits(self, address: tuple[Any, ...]) -> bool:
        """Whether there is room for one more connection."""

    def opened(self, channel: C) -> None: ...

    def identified(self, channel: C) -> Disconnect | None:
        """The datapath id is known. Returns why the switch is refused; None if it is accepted."""

    def described(self, channel: C) -> None:
        """The handshake is complete. The adapter calls the channel's `admit` at once, later, or never."""

    def ready(self, channel: C) -> None: ...

    def ended(self, channel: C, reason: Disconnect) -> None: ...

    def received(self, channel: C, message: Message, now: float) -> None:
        """Take a message that came after the handshake. os-ken's parsers see no such message."""

    def settle(self, now: float) -> None:
        """A batch of messages has been handled: send what they caused."""

    def settle_soon(self, now: float) -> None:
        """Send what a batch of messages caused at the end of this turn of the hub, together with what the messages of
        other channels caused in the same turn."""

    def touched(self, channel: C) -> None:
        """The channel has bytes to flush."""
