"""Builds what packaging/Containerfile says, and starts it, without an engine for containers and without a network.

    unshare --mount --net --pid --fork --kill-child --propagation private python -m tests.packaging.container_build WHEELS FOLDER

Each stage is an overlay of this machine's own root, which is forgotten. Steps run as they stand there, but `apt-get install` only sees whether this
machine has the packages, and pip takes what it needs from the folder WHEELS. FOLDER: an empty one. Root's; prints a line for each thing that held.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "packaging" / "Containerfile"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APT = """\
#!/bin/sh
[ "$1" = install ] || exit 0
shift
for word in "$@"; do
    case $word in -*) continue ;; esac
    dpkg-query -W -f='${db:Status-Status}' "$word" | grep -qx installed || exit 100
done
"""
OPTIONS = {
    "controller": ["--listen", "127.0.0.1:36653", "--rest", "127.0.0.1:0"],
    "relay": ["--source-mode", "transparent", "--port", "36443", "--prefix", "10.9.0.0/24", "--nft"],
}
LONGEST_S = 120.0


class Failed(Exception):
    """A step or a container did not do what it should."""


def steps(text: str) -> list[tuple[str, str]]:
    """The steps of a Containerfile in their order: the word and what stands behind it."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


class Stage:
    """A root that is being built on another one, and what its container is started with."""

    def __init__(self, folder: Path, below: "Stage | None") -> None:
        self.root, self._upper, work = folder / "root", folder / "upper", folder / "work"
        for one in (self.root, self._upper, work):
            one.mkdir(parents=True)
        self._layers: list[Path] = [] if below is None else [below._upper, *below._layers]
        self.user: str = "root" if below is None else below.user
        self.folder: str = "/" if below is None else below.folder
        self.entry: list[str] = []
        self.health: list[str] = []
        lower = ":".join(map(str, [*self._layers, "/"]))
        call(
            "mount",
            "-t",
            "overlay",
            "overlay",
            "-o",
            f"lowerdir={lower},upperdir={self._upper},workdir={work}",
            str(self.root),
        )
        for name in ("dev", "run", "tmp"):
            call("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(self.root / name))
        for name in ("null", "urandom"):
            (self.root / "dev" / name).touch()
            call("mount", "--bind", f"/dev/{name}", str(self.root / "dev" / name))
        call("mount", "-t", "proc", "proc", str(self.root / "proc"))

    def command(self, words: Sequence[str]) -> list[str]:
        """What runs these words in there, as its user, in its folder and with nothing of our environment."""
        inside = ["env", "-i", f"--chdir={self.folder}", f"PATH={PATH}", "LC_ALL=C.UTF-8", "PIP_CONFIG_FILE=/dev/null",
                  "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/tmp/wheels", "PIP_NO_COMPILE=1"]  # fmt: skip
        if self.user != "root":
            inside += ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        return ["chroot", str(self.root), *inside, *words]

    def do(self, word: str, rest: str, stages: dict[str, "Stage"], wheels: Path) -> None:
        """One step but FROM and ARG."""
        if word == "RUN":
            self._run(rest, wheels)
        elif word == "COPY":
            *sources, target = shlex.split(rest)
            here = ROOT
            if sources[0].startswith("--from="):
                here = stages[sources.pop(0).removeprefix("--from=")].root
            copy([here / source.lstrip("/") for source in sources], self.root / self._inside(target))
        elif word == "WORKDIR":
            self.folder = rest
            (self.root / self._inside("")).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            self.user = rest
        elif word == "ENTRYPOINT":
            self.entry = json.loads(rest)
        elif word == "HEALTHCHECK":
            self.health = json.loads(rest[rest.index("CMD") + 3 :])
        elif word not in ("VOLUME", "EXPOSE"):
            raise Failed(f"{word} is a step that is not known here")

    def _inside(self, path: str) -> str:
        """A path of the root, from the step's own folder where it is relative."""
        return os.path.join(self.folder, path).lstrip("/")

    def _run(self, line: str, wheels: Path) -> None:
        apt, there = self.root / "usr/local/sbin/apt-get", self.root / "tmp/wheels"
        apt.write_text(APT)
        apt.chmod(0o755)
        there.mkdir(exist_ok=True)
        call("mount", "--bind", str(wheels), str(there))
        try:
            call(*self.command(["/bin/sh", "-c", line]))
        finally:
            call("umount", str(there))
            apt.unlink()


def call(*words: str) -> str:
    """What a command prints. Raises Failed with all that it said."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(
            f"{shlex.join(words)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def copy(sources: Sequence[Path], target: Path) -> None:
    """As COPY does: the content of a folder, or files into a folder."""
    for source in sources:
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=ignored)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def build(folder: Path, wheels: Path) -> dict[str, Stage]:
    """All stages by name."""
    stages: dict[str, Stage] = {}
    stage = None
    for word, rest in steps(FILE.read_text()):
        if word == "FROM":
            below, _, name = rest.partition(" AS ")
            stage = stages[name] = Stage(folder / name, stages.get(below))
        elif word != "ARG":
            if stage is None:
                raise Failed(f"{word} stands before the first stage")
            stage.do(word, rest, stages, wheels)
    return stages


def start_controller(stage: Stage, folder: Path) -> None:
    """Start it with the package's examples as /etc/steering, until its health check passes; then end it."""
    etc = stage.root / "etc/steering"
    etc.mkdir()
    shutil.copy(ROOT / "packaging/etc/policy.yaml", etc / "policy.yaml")
    shutil.copy(ROOT / "packaging/etc/site.yaml.example", etc / "site.yaml")
    log = folder / "controller.log"
    with log.open("w") as told:
        started = subprocess.Popen(
            stage.command([*stage.entry, *OPTIONS["controller"]]),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
        )
    try:
        until = time.monotonic() + LONGEST_S
        while subprocess.run(stage.command(stage.health), capture_output=True, check=False).returncode:
            if started.poll() is not None or time.monotonic() > until:
                raise Failed(f"the controller is not healthy:\n{log.read_text()}")
        status = (stage.root / f"proc/{started.pid}/status").read_text()
        (uid,) = re.findall(r"^Uid:\t(\d+)", status, re.M)
        wanted = call(*stage.command(["id", "-u"])).strip()
        if uid != wanted or uid == "0":
            raise Failed(f"the controller runs as user {uid}")
        print("container: the controller serves as its own user, and its health check passes", flush=True)
        started.send_signal(signal.SIGTERM)
        if started.wait(LONGEST_S):
            raise Failed(f"the controller ended with status {started.returncode}:\n{log.read_text()}")
        print("container: it ends when it is told to", flush=True)
    finally:
        if started.poll() is None:
            started.kill()
            started.wait()


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or os.geteuid() != 0:
        print("steering: WHEELS and FOLDER are wanted, as root", file=sys.stderr)
        return 2
    wheels, folder = (Path(argument).resolve() for argument in arguments)
    call("ip", "link", "set", "lo", "up")
    # Layers of overlays may not lie in an overlay, so they are in memory.
    call("mount", "-t", "tmpfs", "tmpfs", str(folder))
    try:
        stages = build(folder, wheels)
        print("container: controller and relay are built", flush=True)
        start_controller(stages["controller"], folder)
        relay = stages["relay"]
        if "10.9.0.0/24" not in call(*relay.command([*relay.entry, *OPTIONS["relay"]])):
            raise Failed("the relay does not say its rules")
        print("container: the relay runs")
    except Failed as failed:
        print(f"container: FAILED: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
