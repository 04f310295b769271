"""A thread beside the relay's loop, which waits for descriptors (`readable`) and can be woken and ended from outside."""

import contextlib
import socket
import threading
from collections.abc import Callable

STOP_S = 2.0


class SideThread:
    """The thread. Its `work` has to wait for `woken` among its descriptors, and to return when `is_ending` is true."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self.is_ending = False
        self._thread = threading.Thread(target=work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Make `woken` readable. May be called from any thread."""
        with contextlib.suppress(
            OSError
        ):  # the pipe is full, so the thread will wake up anyway; or the thread has ended
            self._waker.send(b".")

    def end(self) -> None:
        """End the thread within STOP_S, also if it never began."""
        self.is_ending = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)
        for end in (self.woken, self._waker):
            end.close()
