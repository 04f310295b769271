"""Tells the service manager (systemd) that this process is ready, lives, and ends.

The protocol is sd_notify(3): datagrams of `NAME=VALUE` lines to the socket that NOTIFY_SOCKET names. Without a service
manager nothing is sent. Errors of the socket are ignored.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

MICROSECONDS = 1_000_000


class ServiceManager:
    """The service manager. `interval`: seconds between two signs of life, half of the watchdog's time; None without a
    watchdog."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.interval = _interval(environ) if self._address else None
        self._next = 0.0

    def ready(self) -> None:
        """Tell that the process serves now."""
        self._tell("READY=1")

    def ends(self) -> None:
        """Tell that the process is ending."""
        self._tell("STOPPING=1")

    def beat(self, now: float) -> None:
        """Tell that the process lives, if that is due at `now`, seconds of a monotonic clock."""
        if self.interval is not None and now >= self._next:
            self._next = now + self.interval
            self._tell("WATCHDOG=1")

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        # The process goes on if the service manager cannot be reached.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            way.setblocking(False)
            way.sendto(line.encode("ascii"), self._address)


def _address(text: str) -> str:
    """The address of the socket in NOTIFY_SOCKET; empty for a text that is none. `@` begins an abstract address."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _interval(environ: Mapping[str, str]) -> float | None:
    """Half of WATCHDOG_USEC in seconds; None where it is not set for this process."""
    wanted = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", str(os.getpid()))
    if not (wanted.isascii() and wanted.isdigit()) or int(wanted) == 0 or pid != str(os.getpid()):
        return None
    return int(wanted) / MICROSECONDS / 2
