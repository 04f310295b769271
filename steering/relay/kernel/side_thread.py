"""A thread beside the relay's loop, which waits for descriptors (`readable`) and can be woken and ended from outside."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from steering.relay.log import Log

STOP_S = 2.0
LEFT_S = 0.2  # seconds after which an ending relay leaves a thread that waits for a controller which does not answer
AGAIN_S = 1.0  # seconds until work begins again that an exception ended


class SideThread:
    """The thread. Its `work` has to wait for `woken` among its descriptors, and to return when `is_ending` is true. If an exception ends the
    work, which is a defect of this program, it is logged and the work begins again. `faults`: how often that happened."""

    def __init__(self, name: str, work: Callable[[], None], log: Log) -> None:
        self.faults = 0
        self._name = name
        self._work = work
        self._log = log
        self._pause = threading.Event()
        self.woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self.is_ending = False
        self._is_waiting = False
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _keep(self) -> None:
        while not self.is_ending:
            try:
                self._work()
                return
            except Exception as error:
                self.faults += 1
                self._log.peer_event("thread failed", thread=self._name, reason=type(error).__name__)
                self._pause.wait(AGAIN_S)

    def wake(self) -> None:
        """Make `woken` readable. May be called from any thread."""
        with contextlib.suppress(
            OSError
        ):  # the pipe is full, so the thread will wake up anyway; or the thread has ended
            self._waker.send(b".")

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """The work does nothing within it that has to be finished, and cannot be woken there."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def end(self) -> None:
        """End the thread within STOP_S, also if it never began. One that is `waiting` is left to the end of the process."""
        self.is_ending = True
        self._pause.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(LEFT_S if self._is_waiting else STOP_S)
        for end in (self.woken, self._waker):
            end.close()
