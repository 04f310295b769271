"""Switches that introduce themselves to `steering init`, over loopback."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from steering.runtime import introduction
from steering.runtime.introduction import IntroducedSwitch, SwitchReception


def message(kind: int, body: bytes = b"", version: int = 4) -> bytes:
    return struct.pack(">BBHI", version, kind, 8 + len(body), 9) + body


def features(dpid: int) -> bytes:
    return message(6, struct.pack(">QIBBxxII", dpid, 0, 254, 0, 0, 0))


def described(*ports: tuple[int, bytes, int], more: int = 0) -> bytes:
    rows = b"".join(
        struct.pack(">I4x6s2x16sIIIIIIII", number, bytes(6), name, 0, state, 0, 0, 0, 0, 0, 0)
        for number, name, state in ports
    )
    return message(19, struct.pack(">HH4x", 13, more) + rows)


class Listening:
    """A reception on a free port, and what it said of whom it did not take."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.reception = SwitchReception("127.0.0.1", 0, self.said.append)
        self._open: list[socket.socket] = []

    def connect(self, *messages: bytes) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self.reception.port))
        self._open.append(one)
        one.sendall(b"".join(messages))
        return one

    def wait(self, wanted: int, seconds: float = 30.0) -> list[IntroducedSwitch]:
        return self.reception.wait(seconds, wanted)

    def until(self, what: Callable[[], object]) -> None:
        """Let it work until something is so."""
        until = time.monotonic() + 30
        while not what():
            assert time.monotonic() < until, "did not come true in time"
            self.reception.wait(0.1, 1_000)

    def close(self) -> None:
        for one in self._open:
            one.close()
        self.reception.close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    one = Listening()
    yield one
    one.close()


def test_switches_tell_who_they_are_and_their_ports_by_name(listening: Listening) -> None:
    for dpid in (0x2A, 7):
        parts = described((2, b"eth2", 1), more=1), described((1, b"eth1", 4), (0xFFFF_FFFE, b"br0", 0))
        listening.connect(message(0), message(2, b"ping"), features(dpid), *parts)
    first, second = listening.wait(2)
    assert (first.dpid, second.dpid, first.bridge) == (7, 0x2A, "br0")
    assert [(port.number, port.name, port.up) for port in first.ports] == [
        (1, "eth1", True),
        (2, "eth2", False),
    ]
    assert listening.said == []


def test_what_it_asks_is_what_a_controller_asks_and_nothing_is_set(listening: Listening) -> None:
    switch = listening.connect()
    asked: list[int] = []

    def answer() -> None:
        replies = {0: message(0), 5: features(1), 18: described((1, b"p", 0))}
        with switch.makefile("rb") as stream:
            while head := stream.read(8):
                _, kind, length, _ = struct.unpack(">BBHI", head)
                stream.read(length - 8)
                asked.append(kind)
                switch.sendall(replies[kind])

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    assert len(listening.wait(1)) == 1
    listening.reception.close()
    thread.join(10)
    assert asked == [0, 5, 18]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (message(0, version=1), "protocols=OpenFlow13"),
        (message(0) + message(1, bytes(4)), "protocols=OpenFlow13"),
        (b"GET / HTTP/1.0\r\n\r\n" + struct.pack(">BBHI", 4, 0, 3, 0), ""),
        (struct.pack(">BBHI", 4, 0, 3, 0), "no OpenFlow"),
        (message(0) + message(6, b"short"), "no OpenFlow"),
        (message(0) + features(1) + message(19, b"x"), "no OpenFlow"),
        (message(0) + message(3) * introduction.MOST_MESSAGES, "too much"),
    ],
)
def test_a_stranger_is_given_up_and_others_are_taken(listening: Listening, sent: bytes, why: str) -> None:
    listening.connect(sent).shutdown(socket.SHUT_WR)
    listening.until(lambda: listening.said)
    listening.connect(message(0), features(3), described((1, b"p", 0)))
    assert [one.dpid for one in listening.wait(1)] == [3]
    assert len(listening.said) == 1 and why in listening.said[0]


def test_ports_and_connections_are_bounded(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introduction, "MOST_PORTS", 3)
    monkeypatch.setattr(introduction, "MOST_CONNECTIONS", 2)
    many = described(*((number, b"p", 0) for number in range(1, 5)))
    listening.connect(message(0), features(1), many)
    listening.until(lambda: listening.said)
    assert listening.said == ["127.0.0.1: it has more than 3 ports"]
    idle = [listening.connect() for _ in range(3)]
    listening.wait(1, 1.0)
    idle[2].settimeout(30)
    assert idle[2].recv(100) == b"", "the third is closed at once"
