"""Whatever one connection of a switch sends, a good switch is served; each with the budgets off as its control."""

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.process.flooding import Flood, flood_of, idle, waits
from tests.support.controller_process import LINKS, SITE, Running
from tests.support.fakes.rawswitch import ECHO_REPLY, ECHO_REQUEST, RawSwitch, message
from tests.support.waiting import wait_for

OFF = ("--disable", "connection-budget")
SECONDS = 1.0


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("bounded")) as made:
        yield made


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("control"), SITE + LINKS, *OFF) as made:
        yield made


def flooded(running: Running, kind: str) -> tuple[float, bool]:
    """The median wait of a good switch beside a flood, and whether the controller hung up on the flood."""
    with RawSwitch(2) as good, RawSwitch(1) as bad:
        good.connect(running.port).quiet()
        bad.connect(running.port).quiet()
        with Flood(bad, flood_of(kind, bad)) as flood:
            time.sleep(0.2)
            found = median(waits(good, SECONDS))
        refused = flood.refused
    wait_for(lambda: running.json("/v1/health")["switches"]["connected"] == 0)
    return found, refused


@pytest.mark.parametrize("kind", ["echo", "port-status", "packet-in"])
def test_a_good_switch_does_not_wait_for_a_flood(
    bounded: Running, control: Running, kind: str, record_property: Callable[[str, object], None]
) -> None:
    # What the test's own threads cost is in both; a turn is a small part of what one read can hold.
    rounds = [(flooded(bounded, kind), flooded(control, kind)) for _ in range(3)]
    waited, without = (median(one[side][0] for one in rounds) * 1e3 for side in (0, 1))
    record_property("felt", f"{kind}: a good switch waited {waited:.1f} ms, {without:.1f} ms without budgets")
    assert not any(refused for (_, refused), _ in rounds), "each of these may be sent"
    assert 2 * median(wait for (wait, _), _ in rounds) < median(without for _, (without, _) in rounds)


def test_errors_end_no_connection_and_a_good_switch_is_answered_meanwhile(bounded: Running) -> None:
    """An error costs the controller next to nothing, so the budgets make no difference that a clock could show."""
    with RawSwitch(2) as good, RawSwitch(1) as bad:
        good.connect(bounded.port).quiet()
        bad.connect(bounded.port).quiet()
        with Flood(bad, flood_of("error", bad)) as flood:
            waits(good, SECONDS, least=20)
        assert not flood.refused
    wait_for(lambda: bounded.json("/v1/health")["switches"]["connected"] == 0)


@pytest.mark.parametrize("kind", ["hello", "port-desc", "stats"])
def test_messages_that_nobody_asked_for_end_their_connection(
    bounded: Running, control: Running, kind: str
) -> None:
    before = bounded.metric("steering_disconnects_total", reason="unasked")
    _, refused = flooded(bounded, kind)
    assert refused and bounded.metric("steering_disconnects_total", reason="unasked") == before + 1
    _, refused = flooded(control, kind)
    assert not refused
    assert control.metric("steering_disconnects_total", reason="unasked") == 0


@pytest.fixture
def _many_sockets() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.own_process
@pytest.mark.usefixtures("_many_sockets")
def test_of_two_thousand_silent_connections_few_stay_and_a_switch_gets_in(tmp_path: Path) -> None:
    for name, more, stays in (("bounded", (), False), ("control", OFF, True)):
        (tmp_path / name).mkdir()
        with Running(tmp_path / name, SITE + LINKS, *more) as running, RawSwitch(2) as good:
            silent = idle(running.port, 2_000)
            good.connect(running.port).quiet()
            ended = running.metric("steering_disconnects_total", reason="too-many-newcomers")
            assert ended == 0 if stays else ended > 1_000
            assert running.log().count("too-many-newcomers") <= 5, "one line a connection would fill the log"
            for one in silent:
                one.close()


def test_slow_writers_take_the_places_of_each_other_only(bounded: Running) -> None:
    """Each sends a byte now and then, which is no message: such a connection stays ten seconds at most."""
    slow = idle(bounded.port, 300)
    with RawSwitch(2) as good:
        for one in slow:
            try:
                one.sendall(b"\4")
            except OSError:
                pass  # its place was taken
        good.connect(bounded.port).quiet()
        waits(good, 0.2)
    for one in slow:
        one.close()


def test_what_slow_readers_leave_unread_is_bounded(bounded: Running) -> None:
    before = bounded.metric("steering_disconnects_total", reason="backlog")
    with RawSwitch(2) as good, RawSwitch(1) as slow:
        good.connect(bounded.port).quiet()
        slow.connect(bounded.port).quiet()
        slow.reads = False
        with Flood(slow, [message(ECHO_REQUEST, 7, bytes(60_000))]):
            wait_for(lambda: bounded.metric("steering_disconnects_total", reason="backlog") == before + 1)
            waits(good, 0.2)
        slow.reads = True


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
