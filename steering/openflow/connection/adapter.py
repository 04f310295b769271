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
    foyer: Any  # a semaphore: one connection that is no switch yet works at a time; None: all do

    def admits(self, address: tuple[Any, ...]) -> bool:
        """Whether there is room for one more connection."""

    def opened(self, channel: C) -> None: ...

    def identified(self, channel: C) -> Disconnect | None:
        """The datapath id is known. Why the switch is not wanted, None if it is."""

    def described(self, channel: C) -> None:
        """The handshake is through. The adapter calls `admit` at once, later, or never."""

    def ready(self, channel: C) -> None: ...

    def ended(self, channel: C, reason: Disconnect) -> None: ...

    def received(self, channel: C, message: Message, now: float) -> None:
        """A message after the handshake. os-ken's parsers see none of these."""

    def settle(self, now: float) -> None:
        """A batch has ended: send what it caused."""

    def settle_soon(self, now: float) -> None:
        """Send what a batch caused at the end of this turn of the hub, with what other channels caused in it."""

    def touched(self, channel: C) -> None:
        """The channel has bytes to flush."""
