"""The records in etcd of what each controller of a cell has counted towards quotas of bytes. Each controller writes its own records, and
reads those of all others.

All pairs of subscriber and access type are divided into parts (core.selection.used_bytes), and a controller has one record for each part.
Records have no lease: the bytes that a controller has counted stay used, even if that controller never comes back.

A controller writes a record only after it was told of all records, and only if nobody has changed the record since. So a controller that
starts goes on from its last records, even with an empty state directory. A controller that was frozen for a while does not overwrite what
another run under its name has counted meanwhile. If somebody deletes records, their quotas begin anew at all controllers.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from steering.cluster.cell import CONTROLLER
from steering.model.kept import USAGE_PAIRS, USAGE_PARTS, KeptUsage, KeptUse
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import KeyChange
from steering.store.kept import DamagedFile, read_usage, usage_text

EACH = 2.0  # seconds between two rounds
MOST_TEXT = 65_536  # most bytes of a record
# Bytes after which a round writes no further record. etcd keeps overwritten values until it compacts its history: some 5 MB an hour for a
# thousand subscribers who send all the time, and at most 120 MB.
MOST_ROUND = 65_536
USAGE_PAGE = 8  # records in one answer of etcd: few, so that an answer is read in a moment

UsageContent = tuple[KeptUse, ...]


def nothing_between() -> None:
    """Do nothing between two records."""


class UsageCounts(Protocol):
    """The used bytes as the engine knows them: those that it has counted itself, and those in the records of all controllers."""

    def unwritten(self) -> Iterable[int]:
        """The parts in which this controller has counted bytes that are in no record yet, in ascending order."""

    def record(self, part: int) -> UsageContent:
        """The content that this controller's record of a part should have."""

    def told(self, controller: str, part: int, used: UsageContent) -> None:
        """A record has another content now. Empty: the record was deleted."""

    def written(self, part: int, used: UsageContent) -> None:
        """The content that `record` returned was written."""


class RecordAttempt(NamedTuple):
    """A record that was sent to etcd. It is not known yet whether etcd has it."""

    text: str
    used: UsageContent


class UsageExchange:
    """`keys`: the records of all controllers, as `<name>/<part>`. `damaged`: the number of values that are no records; instead of these
    the last known content counts. `too_large`: the number of records that were not written, because they would be too long."""

    def __init__(self, keys: Keys, me: str, counts: UsageCounts) -> None:
        self.damaged = 0
        self.too_large = 0
        self._keys = keys
        self._me = me
        self._counts = counts
        self._is_listed = False  # whether etcd has told all records at least once
        # By part, of this controller's records: the revision of the last change, and a hash of what this controller wrote itself.
        self._revisions: dict[int, int] = {}
        self._hashes: dict[int, int] = {}
        self._attempts: dict[int, RecordAttempt] = {}
        self._lost: set[int] = set()  # records of this controller that a new etcd may not have
        self._next = 0  # the part at which the next round begins

    # ---- what is told ---------------------------------------------------------------------------

    def take(
        self, changes: Iterable[KeyChange], is_anew: bool, between: Callable[[], None] = nothing_between
    ) -> None:
        """Take changes of records from the watch of etcd. The first call brings all records. `is_anew`: etcd was set up anew, perhaps
        from an old copy, so that nobody has deleted the records that it lacks. `between`: called after each record."""
        if is_anew:
            self._lost |= self._revisions.keys()
            self._revisions.clear()
            self._hashes.clear()
            self._attempts.clear()
        for change in changes:
            self._take(change, is_anew)
            between()
        self._is_listed = True

    def _take(self, change: KeyChange, is_anew: bool) -> None:
        name, part = self._place(change.key)
        if part is None:
            self.damaged += 1
        elif name != self._me:
            used = () if change.text is None else self._read(change.text)
            if used or (used is not None and not is_anew):
                self._counts.told(name, part, used)
        elif is_anew and part in self._lost:
            if change.text is not None:
                self._revisions[part] = change.revision
        elif change.revision > self._revisions.get(part, 0):
            self._own(part, change)  # otherwise this controller itself wrote the record

    def _own(self, part: int, change: KeyChange) -> None:
        """This controller's record was changed or deleted: by itself, by another run under its name, or by somebody else."""
        attempt = self._attempts.pop(part, None)
        if change.text is None:
            self._revisions.pop(part, None)
        else:
            self._revisions[part] = change.revision
        if attempt is not None and attempt.text == change.text:
            self._has_written(part, attempt)
            return
        self._hashes.pop(part, None)
        used = () if change.text is None else self._read(change.text)
        if used is not None:
            self._counts.told(self._me, part, used)

    def _place(self, key: str) -> tuple[str, int | None]:
        """The controller and the part of a record's key. The part is None for a key that no controller has written."""
        name, _, part = key.partition("/")
        if not CONTROLLER.fullmatch(name) or not part.isascii() or not part.isdecimal():
            return name, None
        number = int(part[:4])
        return name, number if number < USAGE_PARTS and str(number) == part else None

    def _read(self, text: str) -> UsageContent | None:
        """The content of a record; None for one that no controller has written."""
        try:
            if len(text) > MOST_TEXT:
                raise DamagedFile
            usage, wrong = read_usage(text)
        except DamagedFile:
            self.damaged += 1
            return None
        self.damaged += wrong + max(0, len(usage.used) - USAGE_PAIRS)
        return usage.used[:USAGE_PAIRS]

    # ---- what is written ------------------------------------------------------------------------

    def write(self, between: Callable[[], None] = nothing_between, most: int = MOST_ROUND) -> None:
        """A round: write the records in which something was counted since the last round, about `most` bytes of them. `between`: called
        after each record. Raises EtcdError."""
        if not self._is_listed:
            return
        parts = sorted({*self._counts.unwritten(), *self._lost})
        for part in [one for one in parts if one >= self._next] + [one for one in parts if one < self._next]:
            if most <= 0:
                self._next = part
                return
            most -= self._write(part)
            between()
        self._next = 0

    def _write(self, part: int) -> int:
        """Write one record, and return how many bytes were sent. If etcd does not answer, or its record is not the one that this
        controller knows, the same content is sent again in each round, until the watch tells the record that etcd has."""
        attempt = self._attempts.get(part) or self._attempt(part)
        if attempt is None:
            self._lost.discard(part)
            return 0
        self._attempts[part] = attempt
        revision = self._keys.replace(f"{self._me}/{part}", self._revisions.get(part, 0), attempt.text)
        if revision and self._attempts.get(part) is attempt:  # otherwise the watch was faster
            del self._attempts[part]
            self._revisions[part] = revision
            self._has_written(part, attempt)
        return len(attempt.text)

    def _attempt(self, part: int) -> RecordAttempt | None:
        """This controller's record of a part with the content that it should have. None if that was written already, or cannot be
        written."""
        used = self._counts.record(part)
        text = usage_text(KeptUsage(used, ()))
        if not used or hash(text) == self._hashes.get(part):
            return None
        if len(text) > MOST_TEXT:
            self.too_large += 1
            return None
        return RecordAttempt(text, used)

    def _has_written(self, part: int, attempt: RecordAttempt) -> None:
        self._lost.discard(part)
        self._hashes[part] = hash(attempt.text)
        self._counts.written(part, attempt.used)
