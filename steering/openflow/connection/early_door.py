"""The switches' port while the controller starts: it listens before the long part of the start, and greets who comes.

A switch that is refused, or hears no HELLO in as many seconds as it waits between two tries (1, 2, 4, 8 with Open
vSwitch), doubles that wait. One that was greeted waits five seconds and more.
"""

from struct import pack
from typing import Any

from eventlet.greenio import GreenSocket

from steering.openflow.connection.listener import listening

MOST = 1_024  # switches that are greeted; all others wait in the kernel's queue
HELLO = pack(">BBHI", 4, 0, 8, 0)  # OpenFlow 1.3, as os-ken sends it

Waiting = tuple[Any, tuple[Any, ...]]


class EarlyDoor:
    """`socket` listens from now on. Raises OSError. `greets`: False where TLS comes before HELLO."""

    def __init__(self, host: str, port: int, greets: bool) -> None:
        self.socket = listening(host, port)
        self._greets = greets
        self._waiting: list[Waiting] = []

    def look(self) -> None:
        """Accept and greet who came. Waits for nobody."""
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

    def take(self) -> list[Waiting]:
        """The connections that were greeted. Each is returned once."""
        waiting, self._waiting = self._waiting, []
        return waiting
