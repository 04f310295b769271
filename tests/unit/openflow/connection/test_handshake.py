"""Before a connection is a switch: everything once, in its order, only what was asked, and bounded."""

import struct
from typing import Any

import pytest
from os_ken.controller.handler import CONFIG_DISPATCHER, HANDSHAKE_DISPATCHER

from steering.openflow.budgets import Budgets
from steering.openflow.connection.handshake import SwitchHandshake
from steering.openflow.messages.reader import Disconnect, Message, PortDescription, split
from steering.openflow.ports.known_ports import MAX_PORTS


def message(kind: int, body: bytes = b"", xid: int = 9) -> Message:
    return split(struct.pack(">BBHI", 4, kind, 8 + len(body), xid) + body)[0][0]


def port(number: int, down: bool = False, speed: int = 0) -> bytes:
    return struct.pack(">I4x6s2x16sIIIIIIII", number, bytes(6), b"p", 0, down, 0, 0, 0, 0, speed, 0)


def features(dpid: int = 5) -> Message:
    return message(6, struct.pack(">QIBBxxII", dpid, 0, 254, 0, 0, 0))


class Peer:
    def __init__(self, refused: Disconnect | None = None, **budgets: Any) -> None:
        self.id: Any = None
        self.state: Any = HANDSHAKE_DISPATCHER
        self.sent = b""
        self.refused = refused
        self.is_described = False
        self.handshake = SwitchHandshake(self, Budgets(**budgets))

    def write(self, data: bytes) -> None:
        self.sent += data

    def to_framework(self, message: Message) -> None:
        self.state = CONFIG_DISPATCHER

    def identified(self) -> Disconnect | None:
        return self.refused

    def described(self) -> None:
        self.is_described = True

    def take(self, *messages: Message) -> Disconnect | None:
        return next((why for one in messages if (why := self.handshake.take(one)) is not None), None)

    def ports(self, *ports: bytes, more: int = 0) -> Message:
        """An answer to the question for ports."""
        return message(
            19, struct.pack(">HH4x", 13, more) + b"".join(ports), struct.unpack_from(">I", self.sent, 4)[0]
        )


def asked(**budgets: Any) -> Peer:
    peer = Peer(**budgets)
    assert peer.take(message(0), features()) is None
    return peer


def test_hello_features_and_ports_make_a_switch() -> None:
    peer = asked()
    assert peer.id == 5
    assert peer.take(peer.ports(port(1, speed=10), more=1), peer.ports(port(2, down=True))) is None
    assert peer.is_described
    assert peer.handshake.ports == {
        1: PortDescription(1, True, 10, False, "p"),
        2: PortDescription(2, False, 0, False, "p"),
    }


def test_a_datapath_id_that_is_not_wanted_is_asked_nothing() -> None:
    peer = Peer(Disconnect.UNKNOWN_SWITCH)
    assert peer.take(message(0), features()) is Disconnect.UNKNOWN_SWITCH
    assert not peer.sent


@pytest.mark.parametrize(
    "sent",
    [
        [features()],
        [message(0), features(), features(6)],
        [message(0), message(19, struct.pack(">HH4x", 13, 0))],
        [message(0), features(), message(19, struct.pack(">HH4x", 13, 0), xid=77)],
        [message(0), message(21)],
    ],
)
def test_what_was_not_asked_or_comes_twice_ends_it(sent: list[Message]) -> None:
    assert Peer().take(*sent) is Disconnect.OUT_OF_ORDER


def test_port_descriptions_without_end_end_it() -> None:
    peer = asked()
    parts = [
        peer.ports(*(port(first + n) for n in range(1_000)), more=1) for first in range(0, MAX_PORTS, 1_000)
    ]
    assert peer.take(*parts[:4]) is None
    assert peer.take(parts[4]) is Disconnect.TOO_MANY_PORTS


def test_the_same_ports_again_and_again_end_it_too() -> None:
    peer = asked(handshake_bytes=1 << 20)
    part = peer.ports(*(port(n) for n in range(1_000)), more=1)
    assert peer.take(*[part] * 100) is Disconnect.HANDSHAKE_FLOOD


@pytest.mark.parametrize("kind", [1, 2, 3, 10])
def test_a_flood_before_it_is_a_switch_ends_it(kind: int) -> None:
    peer = asked(handshake_messages=100)
    assert peer.take(*[message(kind)] * 101) is Disconnect.HANDSHAKE_FLOOD


def test_a_port_that_changes_while_the_connection_waits_is_not_forgotten() -> None:
    peer = asked()
    peer.take(peer.ports(port(1), port(2)))
    down = message(12, b"\2" + bytes(7) + port(1, down=True))
    gone = message(12, b"\1" + bytes(7) + port(2))
    assert peer.take(down, gone) is None
    assert peer.handshake.ports == {1: PortDescription(1, False, 0, False, "p")}


def test_a_port_that_is_added_while_the_connection_waits_is_there() -> None:
    """A switch that reboots adds ports one by one, and waits meanwhile for what is left of its last connection."""
    peer = asked()
    peer.take(peer.ports(port(1)))
    assert peer.take(message(12, bytes(8) + port(2, speed=10))) is None
    assert peer.handshake.ports[2] == PortDescription(2, True, 10, False, "p")


def test_ports_that_are_added_without_end_while_the_connection_waits_end_it() -> None:
    peer = asked(handshake_messages=2 * MAX_PORTS, handshake_bytes=1 << 20)
    peer.take(peer.ports(port(1)))
    more = [message(12, bytes(8) + port(number)) for number in range(2, MAX_PORTS + 2)]
    assert peer.take(*more[:-1]) is None
    assert peer.take(more[-1]) is Disconnect.TOO_MANY_PORTS


def test_a_port_has_the_speed_that_it_had_last() -> None:
    peer = asked()
    peer.take(peer.ports(port(1, down=True)))
    for speed in (10, 100, 0):  # 0: the link is gone again
        peer.take(message(12, b"\2" + bytes(7) + port(1, down=not speed, speed=speed)))
    assert peer.handshake.ports[1].speed == 100
