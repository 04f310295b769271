"""The Debian package in a fresh root that debootstrap made, with what Debian's mirror has: installed, used, upgraded and removed, and then led by
the first page of the book to a session.

Where no mirror is reached there is no such root: what would be installed is looked up among this machine's packages.
"""

import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import fifteen_minutes

ROOT = Path(__file__).resolve().parents[2]
MIRROR = "http://deb.debian.org/debian"
# What the mirror stopped to give, or gave too slowly (first_session.LONGEST_S).
LOST = re.compile(
    r"Failed getting|Couldn't download|Failed to fetch|Unable to fetch"
    r"|not over after \d+ s\s+deb-test: FAILED: the page does not install"
)
TOO_LONG = 124  # as timeout(1) has it
HOLD = 'mount -t tmpfs -o size=4g tmpfs "$1" && echo mounted && exec cat'
# However a test ends, the processes that it started in the root end too.
TOGETHER = ["unshare", "--pid", "--fork", "--kill-child"]
# The controller's port is nobody else's, and the package needs no network.
OFFLINE = [*TOGETHER, "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "offline"]

pytestmark = pytest.mark.timeout(900)  # a minute, where the mirror is near


class FreshRoot(NamedTuple):
    """A root in memory, in a mount namespace of its own. `enter`: begins a command there."""

    root: Path
    enter: list[str]


def run(command: list[str], build: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"STEERING_BUILD": str(build)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def is_reached() -> bool:
    """Whether Debian's mirror answers."""
    ask = [
        "curl",
        "--silent",
        "--fail",
        "--max-time",
        "20",
        "--output",
        "/dev/null",
        f"{MIRROR}/dists/bookworm/InRelease",
    ]
    return subprocess.run(ask, check=False).returncode == 0


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshRoot | None]:
    """None where the mirror is not reached, or stops to be."""
    if not is_reached():
        yield None
        return
    folder = tmp_path_factory.mktemp("fresh")
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOLD, "hold", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"mounted\n"
        enter = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", f"--wd={ROOT}"]
        make = [
            "debootstrap",
            "--variant=minbase",
            "--include=python3,adduser",
            "bookworm",
            str(folder / "root"),
            MIRROR,
        ]
        made = run([*enter, "timeout", "300", *make], folder)
        lost = made.returncode == TOO_LONG or LOST.search(made.stdout + made.stderr)
        assert made.returncode == 0 or lost, made.stdout[-2000:] + made.stderr
        yield None if lost else FreshRoot(folder / "root", enter)
        assert holder.stdin is not None
        holder.stdin.close()


def held(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines that `deb-test.sh` prints, without times."""
    assert done.returncode == 0, done.stdout + done.stderr
    return [re.sub(r", \d+ s$", "", line.removeprefix("deb-test: ")) for line in done.stdout.splitlines()]


def are_known(names: list[str]) -> bool:
    """Whether this machine has packages of these names. The run's summary says that this was asked instead of a fresh root."""
    warnings.warn(f"no fresh root from {MIRROR}: only names were looked up", stacklevel=2)
    return subprocess.run(["dpkg-query", "--show", *names], capture_output=True, check=False).returncode == 0


def test_it_is_installed_used_upgraded_and_removed(build: Path, fresh: FreshRoot | None) -> None:
    if fresh is None:
        (package,) = build.glob("steering_*.deb")
        depends = run(["dpkg-deb", "--field", str(package), "Depends"], build).stdout
        assert are_known(re.findall(r"(?:^|, )([a-z0-9.+-]+)", depends)), depends
        return
    script = ["packaging/deb-test.sh", str(fresh.root), "package"]
    words = [line.split(":")[0].split(" ")[0] for line in held(run([*fresh.enter, *OFFLINE, *script], build))]
    assert words == ["installed", "the", "root's", "upgraded", "removed"]


def test_the_first_page_leads_from_the_package_to_a_session(build: Path, fresh: FreshRoot | None) -> None:
    done = None
    if fresh is not None:
        done = run([*fresh.enter, *TOGETHER, "packaging/deb-test.sh", str(fresh.root), "page"], build)
    if done is None or (done.returncode and LOST.search(done.stderr)):
        names = fifteen_minutes.installation().split(".deb ", 1)[1].split()
        assert names and are_known(names)
        return
    assert held(done) == [
        "installed as the page says", "the page leads from there to a session of two subflows",
    ]  # fmt: skip
