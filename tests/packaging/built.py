"""Builds a distribution from a copy of the tree with setuptools, offline."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "steering",
    "topologies",
    "policies",
    "setup.cfg",
    "pyproject.toml",
    "README.rst",
    "LICENSE",
    "MANIFEST.in",
)
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def built(folder: Path, what: str) -> Path:
    """`what`: build_wheel or build_sdist. The file that was made in `folder`."""
    tree = folder / "tree"
    tree.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            # Links stay links, as in a checkout.
            shutil.copytree(source, tree / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, tree / part)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, what, str(folder)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]
