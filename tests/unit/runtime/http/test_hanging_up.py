"""Whether a client has hung up, by the kernel's state of its connection."""

import socket
import struct
from collections.abc import Iterator

import pytest

from steering.northbound.http.events import HEARTBEAT
from steering.runtime.http.protocol import has_hung_up
from steering.runtime.http.rest_server import CLIENT_TIMEOUT, UNACKNOWLEDGED, prepare

RESET = struct.pack("ii", 1, 0)  # linger for no time: close() resets


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our side and the client's of one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
        with client, ours:
            yield ours, client


def arrived(ours: socket.socket) -> None:
    """Wait until something, or the end, is there to be read."""
    ours.settimeout(30)
    try:
        ours.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        pass


def test_who_is_there_has_not_whether_it_says_something_or_not(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, client = pair
    assert not has_hung_up(ours)
    client.sendall(b"GET /v1/health")
    arrived(ours)
    assert not has_hung_up(ours)


@pytest.mark.parametrize("last_words", [b"", b"GET /v1/health"])
def test_who_ends_its_side_has_whatever_is_left_to_be_read(
    pair: tuple[socket.socket, socket.socket], last_words: bytes
) -> None:
    ours, client = pair
    client.sendall(last_words)
    client.shutdown(socket.SHUT_WR)
    ours.settimeout(30)
    ours.recv(len(last_words) + 1, socket.MSG_PEEK | socket.MSG_WAITALL)  # until the end is there
    assert has_hung_up(ours)


def test_who_resets_has(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()
    arrived(ours)
    assert has_hung_up(ours)


def test_who_was_hung_up_on_has(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    ours.close()
    assert has_hung_up(ours)


def test_who_acknowledges_nothing_is_given_up_by_the_kernel_long_before_its_own_time(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Linux sends again for a quarter of an hour; meanwhile a relay that comes back had no event stream left."""
    ours, _ = pair
    prepare(ours)
    given_up = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
    assert given_up == UNACKNOWLEDGED and ours.gettimeout() == CLIENT_TIMEOUT
    assert HEARTBEAT < given_up < 4 * HEARTBEAT, "a relay that lost two streams has two more"
    ours.close()
    prepare(ours)  # who is gone already costs nothing
