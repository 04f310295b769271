"""A dead uplink is told from a dead peer by who is acknowledged; what the kernel says of sockets is bounded and checked."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.relay.kernel import stuck_subflows
from steering.relay.kernel.stuck_subflows import (
    QUIET_MS,
    SubflowProgress,
    SubflowReader,
    parse,
    stuck_uplinks,
)
from steering.relay.kernel.uplinks import Uplink
from tests.support.loopback import pair

DSL, LTE = Uplink("dsl0", ("10.1.0.2", "")), Uplink("lte0", ("10.2.0.2", ""), older=("10.2.0.9",))
WAYS = (DSL, LTE)


def on(source: str, unacked: int = 0, timeouts: int = 0, last: int = 5) -> SubflowProgress:
    return SubflowProgress(source, unacked, timeouts, last)


def stuck(*subflows: SubflowProgress) -> list[str]:
    return [uplink.interface for uplink in stuck_uplinks(WAYS, subflows)]


def test_data_that_nobody_acknowledges_while_another_uplink_moves_is_a_dead_uplink() -> None:
    dead = on("10.1.0.2", 4, 1, QUIET_MS)
    assert stuck(dead, on("10.2.0.2", 1)) == ["dsl0"] == stuck(dead, on("10.2.0.9"))


@pytest.mark.parametrize(
    ("what", "subflow"),
    [
        ("nothing is out", on("10.1.0.2", 0, 0, 90_000)),
        ("no time-out yet", on("10.1.0.2", 4, 0, 90_000)),
        ("it was acknowledged just now", on("10.1.0.2", 4, 1, QUIET_MS - 1)),
    ],
)
def test_a_subflow_that_rests_or_waits_says_nothing(what: str, subflow: SubflowProgress) -> None:
    assert stuck(subflow, on("10.2.0.2", 1)) == [], what


def test_where_nothing_moves_it_is_the_peer_or_what_all_share() -> None:
    assert stuck(on("10.1.0.2", 4, 1, 500), on("10.2.0.2", 4, 1, 500)) == []
    assert stuck(on("10.1.0.2", 4, 1, 500), on("10.2.0.2", 0, 0, 90_000)) == []


def test_one_subflow_that_moves_speaks_for_its_uplink() -> None:
    assert stuck(on("10.1.0.2", 4, 1, 500), on("10.1.0.2", 1), on("10.2.0.2", 1)) == []


def test_connections_of_others_count_for_nobody() -> None:
    assert stuck(on("192.168.1.1", 1), on("10.1.0.2", 4, 1, 500)) == []


@pytest.fixture
def reader() -> Iterator[SubflowReader]:
    made = SubflowReader()
    yield made
    made.close()


def test_this_machines_own_connections_are_read(reader: SubflowReader) -> None:
    near, far = pair()
    near.sendall(b"x")
    found = [one for one in reader.read() if one.source == "127.0.0.1"]
    assert len(found) >= 2 and not any(one.stuck for one in found) and not reader.refused
    near.close()
    far.close()


def diag(address: bytes = bytes([10, 1, 0, 2]), info: bytes = bytes(232), kind: int = 2) -> bytes:
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    body = bytes([family, 1, 0, 0]) + bytes(4) + address.ljust(16, b"\0") + bytes(48)
    body += struct.pack("=HH", 4 + len(info), kind) + info
    return struct.pack("=IHHII", 16 + len(body), 20, 0, 1, 0) + body


def test_a_message_is_read_by_its_fields() -> None:
    info = bytearray(232)
    info[2] = 3
    struct.pack_into("=I", info, 24, 7)
    struct.pack_into("=I", info, 56, 1_234)
    assert parse(diag(info=bytes(info))) == SubflowProgress("10.1.0.2", 7, 3, 1_234)
    mapped = bytes(10) + b"\xff\xff" + bytes([10, 1, 0, 2])
    assert parse(diag(mapped, bytes(info))) == SubflowProgress("10.1.0.2", 7, 3, 1_234)


@pytest.mark.parametrize(
    "message",
    [b"", diag()[:40], diag(kind=9), diag(info=bytes(20)), diag()[:-100], diag()[:88] + b"\2\0\2\0"],
)
def test_a_message_that_does_not_hold_what_it_promises_is_none(message: bytes) -> None:
    assert parse(message) is None


@given(data=st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    parse(data)
    parse(diag()[:88] + data)


class Told:
    """In the place of the socket: datagrams, or an error."""

    def __init__(self, *told: bytes | OSError, port: int = 0) -> None:
        self.told, self.port = list(told), port
        self._readable, self._writer = os.pipe()
        os.write(self._writer, b".")

    def fileno(self) -> int:
        return self._readable if self.told else self._writer

    def send(self, data: bytes) -> None:
        pass

    def recvmsg(self, size: int) -> tuple[bytes, list[Any], int, tuple[int, int]]:
        found = self.told.pop(0)
        if isinstance(found, OSError):
            raise found
        return found, [], 0, (self.port, 0)

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._writer)


def test_a_stranger_an_overrun_and_a_broken_length_are_refused_and_counted(
    reader: SubflowReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck_subflows, "ANSWER_S", 0.05)
    for told, refused in (
        (Told(diag(), port=9), 1),
        (Told(OSError(errno.ENOBUFS, "")), 2),
        (Told(b"\xff" * 16), 3),
        (Told(diag()[:16].replace(diag()[:4], struct.pack("=I", 16)) + diag()), 4),
    ):
        reader._sock.close()
        reader._sock = told  # type: ignore[assignment]
        reader._serial = 0
        reader.read()
        assert reader.refused == refused


def test_more_sockets_than_are_looked_at_end_the_reading(
    reader: SubflowReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck_subflows, "MOST_SOCKETS", 5)
    monkeypatch.setattr(stuck_subflows, "ANSWER_S", 0.05)
    reader._sock.close()
    reader._sock = Told(diag() * 50)  # type: ignore[assignment]
    assert len(reader.read()) == 5
