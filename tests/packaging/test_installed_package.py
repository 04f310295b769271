"""The Debian package, built from the packages of this virtual environment, then installed, used, upgraded and removed.

test_fresh_root.py does the same in a root that debootstrap made, `make deb-test` also with what pip downloads. Here the root is this machine's
own under an overlay, without a network.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = Path("usr/lib/steering")

pytestmark = pytest.mark.timeout(600)  # some twenty seconds of CPU


@pytest.fixture(scope="module")
def unpacked(build: Path) -> Iterator[Path]:
    """The package's files, and its control files in DEBIAN."""
    (package,) = build.glob("steering_*.deb")
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(build / "unpacked")], check=True)
    yield build / "unpacked"
    shutil.rmtree(build / "unpacked")


def test_it_is_installed_used_upgraded_and_removed(build: Path) -> None:
    done = subprocess.run(
        [str(ROOT / "packaging" / "deb-test.sh"), "--here"],
        env=os.environ | {"STEERING_BUILD": str(build)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    held = [line.split(":")[1].strip().split(" ")[0] for line in done.stdout.splitlines()]
    assert held == ["installed", "the", "root's", "upgraded", "removed"]
    assert sorted(path.name for path in build.iterdir() if path.name.startswith("deb-test.")) == []


def test_nothing_in_it_names_the_place_where_it_was_built(build: Path, unpacked: Path) -> None:
    command = ["grep", "-rlaF", "-e", str(build), str(unpacked)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    for program in (unpacked / HOME / "bin").iterdir():
        if program.is_file() and not program.is_symlink():
            first = program.read_bytes().split(b"\n")[0]
            assert not first.startswith(b"#!") or first == b"#!/usr/lib/steering/bin/python", program


def test_its_control_files_fit_its_files(unpacked: Path) -> None:
    control = (unpacked / "DEBIAN" / "control").read_text()
    fields = dict(re.findall(r"^([A-Z][\w-]+): (.*)$", control, re.M))
    assert not re.search(r"@[A-Z]+@", control), "a place of the template was left as it was"
    assert {"Package", "Version", "Architecture", "Maintainer", "Depends", "Description"} <= fields.keys()
    done = subprocess.run(
        ["md5sum", "--check", "--quiet", "DEBIAN/md5sums"],
        cwd=unpacked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for conffile in (unpacked / "DEBIAN" / "conffiles").read_text().split():
        assert (unpacked / conffile.lstrip("/")).is_file()
    assert not [path for path in unpacked.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    for page in (unpacked / "usr/share/man/man1").iterdir():
        assert page.suffix == ".gz" and page.stat().st_size > 200
