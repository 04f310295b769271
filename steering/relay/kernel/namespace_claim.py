"""The kernel's set-up of `--apply` is its network namespace's, so one relay at a time may have it.

A second relay would put its tables, rules and routes in place of the first one's, which would go on and intercept nothing.
The claim is a socket with an abstract name: such names are the network namespace's too, and go with their process, however
it dies.
"""

import os
import socket
import struct
import time
from collections.abc import Callable

from steering.relay.log import Log
from steering.relay.model import PlatformError

NAME = "\0steering relay --apply"
PATIENCE_S = 2.0
"""Seconds for a relay that is ending: it takes its set-up away last."""
LOOK_S = 0.05
BACKLOG = 4_096
"""Those that were refused stay in the queue, which nobody reads."""
ROOT = 0
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


class NamespaceClaim:
    """Held from when it is made until `close`. Raises PlatformError where a relay has it and keeps it for `patience` seconds.

    Anybody on the machine can take the name. Who is neither this relay's user nor root cannot have set the kernel up as a
    relay of this kind does, so that one is told in the log and keeps no relay from its work.
    """

    def __init__(
        self, log: Log, patience: float = PATIENCE_S, name: str = NAME, own: Callable[[], int] = os.geteuid
    ) -> None:
        self._sock: socket.socket | None = None
        until = time.monotonic() + patience
        while (holder := self._taken(name)) is not None:
            process, user = holder
            if user not in (None, ROOT, own()):
                log.event("claim held by a stranger", process=process, user=user)
                return
            if time.monotonic() >= until:
                who = "" if process is None else f" (process {process})"
                raise PlatformError(
                    f"another relay with --apply runs in this network namespace{who}: give one relay the ports of both,"
                    " or run this one in a namespace of its own"
                )
            time.sleep(LOOK_S)

    def _taken(self, name: str) -> tuple[int | None, int | None] | None:
        """None, and the name is ours; or process and user of who has it, as far as they can be known."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(name)
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            return _holder(name)
        self._sock = sock
        return None

    def close(self) -> None:
        """Give the name back."""
        if self._sock is not None:
            self._sock.close()


def _holder(name: str) -> tuple[int | None, int | None]:
    """Process and user of who listens, None where it does not listen, or its queue is full."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(name)
            found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None, None
    process, user, _ = _CREDENTIALS.unpack(found)
    return process, user
