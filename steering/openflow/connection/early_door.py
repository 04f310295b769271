"""The switches' port while the controller starts: it listens before the long part of the start, and sends HELLO to each
switch that connects.

A switch doubles its wait between two tries (1, 2, 4, 8 seconds with Open vSwitch) when it is refused, or when it gets no
HELLO within that wait. A switch that got a HELLO keeps the connection for five seconds and more.
"""

from struct import pack
from typing import Any

from eventlet.greenio import GreenSocket

from steering.openflow.connection.listener import listening

MOST = 1_024  # most switches that get a HELLO; all others wait in the kernel's queue
HELLO = pack(">BBHI", 4, 0, 8, 0)  # OpenFlow 1.3, as os-ken sends it

WaitingConnection = tuple[Any, tuple[Any, ...]]


class EarlyDoor:
    """A socket that listens at once. `greets`: False where TLS comes before HELLO. Raises OSError where the port cannot
    be opened."""

    def __init__(self, host: str, port: int, greets: bool) -> None:
        self.socket = listening(host, port)
        self._greets = greets
        self._waiting: list[WaitingConnection] = []

    def look(self) -> None:
        """Accept the connections that are there and send HELLO to each, without waiting."""
        if not self._greets:
            return
        self.socket.setblocking(False)
        try:
            self._greet_all()
        finally:
            self.socket.setblocking(True)

    def _greet_all(self) -> None:
        while len(self._waiting) < MOST:
            try:
                accepted, address = self.socket.accept()
            except OSError:
                return
            try:
                accepted.setblocking(False)
                accepted.send(HELLO)
            except OSError:
                accepted.close()
                continue
            self._waiting.append((GreenSocket(accepted), address))

    def take(self) -> list[WaitingConnection]:
        """The accepted connections. Each is returned once."""
        waiting, self._waiting = self._waiting, []
        return waiting
