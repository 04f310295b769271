"""The parent of workers: what it takes over, and what does not end it."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.openflow.connection.handover import HandedConnection
from steering.relay.service_manager import ServiceManager
from steering.runtime.settings import ListenAddress, Settings, SettingsError
from steering.runtime.workers import worker_posts, worker_process
from steering.runtime.workers.descriptor_loop import DescriptorLoop
from steering.runtime.workers.parent import ORDERS, STATE, WorkersParent
from steering.runtime.workers.worker_posts import WorkerPosts
from steering.runtime.workers.worker_process import LONGEST, SHORTEST, WorkerProcess
from steering.store.interface import StateError
from steering.store.state_directory import StateDirectory, StateLock


class NoWorker(WorkerProcess):
    """A worker without a process: what it is sent, and how it has ended."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "1:/nowhere", {})
        self.sent: list[int] = []
        self.status: int | None = None

    def start(self, now: float) -> None:
        self.starts += 1

    def ended(self, now: float) -> int | None:
        return self.status

    def signal(self, number: signal.Signals) -> None:
        self.sent.append(number)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.alone = StateDirectory(folder)

    def parent(self) -> Any:
        """A parent whose store serves, and whose workers are none."""
        anywhere = ListenAddress("127.0.0.1", 0)
        settings = Settings(
            site="site.yaml",
            policy=None,
            listen=anywhere,
            rest=anywhere,
            state_dir=self.folder,
            workers=2,
        )
        made: Any = WorkersParent(settings)
        made._workers = [NoWorker(one.name) for one in made._workers]
        made._server.start()
        return made

    def adopted(self) -> set[str]:
        """What a parent has kept after it took orders over."""
        parent = self.parent()
        try:
            parent._adopt()
            return {name for name in ORDERS if parent.store.get(f"/steering/workers/kept/kept/{name}")}
        finally:
            parent._end()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        yield Bench(Path(folder))


def test_orders_are_taken_over_whole_where_a_start_before_found_one_that_cannot_be_read(bench: Bench) -> None:
    for name in ORDERS:
        bench.alone.write(name, "{}")
    unreadable = bench.folder / ORDERS[3]
    unreadable.chmod(0o644)
    with pytest.raises(StateError, match="open to others"):
        bench.adopted()
    unreadable.chmod(0o600)
    assert bench.adopted() == set(ORDERS)
    bench.alone.write(ORDERS[0], "{}")
    for name in ORDERS[1:]:
        bench.alone.remove(name)
    assert bench.adopted() == set(ORDERS), "once"


def test_orders_of_a_controller_that_still_runs_are_not_taken_over(bench: Bench) -> None:
    bench.alone.write(ORDERS[0], "{}")
    running = StateLock(bench.folder)
    with pytest.raises(StateError, match="another controller has the state directory"):
        bench.adopted()
    bench.alone.write(ORDERS[1], "{}")
    running.release()
    assert bench.adopted() == set(ORDERS[:2])


def test_a_folder_whose_name_is_too_long_for_sockets_is_told_and_nothing_is_left_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = bench.folder / ("t" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(SettingsError, match="choose a shorter TMPDIR"):
        bench.parent()
    assert not list(long.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(long / "none"))
    with pytest.raises(SettingsError, match="no folder for sockets"):
        bench.parent()


def test_workers_that_ended_by_the_same_ctrl_c_are_no_failure(bench: Bench) -> None:
    parent = bench.parent()
    parent._seen = {parent._workers[0].name}
    for one in parent._workers:
        one.status = -signal.SIGINT
    parent._loop.turn = lambda seconds: parent._stop()
    parent._turn(ServiceManager())
    assert parent._status == 0 and all(one.status is not None for one in parent._workers)
    parent._end()


@pytest.mark.parametrize(("status", "told"), [(2, 2), (1, 1), (-signal.SIGKILL, 1), (0, 1)])
def test_a_worker_that_was_killed_at_its_first_start_is_no_wrong_file(
    bench: Bench, status: int, told: int
) -> None:
    """The service manager starts nothing again that ended with 2."""
    parent = bench.parent()
    parent._workers[0].status = status
    parent._turn(ServiceManager())
    assert (parent._stopped, parent._status) == (True, told)
    parent._end()


def test_a_hang_up_waits_for_workers_that_are_still_starting(bench: Bench) -> None:
    parent = bench.parent()
    first, second = parent._workers
    at = socket.socketpair()
    parent._posts._posts[first.name] = at[0]
    parent._hang_up()
    parent._hand_on_hup()
    assert (first.sent, second.sent) == ([signal.SIGHUP], [])
    parent._posts._posts[second.name] = at[1]
    parent._hand_on_hup()
    parent._hand_on_hup()
    assert (first.sent, second.sent) == ([signal.SIGHUP], [signal.SIGHUP])
    parent._end()


def test_a_worker_that_cannot_be_started_is_due_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*args: object, **options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    one = WorkerProcess("w1", "1:/nowhere", {})
    monkeypatch.setattr(worker_process.subprocess, "Popen", full)
    one.start(100.0)
    assert one.pid == 0 and one.ended(100.0) is None and "cannot be started for the moment" in caplog.text
    for second in range(200):
        one.start_if_due(100.0 + second)
    assert 200 / LONGEST < caplog.text.count("cannot be started") < 20, "less and less often"
    monkeypatch.undo()
    monkeypatch.setattr(worker_process.sys, "orig_argv", ["python", "-c", ""])
    one.start_if_due(400.0 + SHORTEST)
    assert one.starts == 1 and one.wait(30)


@pytest.mark.parametrize(
    ("number", "is_lost"), [(105, False), (109, False), (90, False), (32, True), (104, True)]
)
def test_a_worker_is_lost_only_where_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_lost: bool
) -> None:
    def refused(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    loop = DescriptorLoop()
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as worker,
    ):
        posts = WorkerPosts(Path(folder) / "switches", loop, lambda pid: "w1")
        worker.connect(f"{folder}/switches")
        loop.turn(1.0)
        assert posts.ready == {"w1"}
        monkeypatch.setattr(worker_posts, "hand", refused)
        assert not posts.hand("w1", HandedConnection("10.0.0.1", 7, b""))
        assert (posts.ready == set()) is is_lost
        posts.close()


def test_what_a_killed_parent_left_unfinished_is_removed(bench: Bench) -> None:
    keys = bench.folder / STATE / "keys"
    keys.mkdir(mode=0o700, parents=True)
    (bench.folder / STATE).chmod(0o700)
    unfinished = keys / f".{'0' * 16}"
    unfinished.write_text("")
    os.utime(unfinished, (1, 1))
    bench.adopted()
    assert not unfinished.exists()
