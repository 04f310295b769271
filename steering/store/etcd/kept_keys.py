"""The keys of a `SmallEtcd` that outlive its process: each is a file of the state directory, synced to the disk.

A change of several keys is written to one file first. From then on it counts, whole: what of it has not reached the keys' own files
is done before the next change, or at the next start.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Sequence

from steering.store.etcd.gateway_forms import KeyEvent
from steering.store.interface import StateError, StateRefusal
from steering.store.json_text import damaged, decoded
from steering.store.state_directory import StateDirectory

FOLDER = "keys"
_PENDING = f"{FOLDER}/pending"
ADVICE = "remove it to begin without"
_FILE = re.compile(r"[0-9a-f]{48}", re.ASCII)

KeptChange = tuple[str, str | None]  # a key and its value; None: the key is gone

log = logging.getLogger(__name__)


class KeyFolder:
    """`keeps` says which keys outlive the process; keys and values are ASCII."""

    def __init__(self, directory: StateDirectory, keeps: Callable[[str], bool]) -> None:
        self._directory = directory
        self._keeps = keeps
        self._owed: list[KeptChange] = []  # changes that count and are not in the keys' own files yet

    def load(self) -> dict[bytes, bytes]:
        """The keys that earlier processes kept. Raises StateError, also for a file that this program did not write."""
        self._directory.sweep()
        pending = self._directory.read(_PENDING)
        if pending is not None:
            self._owed = _read(_PENDING, pending)
            self._settle()
        found = {}
        for name in self._directory.names(FOLDER):
            if _FILE.fullmatch(name):
                place = f"{FOLDER}/{name}"
                text = self._directory.read(place)
                for key, value in _read(place, text or "[]"):
                    if value is not None and self._keeps(key):
                        found[key.encode("ascii")] = value.encode("ascii")
        return found

    def keep(self, events: Sequence[KeyEvent]) -> None:
        """Keep changes, all or none. Raises StateError where none of them counts."""
        changes = [change for event in events if self._keeps((change := _change(event))[0])]
        if not changes:
            return
        self._settle()
        if len(changes) == 1:
            self._write(changes[0])
            return
        self._directory.write(_PENDING, json.dumps(changes))
        self._owed = changes
        try:
            self._settle()
        except StateError as error:
            log.warning("a change is kept, and will be put in its place later: %s", error)

    def _settle(self) -> None:
        """Bring the changes that are owed into the keys' own files. Raises StateError."""
        if self._owed:
            for change in self._owed:
                self._write(change)
            self._directory.remove(_PENDING)
            self._owed = []

    def _write(self, change: KeptChange) -> None:
        key, value = change
        place = f"{FOLDER}/{hashlib.sha256(key.encode('ascii')).hexdigest()[:48]}"
        if value is None:
            self._directory.remove(place)
        else:
            self._directory.write(place, json.dumps([change]))


def _change(event: KeyEvent) -> KeptChange:
    """A key that gets a lease outlives no process."""
    try:
        value = None if event.value is None or event.lease else event.value.decode("ascii")
        return event.key.decode("ascii"), value
    except UnicodeDecodeError:
        raise StateError(StateRefusal.NOT_TEXT, "only ASCII is kept") from None


def _read(place: str, text: str) -> list[KeptChange]:
    """The changes in a file. Raises StateError for one that this program did not write."""
    data = decoded(place, text, ADVICE)
    if not isinstance(data, list) or not all(isinstance(one, list) and len(one) == 2 for one in data):
        raise damaged(place, ADVICE)
    for key, value in data:
        if not _is_text(key) or not (value is None or _is_text(value)):
            raise damaged(place, ADVICE)
    return [(key, value) for key, value in data]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii()
