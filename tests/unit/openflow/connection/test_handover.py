"""A switch's connection goes from one process to another with what it has said; a packet of nobody's is refused."""

import array
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import eventlet
import pytest

from steering.core.counters import Counters
from steering.openflow.connection.handed_switches import HandedSwitches
from steering.openflow.connection.handover import (
    MOST_CAME,
    HandedConnection,
    HandoverError,
    hand,
    taken,
    tell_ended,
)
from steering.openflow.messages.reader import Disconnect

PACKET = b'{"host": "10.0.0.1", "port": 7, "came": ""}'


@pytest.fixture
def posts() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The parent's end and the worker's."""
    parent, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with parent, worker:
        yield parent, worker


@pytest.fixture
def switch() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The switch's end of a connection, and the controller's."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def send(post: socket.socket, data: bytes, *held: int) -> None:
    more = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", held))] if held else []
    post.sendmsg([data], more)


def test_a_connection_is_taken_with_its_bytes_and_is_closed_by_an_exec(posts: Any, switch: Any) -> None:
    came = bytes(range(256)) * (MOST_CAME // 256)
    hand(posts[0], HandedConnection("10.0.0.1", 7, came, switch[1].fileno()))
    switch[1].close()
    found = taken(posts[1])
    assert isinstance(found, HandedConnection)
    assert (found.address, found.came) == (("10.0.0.1", 7), came)
    with socket.socket(fileno=found.descriptor) as mine:
        assert not mine.get_inheritable()
        switch[0].sendall(b"hello")
        assert mine.recv(10) == b"hello"


def test_what_was_ended_elsewhere_is_told(posts: Any) -> None:
    tell_ended(posts[0], {Disconnect.BAD_HELLO: 3, Disconnect.CLOSED: 1})
    assert taken(posts[1]) == {Disconnect.BAD_HELLO: 3, Disconnect.CLOSED: 1}


def test_a_parent_that_is_gone_is_noticed(posts: Any) -> None:
    posts[0].close()
    assert taken(posts[1]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"no JSON", b"[]", b"7", b"[" * 100_000, b'{"ended": {}}', b'{"host": 7, "port": 7, "came": ""}',
        b'{"host": "a", "port": "7", "came": ""}', b'{"host": "a", "port": 7, "came": "*"}', b'{"host": "a"}',
        PACKET.replace(b'"came": ""', b'"came": "' + b"A" * (2 * MOST_CAME) + b'"'),
    ],
)  # fmt: skip
def test_a_packet_that_is_none_is_refused_and_leaves_no_descriptor(
    posts: Any, switch: Any, data: bytes
) -> None:
    before = descriptors()
    send(posts[0], data, switch[1].fileno())
    with pytest.raises(HandoverError):
        taken(posts[1])
    assert descriptors() == before


@pytest.mark.parametrize("data", [PACKET, b'{"ended": {"no-such-reason": 1}}', b'{"ended": 7}', b"{}"])
def test_a_packet_without_a_descriptor_that_tells_nothing_is_refused(posts: Any, data: bytes) -> None:
    send(posts[0], data)
    with pytest.raises(HandoverError):
        taken(posts[1])


def test_a_worker_that_takes_nothing_makes_the_parent_wait_for_nothing(posts: Any, switch: Any) -> None:
    one = HandedConnection("10.0.0.1", 7, b"", switch[1].fileno())
    with pytest.raises(BlockingIOError):
        for _ in range(100_000):
            hand(posts[0], one)


class Parent:
    """A parent's socket, and what a worker made of what came over it."""

    def __init__(self, folder: Path) -> None:
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server.bind(str(folder / "switches"))
        self.server.listen()
        self.begun: list[tuple[Any, HandedConnection]] = []
        self.is_gone = False
        self.counters = Counters()
        switches = HandedSwitches(str(folder / "switches"), self._gone)
        self.reading = eventlet.spawn(switches.run, lambda *one: self.begun.append(one), self.counters)
        eventlet.sleep(0)
        self.post, _ = self.server.accept()

    def _gone(self) -> None:
        self.is_gone = True


def test_a_worker_goes_on_with_connections_counts_what_ended_and_learns_that_its_parent_is_gone(
    switch: Any,
) -> None:
    with tempfile.TemporaryDirectory(prefix="st-") as folder:
        parent = Parent(Path(folder))
        hand(parent.post, HandedConnection("10.0.0.1", 7, b"came", switch[1].fileno()))
        send(parent.post, b"rubbish")
        tell_ended(parent.post, {Disconnect.BAD_HELLO: 2})
        with eventlet.Timeout(30):
            while not parent.counters.disconnects[Disconnect.BAD_HELLO]:
                eventlet.sleep(0.01)
        ((green, found),) = parent.begun
        assert (found.came, parent.counters.disconnects[Disconnect.BAD_HELLO]) == (b"came", 2)
        switch[0].sendall(b"hello")
        with eventlet.Timeout(30):
            assert green.recv(10) == b"hello"
        assert not parent.is_gone
        parent.post.close()
        with eventlet.Timeout(30):
            parent.reading.wait()
        assert parent.is_gone
        green.close()
        parent.server.close()


def test_a_connection_that_cannot_begin_costs_the_worker_no_other(switch: Any) -> None:
    def begin(green: Any, found: HandedConnection) -> None:
        if found.port == 7:
            raise OSError(107, "Transport endpoint is not connected")
        begun.append(found.port)
        green.close()

    begun: list[int] = []
    gone: list[bool] = []
    with (
        tempfile.TemporaryDirectory(prefix="st-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server,
    ):
        server.bind(f"{folder}/switches")
        server.listen()
        switches = HandedSwitches(f"{folder}/switches", lambda: gone.append(True))
        reading = eventlet.spawn(switches.run, begin, Counters())
        eventlet.sleep(0)
        post, _ = server.accept()
        before = descriptors()
        hand(post, HandedConnection("10.0.0.1", 7, b"", switch[1].fileno()))
        hand(post, HandedConnection("10.0.0.1", 8, b"", switch[1].fileno()))
        with eventlet.Timeout(30):
            while not begun and not gone:
                eventlet.sleep(0.01)
        assert (begun, gone, descriptors()) == ([8], [], before)
        post.close()
        with eventlet.Timeout(30):
            reading.wait()


def test_a_worker_without_a_parent_learns_it() -> None:
    gone: list[bool] = []
    HandedSwitches("/nowhere/at/all", lambda: gone.append(True)).run(lambda *one: None, Counters())
    assert gone == [True]
