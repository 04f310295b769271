"""Waits until a descriptor can be read, with one listener of the hub for the life of the connection.

eventlet's own way, a listener for each wait, costs two system calls a read.
"""

from typing import Any

from eventlet.hubs import get_hub
from os_ken.lib import hub


class ReadWait:
    """The wait of one greenthread, the first that calls `wait`, for one descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._listener: Any = None
        self._reader: Any = None
        self._waiting = False

    def wait(self) -> None:
        """Wait until there is something to read."""
        if self._listener is None:
            self._reader = hub.getcurrent()
            self._listener = get_hub().add(
                get_hub().READ, self._fd, self._readable, self._reader.throw, _nothing
            )
        self._waiting = True
        try:
            get_hub().switch()
        finally:
            self._waiting = False

    def _readable(self, fd: int) -> None:
        # While the reading greenthread works, or gives others their turn, the hub must not switch to it.
        if self._waiting:
            self._reader.switch()

    def unlisten(self) -> None:
        """Have the hub not look at the descriptor until the next wait."""
        if self._listener is not None:
            get_hub().remove(self._listener)
            self._listener = None


def _nothing(fd: int) -> None:
    """Callback for eventlet, called where a descriptor was closed elsewhere. Channels close theirs only in `serve`."""
