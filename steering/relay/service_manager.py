"""What a process tells the service manager that started it: that it is ready, that it lives, that it ends.

The protocol is sd_notify(3): datagrams of `NAME=VALUE` lines to the socket that NOTIFY_SOCKET names. Where there is
no service manager nothing is told, and nothing that goes wrong with the socket is a fault of the process.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

MICROSECONDS = 1_000_000


class ServiceManager:
    """`interval`: seconds between two signs of life that are wanted, half of the watchdog's time; None for none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.interval = _interval(environ) if self._address else None
        self._next = 0.0

    def ready(self) -> None:
        """The process serves now."""
        self._tell("READY=1")

    def ends(self) -> None:
        """The process was told to end, and does."""
        self._tell("STOPPING=1")

    def beat(self, now: float) -> None:
        """Tell that the process lives, if that is due at `now`, seconds of a monotonic clock."""
        if self.interval is not None and now >= self._next:
            self._next = now + self.interval
            self._tell("WATCHDOG=1")

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        # The process goes on without whoever should have heard it.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            way.setblocking(False)
            way.sendto(line.encode("ascii"), self._address)


def _address(text: str) -> str:
    """The address of the socket; empty for what names none. `@` begins an address without a file."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _interval(environ: Mapping[str, str]) -> float | None:
    """Half of WATCHDOG_USEC, where it is meant for this process."""
    wanted = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", str(os.getpid()))
    if not (wanted.isascii() and wanted.isdigit()) or int(wanted) == 0 or pid != str(os.getpid()):
        return None
    return int(wanted) / MICROSECONDS / 2
