"""The kernel's set-up of `--apply` is its network namespace's, so one relay at a time may have it.

A second relay would put its tables, rules and routes in place of the first one's, which would go on and intercept nothing.
The claim is a socket with an abstract name: such names are the network namespace's too, and go with their process, however
it dies.
"""

import errno
import os
import re
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from steering.relay.log import Log
from steering.relay.model import PlatformError

NAME = "\0steering relay --apply"
PATIENCE_S = 2.0
"""Seconds for a relay that is ending: it takes its set-up away last."""
LOOK_S = 0.05
BACKLOG = 4_096
"""Those that were refused stay in the queue, which nobody reads."""
ROOT = 0
_NET_ADMIN = 1 << 12  # CAP_NET_ADMIN in a mask of capabilities (linux/capability.h)
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


class NamespaceClaim:
    """Held from when it is made until `close`. Raises PlatformError where a relay has it and keeps it for `patience` seconds.

    Anybody on the machine can take the name. Who cannot have set the kernel up as a relay of this kind does keeps no relay
    from its work, and is told in the log. So is who cannot be known, as anybody can bring that about.
    """

    def __init__(
        self, log: Log, patience: float = PATIENCE_S, name: str = NAME, own: Callable[[], int] = os.geteuid
    ) -> None:
        self._sock: socket.socket | None = None
        until = time.monotonic() + patience
        while (error := self._refusal(name)) == errno.EADDRINUSE and time.monotonic() < until:
            time.sleep(LOOK_S)
        if not error:
            return
        if error != errno.EADDRINUSE:
            log.event("no claim made", reason=os.strerror(error))
            return
        process, user = _holder(name)
        if user is None and not self._refusal(name):
            return  # who had it has ended meanwhile
        if user is None or not (user in (ROOT, own()) or _may_set_up(process)):
            log.event("claim held by a stranger", process=process, user=user)
            return
        who = f" (process {process})" if process else ""
        raise PlatformError(
            f"another relay with --apply runs in this network namespace{who}: give one relay the ports of both,"
            " or run this one in a namespace of its own"
        )

    def _refusal(self, name: str) -> int:
        """0, and the name is ours; or the number of the error."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(name)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            return error.errno or errno.EIO
        self._sock = sock
        return 0

    def close(self) -> None:
        """Give the name back."""
        if self._sock is not None:
            self._sock.close()


def _holder(name: str) -> tuple[int, int | None]:
    """Process and user of who listens: (0, None) where it does not listen, or its queue is full. The process is 0 where it
    is of another PID namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(name)
            found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return 0, None
    process, user, _ = _CREDENTIALS.unpack(found)
    return process, user


def _may_set_up(process: int) -> bool:
    """Whether a process may set this namespace's kernel up. In a user namespace of its own a mask of capabilities says nothing."""
    of = Path(f"/proc/{process}")
    try:
        if os.readlink(of / "ns/user") != os.readlink("/proc/self/ns/user"):
            return False
        mask = re.search(r"^CapEff:\s*([0-9a-f]{1,16})$", (of / "status").read_text(), re.MULTILINE)
    except OSError:
        return False
    return mask is not None and bool(int(mask[1], 16) & _NET_ADMIN)
