"""How the parent of several controllers on one machine (workers) hands a switch's connection to the worker that decides for the
switch: one packet over a socket of the file system, with the connection's descriptor. The parent also tells which connections it ended
itself, so that a worker counts them.

Each packet is a JSON object. Imports no hub: the parent has none.
"""

import array
import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

from steering.openflow.messages.reader import Disconnect

MOST_CAME = 1 << 16  # bytes of a switch that nobody has handled yet
MOST_PACKET = 1 << 18  # bytes
_DESCRIPTOR = socket.CMSG_SPACE(array.array("i").itemsize)


class HandoverError(Exception):
    """A packet that the parent does not send."""


class HandedConnection(NamedTuple):
    """A switch's connection. The parent has sent HELLO and has read the datapath id. `came`: what the switch sent that the
    worker has to read: its HELLO, and bytes behind the features reply. `descriptor`: the socket's; the reader closes it."""

    host: str
    port: int
    came: bytes
    descriptor: int = -1

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port


EndedConnections = Mapping[Disconnect, int]
"""How many connections the parent has ended, by reason."""


def hand(post: socket.socket, one: HandedConnection) -> None:
    """Send a connection to a worker, without waiting. Raises BlockingIOError where the worker has not taken earlier packets yet,
    and OSError where it is gone."""
    told = {"host": one.host, "port": one.port, "came": b64encode(one.came).decode("ascii")}
    descriptor = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one.descriptor]))]
    post.sendmsg([json.dumps(told).encode("ascii")], descriptor, socket.MSG_DONTWAIT)


def tell_ended(post: socket.socket, ended: EndedConnections) -> None:
    """Tell a worker which connections the parent has ended. Raises as `hand`."""
    post.send(json.dumps({"ended": ended}).encode("ascii"), socket.MSG_DONTWAIT)


def taken(post: socket.socket) -> HandedConnection | EndedConnections | None:
    """The next packet; None where the parent is gone. Raises BlockingIOError where there is none yet, HandoverError for one
    that is none of the parent's, and OSError."""
    data, more, _, _ = post.recvmsg(MOST_PACKET, _DESCRIPTOR, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, part in more:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(part[: len(part) - len(part) % descriptors.itemsize])
    if not data:
        return None
    try:
        found = _read(data, list(descriptors))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        for descriptor in descriptors:
            socket.close(descriptor)
        raise HandoverError("a packet that is none of the parent's") from None
    return found


def _read(data: bytes, descriptors: list[int]) -> HandedConnection | EndedConnections:
    """Raises an error of many kinds for a packet that is none."""
    told: dict[str, Any] = json.loads(data)
    if not descriptors:
        return {Disconnect(why): max(0, int(count)) for why, count in told["ended"].items()}
    (descriptor,) = descriptors
    came = b64decode(told["came"], validate=True)
    host, port = told["host"], told["port"]
    if len(came) > MOST_CAME or not isinstance(host, str) or type(port) is not int:
        raise ValueError
    return HandedConnection(host, port, came, descriptor)
