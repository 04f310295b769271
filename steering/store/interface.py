"""The interface of a store of values that outlive a controller, and its refusals.

A value is a text of bounded size under a name. A name is one word such as `acl.json`, or a folder and a word such as
`policies/3.json`. `StateDirectory` keeps values as files, `etcd.etcd_store.EtcdStore` in etcd, `MemoryStore` in memory for as long as the
process lives. `tests/support/store_contract.py` says what every implementation has to do.
"""

import re
from enum import StrEnum
from typing import Protocol

MOST_BYTES = 32 << 20  # bytes of one value
MOST_NAMES = 100_000  # names that one listing returns

_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)


class StateRefusal(StrEnum):
    """Why a value is not read or not written."""

    LINK = "link"  # a symbolic link is in its place
    NOT_A_FILE = "not-a-file"  # a directory, a FIFO, a device
    OTHER_OWNER = "other-owner"
    OPEN_TO_OTHERS = "open-to-others"
    TOO_LARGE = "too-large"
    NOT_TEXT = "not-text"  # not ASCII
    TOO_DEEP = "too-deep"  # JSON within JSON beyond the bound
    DAMAGED = "damaged"  # a text that this program does not write under that name
    NO_SPACE = "no-space"  # full disk, quota or file-size limit
    LOCKED = "locked"  # another controller has the state
    UNREACHABLE = "unreachable"  # etcd has no majority, or no endpoint answers
    INPUT_OUTPUT = "input-output"  # any other error of the system


class StateError(Exception):
    """A value or a whole store that cannot be used. The message is one line that says what to do."""

    def __init__(self, refusal: StateRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class Store(Protocol):
    """Named values. Every method raises StateError, and ValueError for a text that cannot be a name."""

    def read(self, name: str, most: int = MOST_BYTES) -> str | None:
        """A value without leading and trailing white space, None where there is none. `most`: the most bytes it may have."""

    def write(self, name: str, text: str) -> None:
        """Put a value in place of an earlier one. Afterwards either the whole new value or the whole old one is there."""

    def create(self, name: str, text: str) -> bool:
        """Put a value where there is none. False where there is one, which stays unchanged."""

    def remove(self, name: str) -> None:
        """Remove a value, if there is one."""

    def names(self, folder: str = "") -> list[str]:
        """The names in a folder without the folder's own, sorted; "": the names outside folders."""


def checked_name(name: str) -> str:
    """The name itself. Raises ValueError for a text that cannot be a name, for example a path out of the store."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a kept value")
    return name


def checked_text(name: str, text: str) -> bytes:
    """A value's bytes. Raises StateError for a value that could not be read back: not ASCII, or too long."""
    if not text.isascii():
        raise StateError(StateRefusal.NOT_TEXT, f"{name} is not kept: it is not ASCII")
    if len(text) > MOST_BYTES:
        raise StateError(StateRefusal.TOO_LARGE, f"{name} is not kept: it is larger than {MOST_BYTES} bytes")
    return text.encode("ascii")
