"""Ports that a relay keeps open for devices: what it believes, when it listens, whom it leads where (N-5.2.1e)."""

import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.cli.commands.relay import _options
from steering.cli.main import build_parser
from steering.relay.controller import event_stream, inbound_ports
from steering.relay.controller.event_stream import StreamError
from steering.relay.controller.inbound_ports import MOST, InboundPorts, parse
from steering.relay.counters import RelayCounters
from steering.relay.kernel import side_thread
from steering.relay.kernel.rules import limits
from steering.relay.log import Log
from steering.relay.loop.accept_backoff import PAUSE_S, AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import ControllerAccess, Endpoint, OptionError, ServerLeg
from tests.support.controller_process import free_port
from tests.support.scarcity import above_select, no_descriptors

OPTIONS = ControllerAccess("http://127.0.0.1:1", "core", "t" * 40, None)


def told(port: int, **more: Any) -> dict[str, Any]:
    return {"ext_port": port, "host": "10.1.0.2", "int_port": 7001, "lasts_s": 600.0} | more


class Knocked:
    """Inbound ports whose stream is never opened, and what it led where."""

    def __init__(self, controller: ControllerAccess = OPTIONS) -> None:
        self.poller = Poller()
        self.led: list[tuple[Endpoint, Endpoint]] = []
        self.room = True
        self.counters = RelayCounters()
        self.log = io.StringIO()
        log = Log(False, False, self.log)
        pause = AcceptBackoff("bindings", self.counters, log)
        self.inbound = InboundPorts(controller, self.poller, lambda: self.room, self._taken, log, pause)

    def _taken(
        self, client: Endpoint, device: Endpoint, accepted: socket.socket, dialled: socket.socket
    ) -> None:
        self.led.append((client, device))
        accepted.close()
        dialled.close()


@pytest.fixture
def knocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Knocked]:
    def dial(leg: ServerLeg, server: Endpoint, mark: int) -> socket.socket:
        assert leg is ServerLeg.MPTCP and not mark
        if server.port == 9:
            raise OSError(101, "Network is unreachable")
        return socket.socket()

    monkeypatch.setattr(inbound_ports, "dial_own", dial)
    found = Knocked()
    yield found
    found.inbound.stop()
    found.poller.close_pending()


def knock(port: int) -> int:
    with socket.socket() as probe:
        probe.settimeout(30)
        return probe.connect_ex(("127.0.0.1", port))


@pytest.mark.row("N-5.2.1e")
def test_a_bound_port_leads_to_its_device_until_its_time_is_over(knocked: Knocked) -> None:
    port = free_port()
    assert knock(port) != 0
    knocked.inbound.take({"bindings": [told(port, lasts_s=5.0)]}, 100.0)
    assert knock(port) == 0
    knocked.poller.turn(1.0)
    ((client, device),) = knocked.led
    assert client.address == "127.0.0.1" and device == Endpoint("10.1.0.2", 7001)
    assert knocked.inbound.document()["ports"] == {str(port): "10.1.0.2:7001"}
    knocked.inbound.take({"bindings": [told(port, lasts_s=9.0)]}, 104.0)  # renewed
    knocked.inbound.expire(106.0)
    assert knock(port) == 0
    knocked.inbound.expire(113.0)
    knocked.poller.close_pending()
    assert knock(port) == 111  # a reset


def test_what_is_told_no_more_is_closed_and_what_stays_is_not_opened_anew(knocked: Knocked) -> None:
    one, other = free_port(), free_port()
    knocked.inbound.take({"bindings": [told(one), told(other)]}, 0.0)
    kept = knocked.inbound._listeners[one]
    knocked.inbound.take({"bindings": [told(one)]}, 1.0)
    knocked.poller.close_pending()
    assert knocked.inbound._listeners == {one: kept} and knock(other) == 111


def test_a_device_that_cannot_be_dialled_and_a_full_relay_turn_away(knocked: Knocked) -> None:
    port = free_port()
    knocked.inbound.take({"bindings": [told(port, int_port=9)]}, 0.0)
    assert knock(port) == 0
    knocked.poller.turn(1.0)
    knocked.room = False
    knocked.inbound.take({"bindings": [told(port)]}, 0.0)
    assert knock(port) == 0
    knocked.poller.turn(1.0)
    document = knocked.inbound.document()
    assert (document["accepted"], document["turned_away"], knocked.led) == (2, 2, [])


def test_a_port_that_somebody_has_is_counted(knocked: Knocked) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6) as taken:
        knocked.inbound.take({"bindings": [told(taken.getsockname()[1])]}, 0.0)
    assert knocked.inbound.document()["unlistened"] == 1 and not knocked.inbound._listeners


@pytest.mark.own_process
def test_with_no_descriptor_left_whoever_knocks_waits_and_the_loop_does_not_spin(knocked: Knocked) -> None:
    port, other = free_port(), free_port()
    knocked.inbound.take({"bindings": [told(port)]}, time.monotonic())
    knocked.poller.turn(0.01)
    probe = socket.socket()
    assert probe.connect_ex(("127.0.0.1", port)) == 0
    with no_descriptors():
        began, turns = time.monotonic(), 0
        while time.monotonic() < began + 1.0:
            knocked.poller.turn(0.1)
            knocked.inbound.expire(time.monotonic())
            turns += 1
    assert turns <= 30
    assert 1 <= knocked.counters.accept_paused <= 1.0 / PAUSE_S + 1
    assert knocked.log.getvalue().count("accept paused") == 1
    assert "reason=Too many open files" in knocked.log.getvalue()
    both = {"bindings": [told(port), told(other)]}
    knocked.inbound.take(both, time.monotonic())  # the other is opened while the first is left alone
    knocked.inbound.expire(time.monotonic() + 1.0)
    knocked.poller.turn(1.0)
    assert [device.port for _, device in knocked.led] == [7001]
    assert knock(other) == 0
    knocked.poller.turn(1.0)
    assert len(knocked.led) == 2
    probe.close()


@pytest.mark.parametrize(
    "one",
    [
        told(1023), told(65_536), told(50_001, host="x"), told(50_001, int_port=0), told(50_001, lasts_s=0),
        told(50_001, lasts_s=1e9), told(50_001, lasts_s="nan"), {"ext_port": 50_001}, [], None, told(50_001, host=None),
        told(50_001, host="fe80::1%eth0"), told(50_001, host=167_837_698),
    ],
)  # fmt: skip
def test_what_is_no_binding_is_counted_and_opens_nothing(one: Any) -> None:
    assert parse({"bindings": [one]}, 0.0) == ({}, 1)


def test_there_are_only_so_many_and_each_port_once() -> None:
    found, wrong = parse({"bindings": [told(2000 + n) for n in range(MOST + 3)]}, 0.0)
    assert (len(found), wrong) == (MOST, 3)
    assert parse({"bindings": [told(2000), told(2000)]}, 0.0)[1] == 1
    assert parse({"bindings": "none"}, 0.0) == parse({}, 0.0) == ({}, 0)


def options(*words: str) -> Any:
    """Of `steering relay` for an MCP that is told of bindings."""
    command = ["relay", "--source-mode", "transparent", "--port", "80", "--prefix", "10.9.0.0/24", *words]
    return _options(build_parser("relay").parse_args(command))


def test_with_bindings_joins_are_the_kernels_own(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t" * 40)
    file.chmod(0o600)
    managed = ("--controller", "http://127.0.0.1:1", "--mcp", "core", "--token-file", str(file))
    plain, bound = options(*managed), options(*managed, "--bindings")
    assert plain.agent is not None and plain.inbound is None and "add_addr" not in limits(plain)
    assert bound.inbound == plain.agent and bound.agent is None
    assert "add_addr_accepted" in limits(bound)
    with pytest.raises(OptionError, match="goes with --controller"):
        options("--bindings")


class Told:
    """A stream of the controller whose connection has a large number, as it has in a relay with many sessions."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "bindings", {"bindings": []}
        raise StreamError("the controller ended it")


def test_with_a_thousand_files_open_what_the_controller_tells_is_still_heard(knocked: Knocked) -> None:
    near, far = socket.socketpair()
    with near, far, above_select(near) as high:
        far.send(b".")
        with pytest.raises(StreamError):
            knocked.inbound._listen(Told(high))  # type: ignore[arg-type]
    assert knocked.inbound._told.pop() == {"bindings": []}


def test_a_relay_that_ends_waits_for_no_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its host takes connections, and nobody there answers."""
    monkeypatch.setattr(side_thread, "STOP_S", 60.0)
    monkeypatch.setattr(event_stream, "CONNECT_S", 10.0)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        knocked = Knocked(
            ControllerAccess(f"http://127.0.0.1:{deaf.getsockname()[1]}", "core", "t" * 40, None)
        )
        knocked.inbound.start()
        connection, _ = deaf.accept()
        assert connection.recv(1) == b"G"
        knocked.inbound.stop()
        assert knocked.inbound._thread._thread.is_alive(), "it waits for an answer still"
        connection.close()
        knocked.inbound._thread._thread.join(30)
        assert not knocked.inbound._thread._thread.is_alive() and not knocked.inbound._thread.faults
