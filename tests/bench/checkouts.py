"""Trees of earlier commits: which commit a name means, and a git worktree of it that is gone afterwards."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.machines import BenchError

GIT_LIMIT_S = 120
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def git(root: Path, *words: str) -> str:
    """What git says of the checkout at `root`, without the last line's end. Raises BenchError."""
    # A hook's GIT_DIR and GIT_INDEX_FILE would lead git to another checkout.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=GIT_LIMIT_S
        )
    except FileNotFoundError:
        raise BenchError("git is missing: apt-get install git") from None
    except subprocess.TimeoutExpired:
        raise BenchError(f"git {words[0]} is not done after {GIT_LIMIT_S} s") from None
    if done.returncode:
        raise BenchError(f"git {words[0]}: {(done.stderr.strip().splitlines() or ['failed'])[0]}")
    return done.stdout.strip()


def commit_of(root: Path, name: str) -> str:
    """The full hash of the commit that `name` means in the checkout at `root`. Raises BenchError."""
    # A tree that was unpacked inside another repository is no checkout of its own.
    if Path(git(root, "rev-parse", "--show-toplevel")).resolve() != root.resolve():
        raise BenchError(f"{root} is not a git checkout of its own")
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    except BenchError:
        raise BenchError(f"no commit {name!r} in this checkout") from None


def described(root: Path) -> str:
    """The commit of the tree at `root`, and whether its files are that commit's; "unknown" for a tree without git."""
    try:
        commit = commit_of(root, "HEAD")
        changed = git(root, "status", "--porcelain", "--untracked-files=no")
    except BenchError:
        return "unknown"
    return commit + (" and changes that are not committed" if changed else "")


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """A worktree of `commit` in a temporary directory. It goes with the context, also after SIGINT and SIGTERM where
    these raise (KeyboardInterrupt). Raises BenchError."""
    place = Path(tempfile.mkdtemp(prefix="st-commit-")).resolve()
    tree = place / "tree"
    try:
        with _undisturbed():
            git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        yield tree
    finally:
        with _undisturbed():
            if (tree / ".git").exists():
                git(root, "worktree", "remove", "--force", str(tree))
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that end a program wait, also for git: half a worktree would stay in the list of worktrees."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
