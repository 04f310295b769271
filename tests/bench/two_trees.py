"""`steering bench --against COMMIT`: the same parts in a worktree of that commit and in this tree, in interleaved rounds.

Each tree is measured by its own benchmark: controller and generator belong together. So a figure whose measurement was
changed between the two is not to be compared.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import comparison, report
from tests.bench.checkouts import checked_out, commit_of, described
from tests.bench.machines import BenchError

Json = dict[str, Any]
Say = Callable[[str], None]

ROUNDS = 5
# Parts that measure work of the controller alone, in some minutes.
USUAL = ("setup", "decision", "resync", "memory")
BENCH_LIMIT_S = 3600.0  # of one tree's benchmark, whose parts have shorter limits of their own
ENDING_S = 20.0  # for a benchmark that was told to end, to end its controllers
WHAT_IT_KNOWS = (
    "import json, steering, tests.bench.suite as suite; print(json.dumps([steering.__file__, suite.PARTS]))"
)


class Tree(NamedTuple):
    """A checkout, the parts that its benchmark knows, and the options."""

    path: Path
    parts: frozenset[str]
    options: frozenset[str]


def run(root: Path, args: argparse.Namespace, say: Say, written: Path, bound: float) -> int:
    """Compare the tree at `root` with `args.against`; 1 if a key is worse or nothing could be compared, 2 for a commit that
    is not there. `written`: where the JSON goes. `bound`: a ratio of processor time above it is worse."""
    try:
        commit = commit_of(root, args.against)
    except BenchError as error:
        print(f"steering bench: --against: {error}", file=sys.stderr)
        return 2
    try:
        with checked_out(root, commit) as tree:
            found = {"then": commit, "now": described(root), "machine": report.machine()}
            found |= _rounds(tree, root, args, say)
    except BenchError as error:
        print(f"steering bench: {error}", file=sys.stderr)
        return 1
    found |= {"worse_than": bound, "worse": comparison.worse(found["keys"], bound)}
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(report.columns(list(comparison.table(found, bound)))))
    print("\n".join(comparison.notes(found, bound)))
    print(f"all rounds are in {written}")
    return 1 if found["worse"] or not found["keys"] else 0


def _rounds(earlier: Path, root: Path, args: argparse.Namespace, say: Say) -> Json:
    """All rounds of both, compared. Raises BenchError."""
    trees = {"then": _tree(earlier), "now": _tree(root)}
    asked = USUAL if args.only is None else tuple(args.only.split(","))
    parts = [part for part in asked if all(part in tree.parts for tree in trees.values())]
    left_out = [f"the earlier commit has no part {part!r}: left out" for part in asked if part not in parts]
    if not parts:
        raise BenchError(f"nothing to compare: {'; '.join(left_out)}")
    wanted = [] if args.fast_path else ["--no-fast-path"]
    wanted += ["--quick"] if args.quick else []
    for name, tree in trees.items():
        left_out += [f"{name}: no option {word}: left out" for word in wanted if word not in tree.options]
    found: dict[str, list[dict[str, float]]] = {"then": [], "now": []}
    rounds = args.rounds or ROUNDS
    for number in range(rounds):
        # Whoever comes first takes turns.
        for name in ("then", "now") if number % 2 == 0 else ("now", "then"):
            tree = trees[name]
            words = ["--only", ",".join(parts), "--rounds", "1", *(w for w in wanted if w in tree.options)]
            say(f"round {number + 1} of {rounds}, {name}: {', '.join(parts)}")
            measured = _measured(tree.path, words)
            found[name].append(comparison.figures(measured))
            for part, why in measured.get("not_measured", {}).items():
                left_out.append(f"round {number + 1}, {name}: {part} was not measured: {why}")
    result = comparison.compared(found["then"], found["now"])
    return result | {"rounds": rounds, "parts": parts, "left_out": left_out}


def _tree(path: Path) -> Tree:
    """What the benchmark at `path` knows. Raises BenchError."""
    told = json.loads(_output(path, ["-c", WHAT_IT_KNOWS]))
    if not Path(told[0]).resolve().is_relative_to(path.resolve()):
        raise BenchError(f"{path}: Python takes `steering` from {told[0]}")
    helped = _output(path, ["-m", "steering", "bench", "--help"])
    return Tree(path, frozenset(told[1]), frozenset(re.findall(r"--[a-z-]+", helped)))


def _measured(tree: Path, words: Sequence[str]) -> Json:
    """The JSON of one run of a tree's benchmark. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="st-round-") as place:
        written = Path(place) / "bench.json"
        _output(tree, ["-m", "steering", "bench", *words, "--json", str(written)], may_fail=True)
        if not written.exists():
            raise BenchError(f"{tree}: the benchmark wrote nothing")
        found: Json = json.loads(written.read_text())
        return found


def _output(tree: Path, words: Sequence[str], may_fail: bool = False) -> str:
    """What this interpreter prints that runs in a tree, with that tree's packages and our virtual environment's. Whatever
    happens here, it is told to end and waited for: it has controllers of its own to end. Raises BenchError."""
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches it by us, and once
    )
    try:
        out, err = process.communicate(timeout=BENCH_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{tree}: not done after {BENCH_LIMIT_S:.0f} s") from None
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=ENDING_S)
            process.kill()
            process.wait()
    # A benchmark of which a part could not be measured ends with 1 and says why in its JSON.
    if process.returncode and not (may_fail and process.returncode == 1):
        raise BenchError(f"{tree}: {(err.strip().splitlines() or ['failed'])[-1]}")
    return out
