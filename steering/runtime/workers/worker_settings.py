"""The word in the environment by which the parent makes the command `steering run --workers N` one of its N workers. The word is still there
when the worker begins anew in the same process."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from steering.cluster.shares import worker_names
from steering.runtime.settings import ClusterSettings, ListenAddress, Settings, SettingsError

WORKER = "STEERING_WORKER"  # the variable; its value is NUMBER:FOLDER
STATE = "workers"  # the folder in the state directory for the files of the parent, and of all workers but the first
CELL = "workers"
STORE = "store"  # the socket of the parent's store, in the folder of sockets


def place_of(number: int, sockets: Path) -> str:
    """The word that makes a process worker `number`, from 1 on."""
    return f"{number}:{sockets}"


def worker_of(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings of the worker that the environment names. Raises SettingsError."""
    number, colon, folder = environ[WORKER].partition(":")
    if not colon or not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= settings.workers:
        raise SettingsError(f"{WORKER} is set by the parent of workers alone: unset it")
    return worker(settings, int(number), Path(folder))


def worker(settings: Settings, number: int, sockets: Path) -> Settings:
    """The settings of worker `number`. The first one has the REST interface and the state directory of the command."""
    cluster = ClusterSettings(
        f"unix:{sockets / STORE}", worker_names(settings.workers)[number - 1], CELL, shares=settings.workers,
        sockets=sockets,
    )  # fmt: skip
    if number == 1:
        return replace(settings, cluster=cluster)
    return replace(
        settings,
        cluster=cluster,
        rest=ListenAddress("127.0.0.1", 0),
        rest_tls=None,
        page=False,
        state_dir=settings.state_dir / STATE / str(number),
    )
