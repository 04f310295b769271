"""How many bytes each subscriber has sent by each access type, towards quotas of bytes (N-5.6.1k3).

One controller alone counts them all. Several controllers have records, which all of them know (steering.cluster.usage_exchange).
What was used is the sum of all records, and of what was counted here and is in no record yet. A record has what one controller
has counted ever, and the next one takes its place. So what is told twice counts once, and what a controller had counted that is
gone stays used.

Pairs of subscriber and access type are divided into parts by a hash, so that a record is small and is handled in a moment.
"""

from collections.abc import Iterable, Iterator
from zlib import crc32

from steering.model.kept import USAGE_PAIRS, USAGE_PARTS, KeptUse
from steering.model.network import NetworkAccessType

METERED = 65_536  # pairs that are counted here and are in no record
KNOWN = 262_144  # pairs in all records together: some 60 MB
MOST = 2**63  # bytes in a record

UseKey = tuple[bytes | str, NetworkAccessType]
_KINDS = {kind.value: kind for kind in NetworkAccessType}


class UsedBytes:
    """`changes` counts up with what is counted here. `refused`: how often there was no room in records for a pair."""

    def __init__(self) -> None:
        self.changes = 0
        self.refused = 0
        # What was counted here and is in no record, by part, and how many pairs that are.
        self._fresh: tuple[dict[UseKey, int], ...] = tuple({} for _ in range(USAGE_PARTS))
        self._pairs = 0
        self._records: dict[tuple[str, int], dict[UseKey, int]] = {}  # by controller and part
        self._held = 0  # pairs in all of them
        self._cut: set[tuple[str, int]] = set()  # records with pairs that there was no room for
        # Their sum, by part too: the growth of one large dictionary would delay a SYN.
        self._recorded: tuple[dict[UseKey, int], ...] = tuple({} for _ in range(USAGE_PARTS))

    def of(self, key: UseKey) -> int:
        """The bytes that all controllers have counted."""
        part = part_of(key)
        return self._fresh[part].get(key, 0) + self._recorded[part].get(key, 0)

    def add(self, key: UseKey, moved: int) -> bool:
        """So many more bytes were counted here. False for a pair that there is no room for: pairs that are counted are not
        dropped, because that would give them their quota once more."""
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
        """What was counted here and is in no record."""
        return tuple(KeptUse(who, kind.value, n) for fresh in self._fresh for (who, kind), n in fresh.items())

    def restore(self, used: Iterable[KeptUse]) -> int:
        """Count on from what an earlier controller has kept. Returns how many pairs are none, or too many."""
        given = list(used)
        return len(given) - sum(self.add(key, count) for key, count in _read(given))

    # ---- records of several controllers -----------------------------------------------------------

    def unwritten(self) -> list[int]:
        """The parts of which something was counted here that is in no record."""
        return [part for part, fresh in enumerate(self._fresh) if fresh]

    def record(self, controller: str, part: int) -> tuple[KeptUse, ...]:
        """A record of this controller, with what was counted since. Empty, so that nothing is written, where the record has pairs that are
        not known here: they would be lost."""
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
        """A record has another content; without content it is gone. Returns the pairs that changes, each with what was used
        before and is used now."""
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
        """A record of this controller has been written: `record` made it. What it has more than before was counted here."""
        known, fresh = self._records.get((controller, part), {}), self._fresh[part]
        self._take(controller, part, used)  # what it has no room for is still counted here
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
