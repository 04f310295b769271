"""Reads and writes private files: state, secrets, logs of sessions and mappings. No other module of the controller does.

A private file is a regular file of this user or root, closed to others and of bounded size. Anything else is refused with a
StateRefusal. Opening never blocks on a FIFO and never follows a symbolic link.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from steering.store.interface import StateError, StateRefusal

MOST_SECRET = 4_096  # bytes
ADVICE_LOG = "remove it, and a new one is begun"
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def refuse(error: OSError, what: str) -> NoReturn:
    """Raises StateError for an error of the system. `what`: the beginning of the message, such as "cannot write
    /run/steering/rest"."""
    refusal = StateRefusal.INPUT_OUTPUT
    if error.errno in _NO_SPACE:
        refusal = StateRefusal.NO_SPACE
    elif error.errno == errno.ELOOP:
        refusal = StateRefusal.LINK
    raise StateError(refusal, f"{what}: {error.strerror}") from None


def open_private(path: Path, how: int, advice: str = "remove it, and a new one is made") -> int:
    """Open a private file; its descriptor. `how`: flags of `os.open`. Raises FileNotFoundError where there is none and `how`
    has no O_CREAT, else StateError."""
    if os.path.islink(path):
        raise StateError(StateRefusal.LINK, f"{path} is a symbolic link: {advice}")
    try:
        descriptor = os.open(path, how | _FLAGS, 0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        # ENXIO: a FIFO without a reader, or a socket, opened for writing. EISDIR: a directory opened for writing.
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise StateError(StateRefusal.NOT_A_FILE, f"{path} is no regular file: {advice}") from None
        refuse(error, f"cannot use {path}")
    try:
        _check(os.fstat(descriptor), path, advice)
    except StateError:
        os.close(descriptor)
        raise
    return descriptor


def _check(status: os.stat_result, path: Path, advice: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise StateError(StateRefusal.NOT_A_FILE, f"{path} is no regular file: {advice}")
    if status.st_uid not in (0, os.geteuid()):
        raise StateError(StateRefusal.OTHER_OWNER, f"{path} is another user's: {advice}")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(status.st_mode)
        raise StateError(StateRefusal.OPEN_TO_OTHERS, f"{path} is open to others (mode {mode:04o}): {advice}")


def read_private(
    path: Path, most: int = MOST_SECRET, advice: str = "remove it, and a new one is made"
) -> str:
    """A file's text without leading and trailing white space. Raises FileNotFoundError where there is none, and StateError
    for a file that is not private, not ASCII, or larger than `most` bytes."""
    with os.fdopen(open_private(path, os.O_RDONLY, advice), "rb") as file:
        try:
            data = file.read(most + 1)
        except OSError as error:
            refuse(error, f"cannot read {path}")
    if len(data) > most:
        raise StateError(StateRefusal.TOO_LARGE, f"{path} is larger than {most} bytes: {advice}")
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise StateError(StateRefusal.NOT_TEXT, f"{path} is not ASCII text: {advice}") from None


def write_fresh(folder: Path, data: bytes, synced: bool = False) -> Path:
    """Write a new private file with a random name in `folder`; its path. A file that cannot be written whole is removed.
    `synced`: the file is on the disk when this returns. Raises OSError."""
    path = folder / f".{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if synced:
                os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    return path


def replace_private(path: Path, data: bytes, synced: bool = False) -> None:
    """Replace a private file by `data`, whole or not at all. `synced` as in `write_fresh`. Raises StateError."""
    try:
        fresh = write_fresh(path.parent, data, synced)
        try:
            os.replace(fresh, path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ENOTDIR):
            raise StateError(StateRefusal.NOT_A_FILE, f"{path} is no regular file: remove it") from None
        refuse(error, f"cannot write {path}")


def append_private(path: Path, data: bytes) -> None:
    """Append lines to a private file, which is made where there is none. Data that cannot be written whole is cut off again. A
    line that a process began and did not end, as it was killed, is ended first. Raises StateError."""
    descriptor = open_private(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, ADVICE_LOG)
    try:
        before = os.fstat(descriptor).st_size
        try:
            is_torn = before and os.pread(descriptor, 1, before - 1) != b"\n"
            left = memoryview(b"\n" + data if is_torn else data)
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, before)
            refuse(error, f"cannot write {path}")
    finally:
        os.close(descriptor)


def lines_of(path: Path, most_line: int, most: int) -> Iterator[str]:
    """The lines of a private file; none where there is no file. At most `most` bytes are read. A line longer than `most_line`
    bytes comes in pieces. Bytes that are not ASCII are replaced. The call itself opens the file, so that a file renamed
    afterwards is still read. Raises StateError."""
    try:
        descriptor = open_private(path, os.O_RDONLY, ADVICE_LOG)
    except FileNotFoundError:
        return iter(())
    return _lines(os.fdopen(descriptor, "rb"), path, most_line, most)


def _lines(opened: BinaryIO, path: Path, most_line: int, most: int) -> Iterator[str]:
    with opened as file:
        read = 0
        try:
            while read < most and (line := file.readline(most_line)):
                read += len(line)
                yield line.decode("ascii", "replace")
        except OSError as error:
            refuse(error, f"cannot read {path}")


def size_of(path: Path) -> int:
    """The size of a file in bytes; 0 where there is none. A symbolic link is not followed."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def rename_private(path: Path, to: Path) -> None:
    """Rename a file, replacing one of that name. Nothing happens where there is no file. Raises StateError."""
    try:
        os.replace(path, to)
    except FileNotFoundError:
        pass
    except OSError as error:
        refuse(error, f"cannot rename {path}")
