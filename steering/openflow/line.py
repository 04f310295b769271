"""The way to one switch, as those see it who only send: `channel.Adapter` is one, a test's list of bytes another."""

from typing import Protocol

from steering.openflow.reader import Disconnect


class Writer(Protocol):
    """Takes whole OpenFlow messages for one switch."""

    def write(self, data: bytes) -> None: ...


class Line(Writer, Protocol):
    """A switch that can also be let go, with the reason that is counted."""

    def disconnect(self, reason: Disconnect) -> None: ...
