"""What each controller of a cell has counted towards quotas of bytes, in etcd: written by that one alone, read by all.

A controller has a record for each part of all pairs of subscriber and access type (core.selection.used_bytes). Records have no lease: what
a controller has counted that never comes back stays used. A controller writes a record only after it was told of all records, and only
where nobody has changed it since. So one that starts goes on from what it wrote last, also with an empty state directory, and one that
thaws writes nothing over what another run under its name has counted. Who deletes records lets their quotas begin anew at all controllers.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from steering.cluster.cell import CONTROLLER
from steering.model.kept import USAGE_PAIRS, USAGE_PARTS, KeptUsage, KeptUse
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import KeyChange
from steering.store.kept import DamagedFile, read_usage, usage_text

EACH = 2.0  # seconds between two rounds
MOST_TEXT = 65_536  # bytes of a record
# Bytes that a round writes, and what is left of one record more. etcd keeps what was written over until it compacts its history: some 5 MB
# an hour of a thousand subscribers who send all the time, and at most 120 MB.
MOST_ROUND = 65_536
USAGE_PAGE = 8  # records of one answer of etcd, which is read in a moment

Used = tuple[KeptUse, ...]


def nothing_between() -> None:
    """Let nobody do anything between two records."""


class UsageCounts(Protocol):
    """What is counted at this controller, and what it knows of others."""

    def unwritten(self) -> Iterable[int]:
        """The parts of which something was counted here that is in no record, in ascending order."""

    def record(self, part: int) -> Used:
        """What this controller's record of a part has to be."""

    def told(self, controller: str, part: int, used: Used) -> None:
        """A record has another content; without any it was deleted."""

    def written(self, part: int, used: Used) -> None:
        """What `record` returned is this controller's record now."""


class RecordAttempt(NamedTuple):
    """A record that was sent to etcd. It is not known yet whether etcd has it."""

    text: str
    used: Used


class UsageExchange:
    """`keys`: below them each controller has its records, `<name>/<part>`. `damaged`: records that were none; what was known before
    counts on. `too_large`: records that were not written, because there would be too much in them."""

    def __init__(self, keys: Keys, me: str, counts: UsageCounts) -> None:
        self.damaged = 0
        self.too_large = 0
        self._keys = keys
        self._me = me
        self._counts = counts
        self._is_listed = False  # whether all records were told that there were
        # Of this controller's records, by part: the revisions that changed them last, and hashes of those that it wrote itself.
        self._revisions: dict[int, int] = {}
        self._hashes: dict[int, int] = {}
        self._attempts: dict[int, RecordAttempt] = {}
        self._lost: set[int] = set()  # records of this controller that a new etcd may not have
        self._next = 0  # the part at which the next round begins

    # ---- what is told ---------------------------------------------------------------------------

    def take(
        self, changes: Iterable[KeyChange], is_anew: bool, between: Callable[[], None] = nothing_between
    ) -> None:
        """What etcd tells of records: first of all that there are. `is_anew`: etcd was set up anew, maybe from an old copy, and what it
        does not have was deleted by nobody. `between`: called after each record."""
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
            self._own(part, change)  # else this controller has written it, and knew that at once

    def _own(self, part: int, change: KeyChange) -> None:
        """This controller's record was changed: by itself, by another run under its name, or by who deleted it."""
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
        """Whose record a key is, and which part it has; None for a key that no controller has written."""
        name, _, part = key.partition("/")
        if not CONTROLLER.fullmatch(name) or not part.isascii() or not part.isdecimal():
            return name, None
        number = int(part[:4])
        return name, number if number < USAGE_PARTS and str(number) == part else None

    def _read(self, text: str) -> Used | None:
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
        """A round: write what was counted since the last one, some `most` bytes of it. `between`: called after each record. Raises
        EtcdError."""
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
        """Write one record; how many bytes were sent. Where etcd does not answer, or has another record than this controller was told of,
        the same record is sent in each round until it is told what etcd has: this very record, or another one."""
        attempt = self._attempts.get(part) or self._attempt(part)
        if attempt is None:
            self._lost.discard(part)
            return 0
        self._attempts[part] = attempt
        revision = self._keys.replace(f"{self._me}/{part}", self._revisions.get(part, 0), attempt.text)
        if revision and self._attempts.get(part) is attempt:  # else it was told meanwhile
            del self._attempts[part]
            self._revisions[part] = revision
            self._has_written(part, attempt)
        return len(attempt.text)

    def _attempt(self, part: int) -> RecordAttempt | None:
        """This controller's record of a part as it has to be; None where that was written already, or cannot be."""
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
