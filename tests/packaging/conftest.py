"""A wheel of this tree, made once, and a virtual environment that has only it and what it needs."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.packaging.built import built, copy_files, needed, wheel_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree."""
    return built(tmp_path_factory.mktemp("wheel"), "build_wheel")


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment. Packages that steering needs are those of this interpreter, steering is the wheel's."""
    place = tmp_path_factory.mktemp("venv") / "venv"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run([*command, "--quiet", "--disable-pip-version-check"], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # A .pth line only adds the folder: .pth files in it, by which the checkout is found, are not read.
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that steering needs, as wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, one in needed("steering").items():
        wheel_of(one, folder, tmp_path_factory.mktemp(name))
    return folder


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Debian package, built from the packages of this virtual environment."""
    folder = tmp_path_factory.mktemp("deb")
    packages = folder / "packages"
    for one in needed("steering").values():
        copy_files(one, packages)
    environment = os.environ | {"STEERING_BUILD": str(folder), "STEERING_PACKAGES": str(packages)}
    done = subprocess.run(
        [str(ROOT / "packaging" / "deb.sh")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
