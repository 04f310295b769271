"""`steering bench --against`: two small trees in a repository of the test's own, whose benchmarks find what their files say."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench import comparison
from tests.bench.checkouts import git

ROOT = Path(__file__).resolve().parents[2]
COST = "measured.steering_setup.cpu_us"
# A tree's benchmark: it knows what costs.json says, and waits, with a process of its own, while `wait` is there.
SUITE = """
import json
from pathlib import Path
TREE = Path(__file__).resolve().parents[2]
PARTS = json.loads((TREE / "costs.json").read_text())["parts"]
"""
COMMAND = """
import json, signal, subprocess, sys
from tests.bench.suite import PARTS, TREE
told = json.loads((TREE / "costs.json").read_text())
if "--help" in sys.argv:
    sys.exit(print("options: " + " ".join(told["options"])))
assert "--no-fast-path" not in sys.argv or "--no-fast-path" in told["options"]
if told.get("waits"):
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    place = TREE.parent.parent
    try:
        (place / "part").write_text(str(child.pid))
        (place / "part").rename(place / "waiting")
        child.wait()
    finally:
        child.kill()
        child.wait()
        (place / "ended").touch()
cost = told["costs"].pop(0)
(TREE / "costs.json").write_text(json.dumps(told))
found = {"quick": False, "seconds": 3, "measured": {"steering_setup": {"cpu_us": cost, "rate": 1e6 / cost}}, **told["more"]}
open(sys.argv[sys.argv.index("--json") + 1], "w").write(json.dumps(found))
"""
RUN = """
import sys
from tests.bench import suite
from pathlib import Path
suite.ROOT = Path(sys.argv[1])
from steering.cli.main import main
sys.exit(main(["bench", *sys.argv[2:]]))
"""


class Repository:
    """A repository with one commit, and a tree with other costs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.parent / "temporary"
        self.temporary.mkdir()
        for name, text in {
            "steering/__init__.py": "",
            "steering/__main__.py": COMMAND,
            "tests/bench/suite.py": SUITE,
        }.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)

    def costs(self, *costs: float, **others: object) -> None:
        """What the tree's benchmark will find, round by round."""
        told = {"parts": ["setup"], "options": ["--quick"], "more": {}, "costs": costs}
        (self.path / "costs.json").write_text(json.dumps(told | others))

    def commit(self) -> str:
        """What is there now, as a commit."""
        git(self.path, "init", "--quiet")
        git(self.path, "add", ".")
        git(
            self.path, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "one"
        )
        return git(self.path, "rev-parse", "HEAD")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`steering bench` of this tree, for the small one."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.path), *words],
            cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def bench(self, *words: str) -> tuple[int, str, str]:
        """Its exit status, what it printed, and its complaints."""
        process = self.start("--only", "setup", "--json", str(self.path.parent / "found.json"), *words)
        out, err = process.communicate(timeout=100)
        return process.returncode, out, err

    def found(self) -> dict[str, object]:
        """What the last one wrote."""
        told: dict[str, object] = json.loads((self.path.parent / "found.json").read_text())
        return told

    def nothing_is_left(self) -> bool:
        """No worktree, and nothing in the directory for what is temporary."""
        return len(git(self.path, "worktree", "list").splitlines()) == 1 and not any(self.temporary.iterdir())


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.costs(10.0, 12.0, 11.0)
    made.commit()
    return made


def test_rounds_of_both_trees_are_compared_by_their_best(repository: Repository) -> None:
    repository.costs(13.0, 30.0, 12.0)
    status, out, err = repository.bench("--against", "HEAD", "--rounds", "3")
    assert status == 0, err
    found = repository.found()
    assert found["keys"][COST] == {  # type: ignore[index]
        "then": {"median": 11.0, "best": 10.0, "all": [10.0, 12.0, 11.0]},
        "now": {"median": 13.0, "best": 12.0, "all": [13.0, 30.0, 12.0]},
        "ratio": 1.2,
        "judged": True,
    }
    assert found["worse"] == [] and found["now"].endswith("and changes that are not committed")  # type: ignore[attr-defined]
    order = [line.split(", ")[1].split(":")[0] for line in err.splitlines() if "round " in line]
    assert order == ["then", "now", "now", "then", "then", "now"], "whoever comes first takes turns"
    assert COST in out and repository.nothing_is_left()


@pytest.mark.parametrize(("bound", "status"), [([], 1), (["--worse-than", "1.4"], 0)])
def test_a_cost_that_rose_by_a_third_is_worse(repository: Repository, bound: list[str], status: int) -> None:
    repository.costs(13.3, 13.4, 13.3)
    ended, out, _err = repository.bench("--against", "HEAD", "--rounds", "3", *bound)
    assert ended == status and repository.found()["worse"] == ([COST] if status else [])
    assert ("WORSE" in out.split("Best:")[0]) == bool(status)


def test_an_old_commit_that_knows_less_is_compared_by_what_both_have(repository: Repository) -> None:
    repository.costs(
        10.0, more={"bytes_per_session": 400}, options=["--quick", "--no-fast-path"], parts=["setup", "new"]
    )
    words = ["--against", "HEAD", "--rounds", "1", "--no-fast-path", "--only", "setup,memory"]
    status, out, err = repository.bench(*words)
    assert status == 0, err
    assert repository.found()["only_now"] == ["bytes_per_session"] and repository.found()["only_then"] == []
    assert "only this tree has: bytes_per_session" in out
    assert "then: no option --no-fast-path: left out" in out and "has no part 'memory'" in out


def test_what_is_no_commit_and_no_checkout_is_refused(repository: Repository) -> None:
    for name in ("no-such-commit", "--help"):
        status, out, err = repository.bench(f"--against={name}")
        assert (status, out) == (2, "") and f"no commit '{name}' in this checkout" in err
    for path in (repository.path / ".git").rglob("*"):
        path.unlink() if path.is_file() else None
    (repository.path / ".git" / "HEAD").unlink(missing_ok=True)
    status, _out, err = repository.bench("--against", "HEAD")
    assert status == 2 and err.startswith(
        "steering bench: --against: git rev-parse: fatal: not a git repository"
    )


def test_a_tree_inside_another_repository_is_no_checkout(repository: Repository, tmp_path: Path) -> None:
    inside = Repository(repository.path / "unpacked")
    inside.costs(10.0)
    status, _out, err = inside.bench("--against", "HEAD")
    assert status == 2 and "is not a git checkout of its own" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_ended_comparison_leaves_no_worktree_and_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    repository = Repository(tmp_path / "repository")
    repository.costs(10.0, waits=True)
    repository.commit()
    process = repository.start("--against", "HEAD", "--only", "setup")
    waiting = repository.temporary / "waiting"  # the benchmark of the earlier commit is at work
    limit = time.monotonic() + 60
    while not waiting.exists():
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.05)
    controller = Path("/proc") / waiting.read_text().strip()
    waiting.unlink()
    assert controller.exists() and not repository.nothing_is_left()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    (repository.temporary / "ended").unlink()  # its own benchmark had the time to end its processes
    assert not controller.exists() and repository.nothing_is_left()


def test_figures_are_numbers_by_name_whatever_else_a_run_wrote() -> None:
    found = {
        "machine": {"cores": 2}, "quick": True, "seconds": 9.0, "testcontroller_missing": None, "setup_vs_naive": 9.5,
        "measured": {"steering_syn": {"rate": 5.0, "p50_us": 2.0, "cpu_us": 40.0}},
        "stalls": [{"meanwhile": "link", "lost": 1}],
        "decision_us": [{"switches": 20, "mcps": 2, "decide_us": 1.5}],
    }  # fmt: skip
    assert comparison.figures(found) == {
        "setup_vs_naive": 9.5, "measured.steering_syn.rate": 5.0, "measured.steering_syn.cpu_us": 40.0,
        "stalls[link].lost": 1, "decision_us[20 2].decide_us": 1.5,
    }  # fmt: skip


def test_the_best_of_a_rate_is_its_most_and_none_is_judged() -> None:
    then, now = [{"a.rate": 4.0, "lost": 0.0}, {"a.rate": 8.0, "lost": 0.0}], [{"a.rate": 2.0, "lost": 1.0}]
    keys = comparison.compared(then, now)["keys"]
    assert keys["a.rate"]["then"]["best"] == 8.0 and keys["a.rate"]["ratio"] == 0.25
    assert keys["lost"]["ratio"] is None and comparison.worse(keys, 1.0) == []
