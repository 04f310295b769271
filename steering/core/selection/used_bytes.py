"""How many bytes each subscriber has sent by each access type, towards quotas of bytes (N-5.6.1k3).

A controller that is alone counts all bytes. Several controllers have records in etcd, which all of them know
(steering.cluster.usage_exchange). The used bytes of a pair are the sum over all records, plus what was counted here and is in no record
yet. A record has all bytes that one controller has ever counted, and replaces its earlier record. So a record that is told twice counts
once, and bytes stay used that were counted by a controller that is gone.

A pair is a subscriber with an access type. All pairs are divided into parts by a hash, so that one record is small and quickly handled.
"""

from collections.abc import Iterable, Iterator
from zlib import crc32

from steering.model.kept import USAGE_PAIRS, USAGE_PARTS, KeptUse
from steering.model.network import NetworkAccessType

METERED = 65_536  # most pairs with bytes that were counted here and are in no record
KNOWN = 262_144  # most pairs in all records together: some 60 MB
MOST = 2**63  # most bytes of a pair in a record

UseKey = tuple[bytes | str, NetworkAccessType]
_KINDS = {kind.value: kind for kind in NetworkAccessType}


class UsedBytes:
    """`changes` grows whenever bytes are counted here. `refused`: how often a record had no room for a pair."""

    def __init__(self) -> None:
        self.changes = 0
        self.refused = 0
        # By part: the bytes that were counted here and are in no record. `_pairs`: the number of these pairs.
        self._fresh: tuple[dict[UseKey, int], ...] = tuple({} for _ in range(USAGE_PARTS))
        self._pairs = 0
        self._records: dict[tuple[str, int], dict[UseKey, int]] = {}  # by controller and part
        self._held = 0  # pairs in all records
        self._cut: set[tuple[str, int]] = set()  # records with pairs for which there was no room
        # By part: the sum of all records. One dictionary for each part, because the growth of a single large one would delay a SYN.
        self._recorded: tuple[dict[UseKey, int], ...] = tuple({} for _ in range(USAGE_PARTS))

    def of(self, key: UseKey) -> int:
        """The bytes that all controllers have counted."""
        part = part_of(key)
        return self._fresh[part].get(key, 0) + self._recorded[part].get(key, 0)

    def add(self, key: UseKey, moved: int) -> bool:
        """Count `moved` more bytes. Returns False if there is no room for a new pair. Other pairs are not dropped for it, because they
        would get their quota a second time."""
        fresh = self._fresh[part_of(key)]
        if key not in fresh:
            if self._pairs >= METERED:
                return False
            self._pairs += 1
        fresh[key] = fresh.get(key, 0) + moved
        self.changes += 1
        return True

    # ---- of one controller alone ------------------------------------------------------------------

    def kept(self) -> tuple[KeptUse, ...]:
        """The bytes that were counted here and are in no record."""
        return tuple(KeptUse(who, kind.value, n) for fresh in self._fresh for (who, kind), n in fresh.items())

    def restore(self, used: Iterable[KeptUse]) -> int:
        """Count on from the bytes that an earlier controller has kept. Returns how many pairs are malformed or have no room."""
        given = list(used)
        return len(given) - sum(self.add(key, count) for key, count in _read(given))

    # ---- records of several controllers -----------------------------------------------------------

    def unwritten(self) -> list[int]:
        """The parts with bytes that were counted here and are in no record."""
        return [part for part, fresh in enumerate(self._fresh) if fresh]

    def record(self, controller: str, part: int) -> tuple[KeptUse, ...]:
        """The new content of this controller's record of a part: the old content plus the bytes that were counted since. Empty, so that
        nothing is written, if the old content has pairs for which there was no room here: they would be lost."""
        if (controller, part) in self._cut:
            return ()
        whole = dict(self._records.get((controller, part), {}))
        for key, count in self._fresh[part].items():
            if key in whole or len(whole) < USAGE_PAIRS:
                whole[key] = min(whole.get(key, 0) + count, MOST)
            else:
                self.refused += 1
        return tuple(KeptUse(who, kind.value, n) for (who, kind), n in whole.items())

    def told(self, controller: str, part: int, used: Iterable[KeptUse]) -> list[tuple[UseKey, int, int]]:
        """A record has another content now. Empty: the record was deleted. Returns the pairs that this changes, each with the used bytes
        before and now."""
        refused = self.refused
        changed = self._take(controller, part, used)
        (self._cut.add if self.refused > refused else self._cut.discard)((controller, part))
        return changed

    def _take(self, controller: str, part: int, used: Iterable[KeptUse]) -> list[tuple[UseKey, int, int]]:
        known = self._records.pop((controller, part), {})
        found = {key: count for key, count in _read(used) if count}
        room = KNOWN - self._held
        changed = []
        for key in {**known, **found}:
            if key not in known:
                if room <= 0:
                    del found[key]
                    self.refused += 1
                    continue
                room -= 1
            if more := found.get(key, 0) - known.get(key, 0):
                before = self.of(key)
                counts = self._recorded[part_of(key)]
                counts[key] = counts.get(key, 0) + more
                if not counts[key]:
                    del counts[key]
                changed.append((key, before, before + more))
        if found:
            self._records[controller, part] = found
        self._held += len(found) - len(known)
        return changed

    def written(self, controller: str, part: int, used: Iterable[KeptUse]) -> None:
        """The content that `record` returned was written. The bytes that it has more than before are in a record now."""
        known, fresh = self._records.get((controller, part), {}), self._fresh[part]
        self._take(controller, part, used)  # pairs without room in the records stay in `_fresh`
        self.changes += 1
        for key, count in self._records.get((controller, part), {}).items():
            left = fresh.get(key, 0) - (count - known.get(key, 0))
            if left > 0:
                fresh[key] = left
            elif fresh.pop(key, None) is not None:
                self._pairs -= 1


def part_of(key: UseKey) -> int:
    """Which part a pair is in, the same at all controllers and in all their runs."""
    who, kind = key
    name = who if isinstance(who, bytes) else who.encode(errors="surrogatepass")
    return crc32(name + kind.value.encode()) % USAGE_PARTS


def _read(used: Iterable[KeptUse]) -> Iterator[tuple[UseKey, int]]:
    for one in used:
        kind = _KINDS.get(one.access_type)
        if kind is not None:
            yield (one.who, kind), one.used
