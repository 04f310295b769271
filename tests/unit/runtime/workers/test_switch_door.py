"""The port of several workers: each switch's connection gets to its worker with all it has said, and strangers are bounded."""

import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from math import inf

import pytest

from steering.openflow.budgets import Budgets
from steering.openflow.connection.descriptors import raise_descriptors
from steering.openflow.messages.reader import Disconnect
from steering.runtime.workers.switch_door import INTRODUCED_WITHIN, OWNED_WITHIN
from tests.support.door_bench import DoorBench, features, introduced
from tests.support.fakes.rawswitch import (
    ECHO_REPLY,
    ECHO_REQUEST,
    ERROR,
    FLOW_MOD,
    HELLO,
    MULTIPART_REPLY,
    PACKET_IN,
    PORT_STATUS,
    message,
)

FAST = Budgets(accept_rate=inf, accept_burst=inf)
HALF_OPEN = 10_000


@pytest.fixture
def bench() -> Iterator[DoorBench]:
    with DoorBench(FAST) as made:
        yield made


@pytest.mark.row("D-6.7.1")
def test_a_switch_gets_to_its_worker_with_what_it_has_said(bench: DoorBench) -> None:
    hello = message(HELLO, 77, struct.pack(">HHI", 1, 8, 1 << 4))
    talk = introduced(bench, 5, hello)
    bench.until(lambda: bench.handed)
    ((dpid, handed),) = bench.handed
    assert (dpid, handed.address, handed.came) == (5, talk.getsockname(), hello)
    assert len(bench.door) == 0 and not bench.door.ended
    with socket.socket(fileno=os.dup(handed.descriptor)) as worker:
        worker.sendall(b"to the switch")
        assert talk.recv(100) == b"to the switch"
        talk.sendall(b"to the worker")
        assert worker.recv(100) == b"to the worker"


def test_bytes_behind_the_features_reply_are_the_workers(bench: DoorBench) -> None:
    bench.takes = False
    talk = introduced(bench, 5)
    bench.until(lambda: any(one.dpid == 5 for one in bench.door._open))
    talk.sendall(
        message(PORT_STATUS, 3, bytes(72)) + message(ECHO_REQUEST, 9, b"alive?") + message(PACKET_IN, 4)[:6]
    )
    told = b""

    def answered() -> bool:
        nonlocal told
        talk.setblocking(False)
        try:
            told += talk.recv(100)
        except BlockingIOError:
            pass
        return told == message(ECHO_REPLY, 9, b"alive?")

    bench.until(answered)
    bench.takes = True
    bench.later(0.1)
    ((_, handed),) = bench.handed
    assert handed.came == message(HELLO, 1) + message(PACKET_IN, 4)[:6]


def test_a_switch_waits_for_its_worker_and_not_for_ever(bench: DoorBench) -> None:
    bench.takes = False
    talk = introduced(bench, 5)
    bench.until(lambda: any(one.dpid == 5 for one in bench.door._open))
    bench.later(OWNED_WITHIN - 1)
    assert len(bench.door) == 1
    bench.later(2)
    assert len(bench.door) == 0 and bench.door.ended == {Disconnect.HANDSHAKE_TIMEOUT: 1}
    while talk.recv(100):
        pass


@pytest.mark.parametrize("sent", [b"", message(HELLO, 1), message(HELLO, 1)[:5], b"\x04"])
def test_who_does_not_say_which_switch_it_is_ends(bench: DoorBench, sent: bytes) -> None:
    talk = bench.client(sent)
    bench.until(lambda: len(bench.door) == 1)
    bench.later(INTRODUCED_WITHIN - 1)
    assert len(bench.door) == 1
    bench.later(2)
    assert len(bench.door) == 0 and bench.door.ended == {Disconnect.HANDSHAKE_TIMEOUT: 1}
    with suppress(ConnectionResetError):  # where bytes of it were left unread
        while talk.recv(100):
            pass


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Disconnect.BAD_VERSION),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", Disconnect.BAD_VERSION),
        (struct.pack(">BBHI", 4, 0, 3, 0), Disconnect.BAD_LENGTH),
        (struct.pack(">BBHI", 4, 200, 8, 0), Disconnect.BAD_TYPE),
        (message(HELLO, 1) * 2, Disconnect.BAD_HELLO),
        (message(HELLO, 1, b"\0\1"), Disconnect.BAD_HELLO),
        (features(5, 0x7FFF_0002), Disconnect.OUT_OF_ORDER),
        (message(HELLO, 1) + features(5, 1), Disconnect.OUT_OF_ORDER),
        (message(HELLO, 1) + message(6, 0x7FFF_0002, bytes(4)), Disconnect.BAD_LENGTH),
        (message(HELLO, 1) + features(5, 0x7FFF_0002) + features(6, 0x7FFF_0002), Disconnect.OUT_OF_ORDER),
        (message(HELLO, 1) + message(MULTIPART_REPLY, 1, bytes(8)), Disconnect.OUT_OF_ORDER),
        (message(FLOW_MOD, 1, bytes(60)), Disconnect.OUT_OF_ORDER),
        (message(HELLO, 1, version=1) + message(ERROR, 1, bytes(4), version=1), Disconnect.BAD_VERSION),
    ],
)
def test_rubbish_is_refused_by_name_and_counted(bench: DoorBench, sent: bytes, why: Disconnect) -> None:
    bench.takes = False
    talk = bench.client(sent)
    bench.until(lambda: bench.door.ended)
    assert bench.door.ended == {why: 1} and len(bench.door) == 0
    assert not bench.handed
    with suppress(ConnectionResetError):  # where bytes of it were left unread
        while talk.recv(100):
            pass


def test_a_flood_of_messages_and_of_bytes_ends_it() -> None:
    with DoorBench(FAST._replace(handshake_messages=50)) as bench:
        bench.client(message(HELLO, 1) + message(ECHO_REPLY, 1) * 60)
        bench.until(lambda: bench.door.ended)
        assert bench.door.ended == {Disconnect.HANDSHAKE_FLOOD: 1}
    with DoorBench(FAST._replace(handshake_bytes=1_000)) as bench:
        bench.client(struct.pack(">BBHI", 4, PACKET_IN, 60_000, 0) + bytes(2_000))
        bench.until(lambda: bench.door.ended)
        assert bench.door.ended == {Disconnect.HANDSHAKE_FLOOD: 1}


def test_a_stranger_has_few_messages_answered_before_the_next_connection_has_its_turn(
    bench: DoorBench,
) -> None:
    stranger = bench.client()
    bench.until(lambda: bench.came(1))
    stranger.sendall(message(ECHO_REQUEST, 1) * 2_000)
    (one,) = bench.door._open
    bench.until(lambda: one._messages < FAST.handshake_messages)
    assert FAST.handshake_messages - one._messages <= 128
    bench.until(lambda: one._messages == FAST.handshake_messages - 2_000)


def test_one_message_never_takes_more_than_its_length_may_be(bench: DoorBench) -> None:
    """The largest one that the header can name is waited for; the time is bounded."""
    bench.client(struct.pack(">BBHI", 4, PACKET_IN, 65_535, 0) + bytes(60_000))
    bench.until(lambda: any(len(one._rest) == 60_008 for one in bench.door._open))
    bench.later(INTRODUCED_WITHIN + 1)
    assert bench.door.ended == {Disconnect.HANDSHAKE_TIMEOUT: 1}


@pytest.mark.row("D-6.7.1")
def test_ten_thousand_that_say_nothing_keep_no_switch_out() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptors()
    try:
        with DoorBench(FAST) as bench:
            for _ in range(HALF_OPEN // 100):
                came = bench.came() + 100
                for _ in range(100):
                    bench.client()
                bench.until(partial(bench.came, came))
                assert len(bench.door) <= FAST.newcomers_of_source
            assert bench.came() == HALF_OPEN
            assert bench.door.ended == {Disconnect.TOO_MANY_NEWCOMERS: HALF_OPEN - FAST.newcomers_of_source}
            introduced(bench, 5)
            bench.until(lambda: bench.handed)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_connections_are_accepted_at_a_pace() -> None:
    with DoorBench(Budgets(accept_rate=2.0, accept_burst=2.0)) as bench:
        for _ in range(4):
            bench.client()
        bench.until(lambda: len(bench.door) == 2)
        for _ in range(20):
            bench.loop.turn(0.01)
        assert len(bench.door) == 2, "its clock stands still"
        bench.later(1.0)
        bench.until(lambda: len(bench.door) == 4)


def test_one_that_went_before_it_was_read_costs_nobody_else_anything(bench: DoorBench) -> None:
    bench.client().close()
    introduced(bench, 7)
    bench.until(lambda: bench.handed)
    bench.until(lambda: bench.door.ended == {Disconnect.CLOSED: 1})
