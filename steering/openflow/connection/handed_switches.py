"""The switches of a worker: of one of several controllers on one machine, whose parent listens for switches. The parent hands over
the connections of the switches for which this worker decides (`handover`)."""

import logging
from collections.abc import Callable
from os import close
from typing import Any

import eventlet.patcher
from eventlet.green import socket
from eventlet.greenio import GreenSocket
from eventlet.hubs import notify_opened, trampoline

from steering.core.counters import Counters
from steering.openflow.connection.handover import HandedConnection, HandoverError, taken

Begin = Callable[[Any, HandedConnection], None]

log = logging.getLogger(__name__)


class HandedSwitches:
    """`path`: of the parent's socket. `gone` is called when the parent is gone."""

    def __init__(self, path: str, gone: Callable[[], None]) -> None:
        self._path = path
        self._gone = gone

    def look(self) -> None:
        """Nothing has to be done while the controller starts: the parent greets switches."""

    def run(self, begin: Begin, counters: Counters) -> None:
        """Take connections until the parent is gone. `begin` gets a connection's socket, of the hub's kind, and owns it."""
        post = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            post.connect(self._path)
            while self._takes(post, begin, counters):
                pass
        except OSError as error:
            log.error("the parent of the workers cannot be reached: %s", error.strerror)
        finally:
            post.close()
        self._gone()

    def _takes(self, post: Any, begin: Begin, counters: Counters) -> bool:
        """Take one packet; False where the parent is gone."""
        try:
            found = taken(post.fd)
        except BlockingIOError:
            trampoline(post.fd, read=True)
            return True
        except HandoverError as error:
            log.error("%s is ignored", error)
            return True
        if found is None:
            return False
        if isinstance(found, HandedConnection):
            self._begin(begin, found)
        else:
            for why, count in found.items():
                counters.disconnects[why] += count
        return True

    def _begin(self, begin: Begin, found: HandedConnection) -> None:
        try:
            notify_opened(found.descriptor)
            plain = _plain(found.descriptor)
        except OSError as error:
            close(found.descriptor)
            log.error("a connection that was handed over cannot be used: %s", error.strerror)
            return
        try:
            begin(GreenSocket(plain), found)
        except Exception:
            # A defect, or a connection that ended in this moment, must not cost the worker all other switches.
            log.exception("the connection from %s failed", found.host)
            plain.close()


def _plain(descriptor: int) -> Any:
    """A socket of the standard library, whose family the descriptor tells."""
    return eventlet.patcher.original("socket").socket(fileno=descriptor)
