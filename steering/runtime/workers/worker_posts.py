"""The parent's sockets to its workers, over which it hands connections to them (`openflow.connection.handover`).

A worker connects when it can take switches. The kernel tells the parent which process connects, so nobody else gets a switch.
"""

import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from steering.openflow.connection.handover import HandedConnection, hand, tell_ended
from steering.openflow.messages.reader import Disconnect
from steering.runtime.workers.switch_door import DescriptorWatch
from steering.store.etcd.gateway_server import peer_of

BACKLOG = 32  # workers that may wait to be accepted
PACKETS = 1 << 20  # bytes of packets that a worker has not taken yet; the kernel may allow fewer
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF})

log = logging.getLogger(__name__)


class WorkerPosts:
    """The sockets. `name_of` returns the name of the worker with a process id, "" for another process. Raises OSError if the socket cannot be
    made."""

    def __init__(self, path: Path, watcher: DescriptorWatch, name_of: Callable[[int], str]) -> None:
        self._watcher = watcher
        self._name_of = name_of
        self._posts: dict[str, socket.socket] = {}
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.bind(str(path))
        self._server.listen(BACKLOG)
        self._server.setblocking(False)
        watcher.watch(self._server, self._accept)

    @property
    def ready(self) -> set[str]:
        """The workers that take switches."""
        return set(self._posts)

    def hand(self, name: str, one: HandedConnection) -> bool:
        """Hand a connection to a worker; False where it takes none now."""
        post = self._posts.get(name)
        if post is None:
            return False
        try:
            hand(post, one)
        except OSError as error:
            if error.errno in _GONE:
                self._lost(name)
            return False  # the kernel has no room for the packet now
        return True

    def tell(self, ended: Counter[Disconnect]) -> bool:
        """Tell the first worker that takes it which connections the parent has ended; False where none does."""
        for name in sorted(self._posts):
            with suppress(OSError):
                tell_ended(self._posts[name], ended)
                return True
        return False

    def close(self) -> None:
        for name in list(self._posts):
            self._lost(name)
        self._watcher.unwatch(self._server)
        self._server.close()

    def _accept(self) -> None:
        try:
            post, _ = self._server.accept()
        except OSError:
            return
        pid, uid = peer_of(post)
        name = self._name_of(pid)
        if not name or uid not in (0, os.geteuid()):
            log.warning("process %d wanted switches, and is no worker", pid)
            post.close()
            return
        self._lost(name)
        post.setblocking(False)
        post.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PACKETS)
        self._posts[name] = post
        self._watcher.watch(post, lambda: self._readable(name, post))

    def _readable(self, name: str, post: socket.socket) -> None:
        """A worker says nothing: it has ended, or begins anew."""
        if self._posts.get(name) is post:
            try:
                if post.recv(1):
                    return
            except BlockingIOError:
                return
            except OSError:
                pass
            self._lost(name)

    def _lost(self, name: str) -> None:
        post = self._posts.pop(name, None)
        if post is not None:
            self._watcher.unwatch(post)
            post.close()
