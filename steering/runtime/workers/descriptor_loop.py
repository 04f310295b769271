"""The parent's one thread waits for descriptors here: the switches' port, connections without a worker, and the workers' sockets."""

import logging
import selectors
import socket
from collections.abc import Callable

log = logging.getLogger(__name__)


class DescriptorLoop:
    """Implements `switch_door.DescriptorWatch`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, one: socket.socket, readable: Callable[[], None]) -> None:
        self._selector.register(one, selectors.EVENT_READ, readable)

    def unwatch(self, one: socket.socket) -> None:
        if one.fileno() >= 0 and one.fileno() in self._selector.get_map():
            self._selector.unregister(one)

    def turn(self, seconds: float) -> None:
        """Call back for all descriptors that can be read, after at most `seconds`."""
        for key, _ in self._selector.select(seconds):
            try:
                key.data()
            except Exception:
                # A defect of this program must not end the parent, and all workers with it.
                log.exception("a descriptor of the parent could not be served")

    def close(self) -> None:
        self._selector.close()
