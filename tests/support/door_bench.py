"""A `SwitchDoor` at a port of loopback, with its loop in the test's own thread, and the connections it hands over."""

import os
import socket
import struct
from collections.abc import Callable
from typing import Self

from steering.model.ids import DatapathId
from steering.openflow.budgets import Budgets
from steering.openflow.connection.handover import HandedConnection
from steering.runtime.workers.descriptor_loop import DescriptorLoop
from steering.runtime.workers.switch_door import SwitchDoor, listening
from tests.support.fakes.rawswitch import FEATURES_REPLY, HELLO, message

TURNS = 3_000  # of the loop, after which something is not going to happen


class DoorBench:
    """`handed`: what workers got, by datapath id. `takes`: whether a worker takes connections now. `now`: the door's clock."""

    def __init__(self, budgets: Budgets | None = None) -> None:
        self.loop = DescriptorLoop()
        self.now = 100.0
        self.takes = True
        self.handed: list[tuple[DatapathId, HandedConnection]] = []
        port = listening("127.0.0.1", 0)
        self.port: int = port.getsockname()[1]
        self.door = SwitchDoor(port, self.loop, self._hand, budgets, lambda: self.now)
        self._clients: list[socket.socket] = []

    def _hand(self, dpid: DatapathId, one: HandedConnection) -> bool:
        if self.takes:
            # As a worker gets a descriptor of its own, and the door closes its one.
            self.handed.append((dpid, one._replace(descriptor=os.dup(one.descriptor))))
        return self.takes

    def client(self, sent: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self._clients.append(made)
        if sent:
            made.sendall(sent)
        return made

    def came(self, wanted: int | None = None) -> int:
        """How many have been accepted and are no worker's; 0 where that is not the wanted number."""
        found = len(self.door) + sum(self.door.ended.values())
        return found if wanted in (None, found) else 0

    def until(self, what: Callable[[], object]) -> None:
        """Turn the loop until it is so."""
        for _ in range(TURNS):
            if what():
                return
            self.loop.turn(0.01)
        raise AssertionError("it did not come true")

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.door.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.door.close()
        for client in self._clients:
            client.close()
        for dpid_and_connection in self.handed:
            os.close(dpid_and_connection[1].descriptor)
        self.loop.close()


def asked_for(talk: socket.socket, length: int) -> bytes:
    """So many bytes of what the door sent."""
    found = b""
    while len(found) < length:
        part = talk.recv(length - len(found))
        assert part, "the connection ended"
        found += part
    return found


def features(dpid: int, xid: int) -> bytes:
    return message(FEATURES_REPLY, xid, struct.pack(">QIBBxxII", dpid, 0, 254, 0, 0x4F, 0))


def introduced(bench: DoorBench, dpid: int, hello: bytes = message(HELLO, 1)) -> socket.socket:
    """A switch that has answered what it was asked."""
    talk = bench.client(hello)
    told: list[bytes] = []

    def both() -> bool:
        talk.setblocking(False)
        try:
            told.append(talk.recv(64))
        except BlockingIOError:
            pass
        talk.settimeout(30)
        return len(b"".join(told)) >= 16

    bench.until(both)
    request = b"".join(told)[8:]
    assert request[:2] == bytes((4, 5)), "it is asked for its features"
    talk.sendall(features(dpid, int.from_bytes(request[4:8], "big")))
    return talk
