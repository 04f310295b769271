"""The state directory: stored values as private files (mode 0600), in a directory that only its owner can write."""

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from steering.store.interface import (
    MOST_BYTES,
    MOST_NAMES,
    StateError,
    StateRefusal,
    checked_name,
    checked_text,
)
from steering.store.private_file import open_private, read_private, refuse, replace_private, write_fresh

LOCK_FILE = "controller.lock"
PROBE_BYTES = 65_536  # more than a controller writes at its start
LEFT_OVER_S = 60.0  # seconds after which an unfinished file belongs to a process that died

_FRESH = re.compile(r"\.[0-9a-f]{16}", re.ASCII)


def default_state_dir() -> Path:
    """/run/steering for root, else `steering` in XDG_RUNTIME_DIR, else ~/.local/state/steering."""
    if os.geteuid() == 0:
        return Path("/run/steering")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "steering" if runtime else Path.home() / ".local" / "state" / "steering"


def prepare(folder: Path) -> None:
    """Make the state directory or a folder in it. Raises StateError where it exists and others can write it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        refuse(error, f"cannot make the state directory {folder}")
    if status.st_uid not in (0, os.geteuid()):
        raise StateError(
            StateRefusal.OTHER_OWNER,
            f"the state directory {folder} is another user's: choose another --state-dir",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateError(
            StateRefusal.OPEN_TO_OTHERS,
            f"the state directory {folder} may be written by others: chmod 700 it or choose another --state-dir",
        )


class StateDirectory:
    """Implements `interface.Store`. `synced`: a value is on the disk when `write` or `create` returns. Otherwise a value
    survives the end of the process, but not always a power failure."""

    def __init__(self, state_dir: Path, synced: bool = False) -> None:
        self.path = state_dir
        self._synced = synced

    def read(self, name: str, most: int = MOST_BYTES) -> str | None:
        path = self.path / checked_name(name)
        try:
            return read_private(path, most, "restore it, or remove it to begin without")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        path = self._place(name)
        replace_private(path, checked_text(name, text) + b"\n", self._synced)
        self._sync(path.parent)

    def create(self, name: str, text: str) -> bool:
        path = self._place(name)
        if os.path.lexists(path):
            return False
        try:
            fresh = write_fresh(path.parent, checked_text(name, text) + b"\n", self._synced)
            try:
                # link() is atomic: of two controllers that start at once one wins, and both read its value.
                os.link(fresh, path)
            finally:
                with suppress(OSError):
                    fresh.unlink()
            self._sync(path.parent)
        except FileExistsError:
            return False
        except OSError as error:
            refuse(error, f"cannot write {path}")
        return True

    def remove(self, name: str) -> None:
        path = self.path / checked_name(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            refuse(error, f"cannot remove {path}")

    def names(self, folder: str = "") -> list[str]:
        path = self.path / checked_name(folder) if folder else self.path
        found = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False):
                        found.append(entry.name)
                    if len(found) >= MOST_NAMES:
                        break
        except FileNotFoundError:
            return []
        except OSError as error:
            refuse(error, f"cannot read {path}")
        return sorted(found)

    def check(self) -> None:
        """Check that only this user or root owns and writes the directory, and that a value can be written now. Raises
        StateError."""
        prepare(self.path)
        try:
            write_fresh(self.path, bytes(PROBE_BYTES)).unlink()
        except OSError as error:
            refuse(error, f"cannot write the state directory {self.path}")

    def sweep(self) -> int:
        """Remove unfinished files of processes that died; their number. Never raises, as such files do no harm."""
        swept = 0
        for folder in (self.path, *(entry for entry in _folders(self.path))):
            with suppress(OSError):
                for entry in list(os.scandir(folder)):
                    old = time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFT_OVER_S
                    if old and _FRESH.fullmatch(entry.name):
                        os.unlink(entry.path)
                        swept += 1
        return swept

    def _place(self, name: str) -> Path:
        path = self.path / checked_name(name)
        prepare(self.path)
        if path.parent != self.path:
            prepare(path.parent)
        return path

    def _sync(self, folder: Path) -> None:
        """With `synced`, write the folder's entries to the disk too. Raises StateError."""
        if not self._synced:
            return
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            refuse(error, f"cannot write {folder}")


def _folders(path: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


class StateLock:
    """Locks a state directory for one controller, until the controller ends or this object is gone. Raises
    StateError where another controller has the lock."""

    def __init__(self, state_dir: Path) -> None:
        prepare(state_dir)
        self._file = os.fdopen(open_private(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT), "r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if error.errno != errno.EWOULDBLOCK:
                refuse(error, f"cannot lock {state_dir / LOCK_FILE}")
            raise StateError(
                StateRefusal.LOCKED,
                f"another controller has the state directory {state_dir}: end it, or choose another --state-dir",
            ) from None

    def release(self) -> None:
        """Release the lock."""
        self._file.close()
