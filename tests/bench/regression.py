"""What the controller's usual work costs in two trees: their controllers run side by side, and are asked in turns.

The number of rounds is fixed beforehand, and two figures come of them. Other work on the machine makes a round dearer, so the least of
a tree's rounds comes nearest to what its code costs; but one lucky round decides it. The median of the rounds' own ratios has no such
luck and more noise. And where a process's memory happens to lie can make all of its rounds dearer. So there are two runs, each with
processes of its own, and work counts as dearer by the smallest of all these ratios: code that is slower is slower in each.
Run by itself: `python -m tests.bench.regression COMMIT`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

from tests.bench.checkouts import checked_out, commit_of, git
from tests.bench.machines import ROOT, BenchError

RUNS, ROUNDS = 2, 10
BOUND = 1.25
ENDING_S = 20.0
WORKER = Path("tests") / "bench" / "costs.py"
Costs = Mapping[str, float]


class Controller:
    """A tree's controller under measurement. It starts at once and is ready later."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.costs"],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"},  # the same luck for both
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        process = self._process
        with suppress(subprocess.TimeoutExpired, BrokenPipeError, ValueError):
            process.communicate(timeout=ENDING_S)  # the end of its stdin is its own
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_S)
        process.kill()
        process.wait()

    def ready(self) -> None:
        """Wait until it has its sessions. Raises BenchError."""
        self._answer()

    def round(self) -> Costs:
        """Microseconds of each kind of work. Raises BenchError."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it says why on stderr
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Costs:
        assert self._process.stdout is not None and self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip().splitlines() or ["it ended"]
            raise BenchError(f"{self._tree}: {said[-1]}")
        told: Costs = json.loads(line)
        return told


def measured(trees: Mapping[str, Path], rounds: int = ROUNDS) -> dict[str, list[Costs]]:
    """What each tree's controller took, round by round, by the trees' names. Raises BenchError."""
    found: dict[str, list[Costs]] = {name: [] for name in trees}
    with ExitStack() as stack:
        controllers = {name: stack.enter_context(Controller(path)) for name, path in trees.items()}
        for one in controllers.values():
            one.ready()
        for number in range(rounds):
            for name in (
                reversed(controllers) if number % 2 else controllers
            ):  # whoever comes first takes turns
                found[name].append(controllers[name].round())
    return found


def ratios(then: Sequence[Costs], now: Sequence[Costs]) -> dict[str, float]:
    """Of what both were measured for: now over then, by the least and by the median of the rounds, whichever is smaller."""
    found = {}
    for key in then[0]:
        if key in now[0]:
            by_least = min(one[key] for one in now) / min(one[key] for one in then)
            by_round = median(after[key] / before[key] for before, after in zip(then, now, strict=True))
            found[key] = round(min(by_least, by_round), 3)
    return found


def dearer_by(then: Path, now: Path) -> dict[str, float]:
    """By kind of work: what a tree's takes, in times of an earlier one's. Raises BenchError."""
    runs = []
    for _ in range(RUNS):
        found = measured({"then": then, "now": now})
        runs.append(ratios(found["then"], found["now"]))
    return {key: min(one[key] for one in runs) for key in runs[0]}


def earlier(root: Path) -> str:
    """The commit to compare the tree with: for changes that are not committed the last commit, on a branch the one of
    `main` that it began at, and the parent otherwise. Raises BenchError where there is none with such a measurement, and
    where its controller is the same as here."""
    commit = _candidate(root)
    if not git(root, "diff", "--name-only", commit, "--", "steering"):
        raise BenchError(f"the controller is the same as in {commit[:12]}")
    if not git(root, "ls-tree", commit, "--", WORKER.as_posix()):
        raise BenchError(f"{commit[:12]} has no {WORKER}")
    return commit


def _candidate(root: Path) -> str:
    head = commit_of(root, "HEAD")
    if git(root, "diff", "--name-only", "HEAD", "--", "steering"):
        return head
    with suppress(BenchError):  # there may be no `main`
        base = git(root, "merge-base", "HEAD", "main")
        if base != head:
            return base
    return commit_of(root, "HEAD^")


def main(name: str) -> None:
    """Compare this tree with a commit, whatever is the same in both."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no worktree is left behind
    with checked_out(ROOT, commit_of(ROOT, name)) as tree:
        print(json.dumps(dearer_by(tree, ROOT)))


if __name__ == "__main__":
    main(sys.argv[1])
