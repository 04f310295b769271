"""steering cluster rebalance against the real northbound, and a cluster that goes from one state to the next."""

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from steering.cli.commands import cluster
from steering.cli.main import main
from steering.model.cluster import ClusterMember, ClusterStatus, Grant, Rebalance, ShareAssignment, ShareMove
from steering.store import credentials
from tests.support.fixed_view import TOKEN, north
from tests.support.rest_server import serve

MOVE = Rebalance("s0001", "b")
BETWEEN = Rebalance()


def state(owner: str, under_way: Rebalance | None = None, gave_up: Rebalance | None = None) -> ClusterStatus:
    """The cluster where that one owns share s0001."""
    shares = (("s0001", ShareAssignment(Grant(owner, 1))),)
    return ClusterStatus("a", True, 7, (), shares, (), {}, rebalance=under_way, gave_up=gave_up)


class LevellingCluster:
    """A cluster that is in the next state whenever it is asked, and stays in the last one."""

    def __init__(self, moves: tuple[ShareMove, ...], states: list[ClusterStatus]) -> None:
        self._moves, self._states = moves, states

    def status(self) -> ClusterStatus:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    def decides(self) -> bool:
        return True

    def drain(self, controller: str, draining: bool) -> None:
        raise AssertionError("nobody is drained here")

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        return self._moves


Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The status of `steering cluster WORD` while the cluster goes through states, and what it says."""
    monkeypatch.setattr(cluster, "LOOK", 0.01)
    tmp_path.chmod(0o700)
    (tmp_path / "token").write_text(TOKEN + "\n")

    def run(word: str, moves: tuple[ShareMove, ...], *states: ClusterStatus) -> tuple[int, list[str]]:
        with ExitStack() as stack:
            application = north(cluster=LevellingCluster(moves, list(states))).application
            url = stack.enter_context(contextmanager(serve)(application))
            credentials.write_rest_url(tmp_path, url)
            status = main(["cluster", word, "--state-dir", str(tmp_path)])
        out, err = capsys.readouterr()
        return status, (out + err).splitlines()

    return run


ONE = (ShareMove("s0001", "a", "b"),)
DONE = ["s0001 will move from a to b", "s0001 is b's now", "the load is level"]


def test_the_load_is_level_when_the_share_was_taken(command: Command) -> None:
    assert command("rebalance", ONE, state("a", BETWEEN), state("b", MOVE), state("b")) == (0, DONE)


def test_a_share_that_was_given_up_is_not_moved_though_etcd_has_it(command: Command) -> None:
    status, lines = command("rebalance", ONE, state("b", MOVE), state("b", None, MOVE))
    assert status == 1 and lines[0] == DONE[0]
    assert len(lines) == 2 and lines[1].endswith("the load is not levelled: not moved: s0001 to b")


def test_what_an_order_before_gave_up_is_none_of_this_one(command: Command) -> None:
    states = state("a", None, MOVE), state("a", BETWEEN), state("b", MOVE), state("b")
    assert command("rebalance", ONE, *states) == (0, DONE)


def test_of_a_share_that_moves_twice_the_last_move_counts(command: Command) -> None:
    moves = ShareMove("s0001", "a", "b"), ShareMove("s0001", "b", "c")
    states = state("b", MOVE), state("b", BETWEEN), state("c", Rebalance("s0001", "c")), state("c")
    status, lines = command("rebalance", moves, *states)
    assert status == 0 and lines[2:] == ["s0001 is c's now", "the load is level"]


def test_the_list_says_what_was_given_up(command: Command) -> None:
    words = "the load is not levelled: b has not taken s0001"
    assert words in command("list", (), state("b", None, MOVE))[1]
    assert words not in command("list", (), state("b"))[1]


def test_the_list_shows_who_is_not_heard(command: Command) -> None:
    members = tuple(ClusterMember(name, f"http://{name}:8080", draining=name != "a") for name in ("a", "b"))
    status, lines = command("list", (), state("a")._replace(members=members, unheard=("b",)))
    shown = {line.split()[0]: line for line in lines if "http://" in line}
    assert status == 0 and "not heard" not in shown["a"] and shown["b"].endswith("draining, not heard")
