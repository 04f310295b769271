"""Whatever one connection of a switch sends, a good switch is served; each with the budgets off as its control."""

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from tests.process.flooding import Flood, FloodProcess, idle, p99, waits
from tests.support.controller_process import LINKS, SITE, Running
from tests.support.fakes.rawswitch import ECHO_REPLY, ECHO_REQUEST, RawSwitch, message
from tests.support.waiting import wait_for

OFF = ("--disable", "connection-budget")
SECONDS = 1.0
LOG_BURST, LOG_INTERVAL = (
    5,
    60.0,
)  # lines about one reason in so many seconds (openflow.connection.connections)
MOST_P99 = 10  # milliseconds


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("bounded")) as made:
        yield made


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("control"), SITE + LINKS, *OFF) as made:
        yield made


Record = Callable[[str, object], None]


class Beside(NamedTuple):
    """How long a good switch waited beside a flood, in seconds, and whether the controller hung up on the flood."""

    waited: list[float]
    refused: bool


def beside(running: Running, kind: str, until_refused: bool = False) -> Beside:
    with RawSwitch(2) as good:
        good.connect(running.port).quiet()
        with FloodProcess(running.port, kind) as flood:
            found = waits(good, SECONDS)
            if until_refused:
                flood.wait_until_refused()
    wait_for(lambda: running.json("/v1/health")["switches"]["connected"] == 0)
    return Beside(found, flood.refused)


def calm(running: Running) -> list[float]:
    """The same without a flood: what this machine takes."""
    with RawSwitch(2) as good:
        good.connect(running.port).quiet()
        found = waits(good, SECONDS)
    wait_for(lambda: running.json("/v1/health")["switches"]["connected"] == 0)
    return found


def tell(record: Record, kind: str, waited: list[float], **others: list[float]) -> None:
    """For the table of `make attack`."""
    beside_it = ", ".join(f"{p99(found):.1f} ms {word}" for word, found in others.items())
    record("felt", f"{kind}: p99 of a good switch {p99(waited):.1f} ms of at most {MOST_P99} ms; {beside_it}")


@pytest.mark.parametrize("kind", ["echo", "port-status", "packet-in"])
def test_a_good_switch_does_not_wait_for_a_flood(
    bounded: Running, control: Running, kind: str, record_property: Record
) -> None:
    # A turn is a small part of what one read can hold.
    rounds = [(beside(bounded, kind), beside(control, kind)) for _ in range(3)]
    waited, without = ([one for both in rounds for one in both[side].waited] for side in (0, 1))
    tell(record_property, kind, waited, calm=calm(bounded), unbounded=without)
    assert not any(one.refused for one, _ in rounds), "each of these may be sent"
    assert 2 * median(median(one.waited) for one, _ in rounds) < median(
        median(one.waited) for _, one in rounds
    )


def test_errors_end_no_connection_and_a_good_switch_is_answered_meanwhile(
    bounded: Running, record_property: Record
) -> None:
    """An error costs the controller next to nothing, so the budgets make no difference that a clock could show."""
    found = beside(bounded, "error")
    tell(record_property, "error", found.waited, calm=calm(bounded))
    assert not found.refused


@pytest.mark.parametrize("kind", ["hello", "port-desc", "stats"])
def test_messages_that_nobody_asked_for_end_their_connection(
    bounded: Running, control: Running, kind: str, record_property: Record
) -> None:
    before = bounded.metric("steering_disconnects_total", reason="unasked")
    found = beside(bounded, kind, until_refused=True)
    assert found.refused and bounded.metric("steering_disconnects_total", reason="unasked") == before + 1
    without = beside(control, kind)
    tell(record_property, kind, found.waited, calm=calm(bounded), unbounded=without.waited)
    assert not without.refused
    assert control.metric("steering_disconnects_total", reason="unasked") == 0


@pytest.fixture
def _many_sockets() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.own_process
@pytest.mark.usefixtures("_many_sockets")
def test_of_two_thousand_silent_connections_few_stay_and_a_switch_gets_in(
    tmp_path: Path, record_property: Record
) -> None:
    found: dict[str, list[float]] = {}
    for name, more, stays in (("bounded", (), False), ("control", OFF, True)):
        (tmp_path / name).mkdir()
        with Running(tmp_path / name, SITE + LINKS, *more) as running, RawSwitch(2) as good:
            began = time.monotonic()
            silent = idle(running.port, 2_000)
            good.connect(running.port).quiet()
            found[name] = waits(good, SECONDS)
            ended = running.metric("steering_disconnects_total", reason="too-many-newcomers")
            assert ended == 0 if stays else ended > 1_000
            lines = LOG_BURST * (1 + (time.monotonic() - began) // LOG_INTERVAL)
            assert running.log().count("too-many-newcomers") <= lines, (
                "one line a connection would fill the log"
            )
            for one in silent:
                one.close()
    tell(record_property, "2,000 connections", found["bounded"], unbounded=found["control"])


def test_slow_writers_take_the_places_of_each_other_only(bounded: Running, record_property: Record) -> None:
    """Each sends a byte now and then, which is no message: such a connection stays ten seconds at most."""
    slow = idle(bounded.port, 300)
    with RawSwitch(2) as good:
        for one in slow:
            try:
                one.sendall(b"\4")
            except OSError:
                pass  # its place was taken
        good.connect(bounded.port).quiet()
        found = waits(good, SECONDS)
    tell(record_property, "slow writers", found, calm=calm(bounded))
    for one in slow:
        one.close()


def test_what_slow_readers_leave_unread_is_bounded(bounded: Running, record_property: Record) -> None:
    before = bounded.metric("steering_disconnects_total", reason="backlog")
    with RawSwitch(2) as good, RawSwitch(1) as slow:
        good.connect(bounded.port).quiet()
        slow.connect(bounded.port).quiet()
        slow.reads = False
        with Flood(slow, [message(ECHO_REQUEST, 7, bytes(60_000))]):
            wait_for(lambda: bounded.metric("steering_disconnects_total", reason="backlog") == before + 1)
            found = waits(good, SECONDS)
        slow.reads = True
    wait_for(lambda: bounded.json("/v1/health")["switches"]["connected"] == 0)
    tell(record_property, "slow readers", found, calm=calm(bounded))


@pytest.mark.parametrize("descriptors", [64, 256])
def test_when_descriptors_ran_out_switches_are_let_in_again(tmp_path: Path, descriptors: int) -> None:
    running = Running(tmp_path)
    running.command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *running.command]
    with running, RawSwitch(1) as before, RawSwitch(2) as after:
        before.connect(running.port).quiet()
        for _ in range(3):
            rush = idle(running.port, 200)
            time.sleep(0.3)
            for one in rush:
                one.close()
        after.connect(running.port).quiet()
        before.send(message(ECHO_REQUEST, 0xABCD))
        before.wait_for(lambda seen: seen.type == ECHO_REPLY and seen.xid == 0xABCD)
        assert running.json("/v1/health")["switches"]["connected"] == 2
        assert "Traceback" not in running.log()


def test_as_many_descriptors_as_may_be_are_taken(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.command = ["sh", "-c", 'ulimit -Sn 100; exec "$@"', "sh", *running.command]
    with running:
        assert running.process is not None
        limits = Path(f"/proc/{running.process.pid}/limits").read_text()
        soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[
            3:5
        ]
    assert int(soft) == min(int(hard), 65_536)
