"""Builds a distribution from a copy of the tree with setuptools, offline, and takes what it needs from this virtual environment."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "steering",
    "topologies",
    "policies",
    "tests/__init__.py",
    "tests/bench",
    "tests/support",
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
            (tree / part).parent.mkdir(exist_ok=True)
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


def needed(name: str) -> dict[str, Distribution]:
    """What the distribution `name` needs, and what that needs, by name; extras are left out."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        for line in distribution(waiting.pop()).requires or ():
            requirement = Requirement(line)
            wanted = requirement.name.lower().replace("_", "-")
            if wanted not in found and (
                requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            ):
                found[wanted] = distribution(wanted)
                waiting.append(wanted)
    return found


def copy_files(of: Distribution, folder: Path) -> None:
    """The installed files of a distribution that stand in site-packages. One that Debian installed lists its modules only."""
    modules = (of.read_text("top_level.txt") or "").split()
    listed = of.files or [
        PackagePath(path.relative_to(str(of.locate_file(""))))
        for module in modules
        for path in Path(str(of.locate_file(module))).rglob("*")
    ]
    assert listed, of.name
    for file in listed:
        source = Path(str(of.locate_file(file)))
        if source.is_file() and file.parts[0] != ".." and file.suffix != ".pyc":
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / file)


def wheel_of(of: Distribution, folder: Path, work: Path) -> None:
    """Make a wheel in `folder` from an installed distribution. `work`: an empty folder."""
    copy_files(of, work)
    name = of.name.replace("-", "_")
    (info,) = [*work.glob("*.dist-info")] or [work / f"{name}-{of.version}.dist-info"]
    info.mkdir(exist_ok=True)
    if not (info / "METADATA").exists():
        (info / "METADATA").write_text(of.read_text("PKG-INFO") or "")
    (info / "WHEEL").write_text(
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files = sorted(path for path in work.rglob("*") if path.is_file() and path.name != "RECORD")
    names = [path.relative_to(work).as_posix() for path in files]
    (info / "RECORD").write_text("".join(f'"{name}",,\n' for name in [*names, f"{info.name}/RECORD"]))
    with zipfile.ZipFile(folder / f"{name}-{of.version}-py3-none-any.whl", "w") as archive:
        for path in [*files, info / "RECORD"]:
            archive.write(path, path.relative_to(work))
