"""What a service manager is told; a real socket of this test is its socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.relay.service_manager import ServiceManager


class Systemd:
    """The socket of a service manager, and what came there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._socket.recv(4_096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    one = Systemd(tmp_path / "notify")
    yield one
    one.close()


def test_it_is_told_of_the_beginning_the_life_and_the_end(systemd: Systemd) -> None:
    manager = ServiceManager(
        {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid())}
    )
    assert manager.interval == 2.0
    manager.ready()
    for now in (100.0, 100.5, 101.9, 102.0, 102.5):
        manager.beat(now)
    manager.ends()
    assert systemd.heard() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize(
    "changed",
    [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_PID": "1"}, {"NOTIFY_SOCKET": ""}],
)
def test_a_watchdog_that_is_not_meant_for_this_process_hears_nothing(
    systemd: Systemd, changed: dict[str, str]
) -> None:
    given = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid())}
    manager = ServiceManager(given | changed)
    manager.beat(100.0)
    assert manager.interval is None and systemd.heard() == []


def test_a_socket_that_is_gone_full_or_no_address_ends_nothing(systemd: Systemd) -> None:
    full = ServiceManager({"NOTIFY_SOCKET": str(systemd.path)})
    for _ in range(5_000):
        full.ready()  # nobody reads; a write that waited would never return
    systemd.close()
    for address in (
        str(systemd.path),
        str(systemd.path.with_name("none")),
        "not/absolute",
        "@nobody",
        "/" + "x" * 200,
    ):
        ServiceManager({"NOTIFY_SOCKET": address}).ready()
