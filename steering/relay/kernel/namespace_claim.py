"""Allows one relay with `--apply` in a network namespace, as its rules and routes are those of the whole namespace.

A second relay would replace the tables, rules and routes of the first one, which would run on and intercept nothing. The
claim is a Unix socket with an abstract name. Such a name belongs to the network namespace too, and disappears with its
process, however the process dies.
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
"""Seconds to wait for a relay that is ending: it holds its claim until its rules are removed."""
LOOK_S = 0.05
BACKLOG = 4_096
"""Length of the listen queue. Nobody accepts, so each relay that asked for the holder stays in the queue."""
ROOT = 0
_NET_ADMIN = 1 << 12  # CAP_NET_ADMIN in a mask of capabilities (linux/capability.h)
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


class NamespaceClaim:
    """The claim, held from its construction until `close`. Raises PlatformError where another relay still holds it after
    `patience` seconds.

    Any process on the machine can take the name. A holder that has no right to set up the kernel cannot be a relay: it is
    logged, and this relay starts all the same. So does it with a holder that cannot be identified, since any process can
    make itself unidentifiable.
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
            return  # the holder has ended meanwhile
        if user is None or not (user in (ROOT, own()) or _may_set_up(process)):
            log.event("claim held by a stranger", process=process, user=user)
            return
        who = f" (process {process})" if process else ""
        raise PlatformError(
            f"another relay with --apply runs in this network namespace{who}: give one relay the ports of both,"
            " or run this one in a namespace of its own"
        )

    def _refusal(self, name: str) -> int:
        """Try to take the name: 0 if this relay holds it now, else an errno."""
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
        """Release the name."""
        if self._sock is not None:
            self._sock.close()


def _holder(name: str) -> tuple[int, int | None]:
    """Process id and user id of the holder; (0, None) where it does not listen, or its queue is full. The process id is 0
    for a process of another PID namespace."""
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
    """Whether a process has CAP_NET_ADMIN here. Capabilities of a process in another user namespace do not count."""
    of = Path(f"/proc/{process}")
    try:
        if os.readlink(of / "ns/user") != os.readlink("/proc/self/ns/user"):
            return False
        mask = re.search(r"^CapEff:\s*([0-9a-f]{1,16})$", (of / "status").read_text(), re.MULTILINE)
    except OSError:
        return False
    return mask is not None and bool(int(mask[1], 16) & _NET_ADMIN)
