"""The files of this tree, and what is found in their texts."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import layers

ROOT = layers.ROOT
LEFT_OUT = frozenset({"build", "LICENSE"})


def tracked() -> list[Path]:
    """Files that belong to the project: what git tracks or would add, or without git what is in the tree."""
    found = _listed_by_git()
    # No git on a fresh machine; and inside somebody else's repository git may know nothing of us.
    if ROOT / "setup.cfg" not in found:
        found = [Path(top) / name for top, folders, names in _walk() for name in names]
    return sorted(path for path in found if path.is_file() and path.name not in LEFT_OUT)


def _listed_by_git() -> list[Path]:
    git = shutil.which("git")
    if git is None:
        return []
    # The owner of a checkout need not be who tests it; git refuses such trees unless told.
    listed = subprocess.run(
        [git, "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def _walk() -> Iterator[tuple[str, list[str], list[str]]]:
    for top, folders, names in os.walk(ROOT):
        folders[:] = [
            folder
            for folder in folders
            if folder not in LEFT_OUT
            and not folder.startswith((".venv", ".git", ".mypy", ".ruff", ".pytest", ".hypothesis"))
            and folder != "__pycache__"
            and not folder.endswith(".egg-info")
        ]
        yield top, folders, names


def text_of(path: Path) -> str:
    """A file's text; a binary file (a capture) reads as nothing."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", "replace")


def findings(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """`file:line: what` for every match."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), 1)
        for match in pattern.finditer(line)
    ]
