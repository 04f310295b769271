"""The connection to one switch, for code that only sends. `channel.Channel` implements these protocols, and so do
stand-ins in tests."""

from typing import Protocol

from steering.openflow.messages.reader import Disconnect


class Writer(Protocol):
    """Takes whole OpenFlow messages for one switch."""

    def write(self, data: bytes) -> None: ...


class Line(Writer, Protocol):
    """A switch's connection that can also be ended, with the reason that is counted."""

    def disconnect(self, reason: Disconnect) -> None: ...
