"""Switches that come while the controller starts are greeted, and handed over once."""

import socket

import pytest

from steering.openflow.connection import early_door
from steering.openflow.connection.early_door import HELLO, EarlyDoor
from tests.support.controller_process import free_port


@pytest.fixture
def port() -> int:
    return free_port()


def come(port: int) -> socket.socket:
    switch = socket.create_connection(("127.0.0.1", port), timeout=30)
    switch.sendall(HELLO)
    return switch


def test_who_comes_is_greeted_and_handed_over_once(port: int) -> None:
    door = EarlyDoor("127.0.0.1", port, greets=True)
    with come(port) as first, come(port) as second:
        door.look()
        assert [s.recv(100) for s in (first, second)] == [HELLO, HELLO]
        waiting = door.take()
        assert [address for _, address in waiting] == [s.getsockname() for s in (first, second)]
        assert [accepted.recv(100) for accepted, _ in waiting] == [HELLO, HELLO]
        door.look()
        assert door.take() == []
        for accepted, _ in waiting:
            accepted.close()
    door.socket.close()


def test_of_many_that_come_some_wait_until_those_before_them_were_taken(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_door, "MOST", 1)
    door = EarlyDoor("127.0.0.1", port, greets=True)
    with come(port) as first, come(port) as second:
        taken = []
        for switch in (first, second):
            door.look()
            (one,) = door.take()
            assert one[1] == switch.getsockname()
            taken.append(one)
        for accepted, _ in taken:
            accepted.close()
    door.socket.close()


def test_before_tls_nobody_is_greeted_but_may_wait(port: int) -> None:
    door = EarlyDoor("127.0.0.1", port, greets=False)
    with come(port) as switch:
        door.look()
        assert door.take() == []
        switch.settimeout(0.1)
        with pytest.raises(TimeoutError):
            switch.recv(1)
        accepted, _ = door.socket.accept()
        assert accepted.recv(100) == HELLO
        accepted.close()
    door.socket.close()


def test_who_came_and_went_costs_nobody_else_a_greeting(port: int) -> None:
    door = EarlyDoor("127.0.0.1", port, greets=True)
    come(port).close()
    with come(port) as switch:
        door.look()
        assert switch.recv(100) == HELLO
        for accepted, _ in door.take():
            accepted.close()
    door.socket.close()


def test_a_port_that_another_listens_on_is_refused(port: int) -> None:
    first = EarlyDoor("127.0.0.1", port, greets=True)
    with pytest.raises(OSError, match="in use"):
        EarlyDoor("127.0.0.1", port, greets=True)
    first.socket.close()
