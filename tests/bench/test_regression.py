"""No change makes the controller's usual work dearer by a quarter: set-up, answer to a SYN, join, beside the commit before."""

from pathlib import Path

import pytest

from tests.bench import regression
from tests.bench.checkouts import checked_out, described, git
from tests.bench.machines import ROOT, BenchError

KINDS = {"setup_us", "syn_us", "join_us"}


def test_set_up_syn_answer_and_join_cost_what_they_did_before(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        commit = regression.earlier(ROOT)
    except BenchError as reason:
        (costs,) = regression.measured({"now": ROOT}, rounds=1)["now"]
        with capsys.disabled():
            print(f"\ncompared with nothing: {reason}; this tree: {costs}")
        assert set(costs) == KINDS and all(cost > 1.0 for cost in costs.values())
        return
    with checked_out(ROOT, commit) as tree:
        ratios = regression.dearer_by(tree, ROOT)
    with capsys.disabled():
        print(f"\ncompared with {commit[:12]}: {ratios}")
    assert set(ratios) == KINDS
    dearer = {key: ratio for key, ratio in ratios.items() if ratio > regression.BOUND}
    assert not dearer, f"steering bench --against {commit[:12]} tells more"


class Repository:
    """A repository whose commits each have a controller of another text, and a measurement or none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        git_of = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        self._commit = (*git_of, "commit", "--quiet", "-m", "one")
        path.mkdir()
        git(path, "init", "--quiet", "--initial-branch", "main")

    def commit(self, controller: str, measured: bool = True) -> str:
        """The hash of a commit with this controller."""
        self.change(controller)
        worker = self.path / regression.WORKER
        worker.parent.mkdir(parents=True, exist_ok=True)
        worker.write_text("measure()") if measured else worker.unlink(missing_ok=True)
        git(self.path, "add", "--all")
        git(self.path, *self._commit)
        return git(self.path, "rev-parse", "HEAD")

    def change(self, controller: str) -> None:
        """Without a commit."""
        (self.path / "steering").mkdir(exist_ok=True)
        (self.path / "steering" / "engine.py").write_text(controller)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_a_tree_is_compared_with_its_parent_its_branchs_beginning_or_its_last_commit(
    repository: Repository,
) -> None:
    first, second = repository.commit("1"), repository.commit("2")
    assert regression.earlier(repository.path) == first
    repository.change("changed")
    assert regression.earlier(repository.path) == second
    git(repository.path, "checkout", "--quiet", "-b", "branch")
    repository.commit("3")
    repository.commit("4")
    assert regression.earlier(repository.path) == second


def test_a_measurement_names_its_commit_and_whether_files_differ_from_it(repository: Repository) -> None:
    assert described(repository.path) == "unknown"
    first = repository.commit("1")
    assert described(repository.path) == first
    repository.change("2")
    assert described(repository.path) == f"{first} and changes that are not committed"


def test_there_is_nothing_to_compare_with_before_the_first_commit_and_its_measurement(
    repository: Repository, tmp_path: Path
) -> None:
    def refusal() -> str:
        with pytest.raises(BenchError) as refused:
            regression.earlier(repository.path)
        return str(refused.value)

    assert refusal() == "no commit 'HEAD' in this checkout"
    first = repository.commit("1", measured=False)
    assert refusal() == "no commit 'HEAD^' in this checkout", "as in a clone without history"
    second = repository.commit("2")
    assert refusal() == f"{first[:12]} has no {regression.WORKER}"
    (repository.path / "README").write_text("text")
    git(repository.path, "add", "README")
    assert repository.commit("2") and refusal() == f"the controller is the same as in {second[:12]}"


def test_what_is_dearer_by_its_least_and_by_its_median_is_dearer() -> None:
    then = [
        {"setup_us": 60.0, "join_us": 20.0},
        {"setup_us": 66.0, "join_us": 30.0},
        {"setup_us": 90.0, "join_us": 20.0},
    ]
    slow = [{key: cost * 1.3 for key, cost in one.items()} for one in then]
    assert regression.ratios(then, slow) == {"setup_us": 1.3, "join_us": 1.3}
    assert 1.3 > regression.BOUND


def test_one_lucky_round_and_a_busy_machine_make_nothing_dearer() -> None:
    then = [{"setup_us": 60.0}, {"setup_us": 60.0}, {"setup_us": 40.0}]
    now = [{"setup_us": 61.0}, {"setup_us": 60.0}, {"setup_us": 60.0}]
    assert regression.ratios(then, now)["setup_us"] == 1.017
    assert regression.ratios(
        now, [{"setup_us": 90.0}, {"setup_us": 90.0}, {"setup_us": 62.0, "new_us": 1.0}]
    ) == {"setup_us": 1.033}


def test_a_measurement_that_ends_says_why(tmp_path: Path) -> None:
    worker = tmp_path / regression.WORKER
    worker.parent.mkdir(parents=True)
    worker.write_text("import sys\nprint({}, flush=True)\nsys.stdin.readline()\nsys.exit('no compiler')\n")
    with pytest.raises(BenchError, match="no compiler"):
        regression.measured({"then": tmp_path}, rounds=2)
