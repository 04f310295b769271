"""Waiting for descriptors: of any number, since a relay with many sessions has all small ones in use."""

import socket
import time
from collections.abc import Iterator

import pytest

from steering.relay.kernel.readable import readable
from tests.support.scarcity import above_select


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_what_can_be_read_is_told_and_nothing_else(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    assert readable([near, far], 0.0) == []
    far.send(b".")
    assert readable([near, far], 60.0) == [near]
    assert readable([near.fileno(), far.fileno()], 60.0) == [near.fileno()]


def test_an_end_counts(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    far.close()
    assert readable([near], 60.0) == [near]


def test_it_waits_for_the_time_that_was_said(pair: tuple[socket.socket, socket.socket]) -> None:
    begun = time.monotonic()
    assert readable(pair, 0.05) == [] and time.monotonic() - begun >= 0.05
    assert readable(pair, -1.0) == []


def test_a_descriptor_may_have_any_number(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    with above_select(near) as high:
        far.send(b".")
        assert readable([high], 60.0) == [high]
