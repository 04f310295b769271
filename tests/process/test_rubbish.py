"""Switches and hosts that send rubbish: the one is disconnected, the packet is dropped, the rest goes on."""

import struct
from collections.abc import Iterator

import pytest

from steering.model.rules import OWNER, CookieKind, PacketClass
from steering.wire.craft import tcp_frame
from tests.process.network import LTE_HOST, SERVER, SYN, Network
from tests.support.controller_process import Running
from tests.support.fakes.rawswitch import ECHO_REPLY, ECHO_REQUEST, HELLO, RawSwitch, message
from tests.support.waiting import wait_for

ZERO_ELEMENT = bytes.fromhex("04000010000000130001000000000010")
PADDED_ELEMENT = message(HELLO, 1, struct.pack(">HHII4x", 1, 12, 1 << 4, 0))


def answers(switch: RawSwitch) -> bool:
    """Whether the controller still serves a switch."""
    before = switch.last_order()
    switch.send(message(ECHO_REQUEST, 0xABCD, b"there?"))
    seen = switch.wait_for(lambda s: s.type == ECHO_REPLY and s.xid == 0xABCD, since=before)
    return seen.data[8:] == b"there?"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One controller for all the rubbish of this file: it has to outlive it."""
    with Running(tmp_path_factory.mktemp("running")) as made:
        yield made


@pytest.fixture(scope="module")
def good(running: Running) -> Iterator[RawSwitch]:
    """A switch that behaves, connected all the time."""
    with RawSwitch(2) as switch:
        switch.connect(running.port).quiet()
        yield switch


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("network")) as made:
        yield made


def disconnects(running: Running, reason: str) -> float:
    return running.metric("steering_disconnects_total", reason=reason)


@pytest.mark.parametrize(
    ("rubbish", "reason"),
    [
        (message(ECHO_REQUEST, 1, version=1), "bad-version"),
        (message(ECHO_REQUEST, 1, version=99), "bad-version"),
        (struct.pack(">BBHI", 4, 10, 7, 1), "bad-length"),
        (struct.pack(">BBHI", 4, 10, 0, 1), "bad-length"),
        (b"\x04\xff\x00\x10" + bytes(12), "bad-type"),
        (b"GET / HTTP/1.1\r\nHost: switch\r\n\r\n", "bad-version"),
        (bytes(64), "bad-length"),
        (message(12, 1, bytes(8)), "bad-length"),
    ],
)
def test_a_connected_switch_that_speaks_rubbish_is_disconnected_alone(
    running: Running, good: RawSwitch, rubbish: bytes, reason: str
) -> None:
    before = disconnects(running, reason)
    with RawSwitch(1) as bad:
        bad.connect(running.port).quiet()
        bad.send(rubbish)
        assert bad.ended.wait(30)
        wait_for(lambda: disconnects(running, reason) == before + 1)
        assert answers(good) and not good.ended.is_set()
        bad.close()
        bad.connect(running.port).quiet()
        assert answers(bad)
        assert "Traceback" not in running.log() and "s1 at 127.0.0.1:" in running.log()


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (ZERO_ELEMENT, "bad-hello"),
        (message(HELLO, 1, b"\0\1\0\x03"), "bad-hello"),
        (message(HELLO, 1, b"\0\1\0\xff" + bytes(4)), "bad-hello"),
        (message(HELLO, 1, b"\0"), "bad-hello"),
        (message(HELLO, 1, version=77), "bad-version"),
        (message(HELLO, 1, version=1), "bad-version"),
        (message(HELLO, 1) + message(HELLO, 2), "bad-hello"),
        (message(HELLO, 1) + message(14, 2), "out-of-order"),
        (message(HELLO, 1) + message(6, 2, bytes(3)), "bad-length"),
    ],
)
def test_a_bad_handshake_ends_that_connection_and_nothing_hangs(
    running: Running, good: RawSwitch, hello: bytes, reason: str
) -> None:
    before = disconnects(running, reason)
    with RawSwitch(1) as bad:
        bad.connect(running.port, hello)
        assert bad.ended.wait(30)
        wait_for(lambda: disconnects(running, reason) == before + 1)
        assert answers(good)
        assert "Traceback" not in running.log()


def test_a_padded_hello_is_understood(running: Running) -> None:
    with RawSwitch(1) as switch:
        switch.connect(running.port, PADDED_ELEMENT)
        switch.quiet()
        assert answers(switch)


def test_messages_in_pieces_are_put_together(running: Running) -> None:
    with RawSwitch(1) as switch:
        switch.connect(running.port).quiet()
        whole = message(ECHO_REQUEST, 0xABCD, b"x" * 3000) + message(ECHO_REQUEST, 0xABCE)
        for at in range(0, len(whole), 701):
            switch.send(whole[at : at + 701])
        assert switch.wait_for(lambda s: s.xid == 0xABCD).data[8:] == b"x" * 3000
        switch.wait_for(lambda s: s.xid == 0xABCE)


def test_a_switch_that_does_not_read_is_given_up_and_stalls_nobody(running: Running, good: RawSwitch) -> None:
    with RawSwitch(1) as deaf:
        deaf.connect(running.port).quiet()
        deaf.reads = False
        big = message(ECHO_REQUEST, 7, bytes(60_000))
        try:
            for _ in range(1_000):
                deaf.send(big)
        except OSError:
            pass  # it was given up while we were still sending
        running.wait_for_metric("steering_disconnects_total", 1, reason="backlog")
        assert answers(good)
        deaf.reads = True


BAD_OPTIONS = [
    bytes((30, 0)) + bytes(2),
    bytes((254, 0, 0, 0)),
    bytes((30, 1, 0, 0)),
    bytes((30, 40, 0, 0)),
]


@pytest.mark.parametrize(("sport", "options"), list(enumerate(BAD_OPTIONS, 50_000)))
def test_a_malformed_syn_is_counted_and_dropped(network: Network, sport: int, options: bytes) -> None:
    before = network.running.metric("steering_refusals_total", reason="unparsable")
    bad = tcp_frame(LTE_HOST, SERVER, 1, 2, flags=SYN, options=options)
    network.punt(1, 1, bad, PacketClass.SYN)
    network.wait_for_release(1, network.syn(sport))  # the next one is served as if nothing had been
    assert network.running.metric("steering_refusals_total", reason="unparsable") == before + 1
    assert bad not in network.released(1)


def test_rubbish_in_every_class_leaves_the_process_alive(network: Network) -> None:
    switch = network.switches[1]
    for kind in PacketClass:
        for frame in (b"", bytes(13), bytes(14), b"\xff" * 60, bytes(12) + b"\x86\xdd" + b"\x60" * 50):
            network.punt(1, 1, frame, kind)
    switch.packet_in(0, 1, bytes(60))
    switch.packet_in((1 << 64) - 1, 1, bytes(60))
    switch.packet_in(OWNER << 56 | CookieKind.STATIC << 52 | 999, 1, bytes(60))
    switch.send(message(10, 0, bytes(4)) + message(10, 0, bytes(40)) + message(19, 0, b"\0\1"))
    switch.send(message(1, 0, b"\0") + message(21, 5) + message(11, 5, bytes(3)))
    assert answers(switch) and answers(network.switches[2])
    network.running.wait_for_metric("steering_malformed_total", 1, reason="truncated")
    network.running.wait_for_metric("steering_malformed_total", 2, reason="unexpected-message")
    assert network.running.metric("steering_malformed_total", reason="unexpected-message") == 2
    assert "Traceback" not in network.running.log()
    network.wait_for_release(1, network.syn(sport=40_001))
