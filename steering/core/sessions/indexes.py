"""Indexes of a million records: mappings that never grow in one go.

A dict that is full is copied into one of twice the size; one with a million records takes 42 MB and 15 to 80 ms for that,
while every SYN waits. So an index is many dicts, none of which becomes large: the largest step is that of one of them, some
0.6 MB. A dict of 21,845 records is exactly full (two thirds of 2**15 places, whose numbers have 2 bytes) and takes 27 bytes a
record, where one with twice as many places takes 42 (CPython's Objects/dictobject.c).

All these dicts are made before the controller starts, so that the collector is kept off them (garbage_collector).
"""

from collections.abc import Iterator, MutableMapping
from itertools import chain
from typing import Any, TypeVar, overload

from steering.core.sessions.garbage_collector import Index

FULL = 21_845  # records of a dict without a free place: two thirds of 2**15
PLANNED = 20_000  # records of each dict when an index has as many as it may have: chance makes some fuller than others
SPARE = 4  # times as many dicts for numbers as records need: old sessions keep theirs while numbers go on

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class HashedIndex(MutableMapping[K, V]):
    """Records by any key, in no order. `most`: how many it is made for; it takes more."""

    __slots__ = ("_count", "_shards")

    def __init__(self, most: int) -> None:
        self._count = max(1, -(-most // PLANNED))
        self._shards: tuple[Index[K, V], ...] = tuple(Index() for _ in range(self._count))

    def shard_of(self, key: K) -> Index[K, V]:
        """The dict that holds a key, or would: for whoever looks and then adds."""
        return self._shards[hash(key) % self._count]

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D) -> V | D: ...
    def get(self, key: K, default: V | D | None = None) -> V | D | None:
        return self._shards[hash(key) % self._count].get(key, default)

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) % self._count][key]

    def __setitem__(self, key: K, value: V) -> None:
        self._shards[hash(key) % self._count][key] = value

    def __delitem__(self, key: K) -> None:
        del self._shards[hash(key) % self._count][key]

    def __contains__(self, key: object) -> bool:
        return key in self._shards[hash(key) % self._count]

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._shards)

    def all_values(self) -> Iterator[V]:
        """The records, without a look-up for each as `values` makes."""
        return chain.from_iterable(shard.values() for shard in self._shards)


class NumberedIndex(MutableMapping[int, V]):
    """Records by a number, each of which is given once, in ascending order; listed in that order too. `most`: how many it
    is made for; it takes more. `size`: its length, which every handshake asks for and which `len` tells in a call."""

    __slots__ = ("_shards", "_unused", "size")

    def __init__(self, most: int) -> None:
        self.size = 0
        self._shards: dict[int, Index[int, V]] = {}  # number // FULL -> records
        self._unused: list[Index[int, V]] = [Index() for _ in range(SPARE * (most // FULL + 1))]

    @overload
    def get(self, number: int) -> V | None: ...
    @overload
    def get(self, number: int, default: V | D) -> V | D: ...
    def get(self, number: int, default: V | D | None = None) -> V | D | None:
        shard = self._shards.get(number // FULL)
        return default if shard is None else shard.get(number, default)

    def __getitem__(self, number: int) -> V:
        return self._shards[number // FULL][number]

    def __setitem__(self, number: int, value: V) -> None:
        shard = self._shards.get(number // FULL)
        if shard is None:
            shard = self._shards[number // FULL] = self._unused.pop() if self._unused else Index()
        self.size += number not in shard
        shard[number] = value

    def __delitem__(self, number: int) -> None:
        if number not in self:
            raise KeyError(number)
        self.pop(number)

    def pop(self, number: int, default: Any = None) -> Any:
        """Take a record out; unlike a dict's, without a default it returns None for an unknown number."""
        shard = self._shards.get(number // FULL)
        if shard is None or number not in shard:
            return default
        found = shard.pop(number)
        self.size -= 1
        if not shard:
            shard.clear()  # whose places stay taken while it is only emptied
            self._unused.append(self._shards.pop(number // FULL))
        return found

    def __contains__(self, number: object) -> bool:
        shard = self._shards.get(number // FULL)  # type: ignore[operator]
        return shard is not None and number in shard

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._shards.values())

    def all_values(self) -> Iterator[V]:
        """The records, without a look-up for each as `values` makes."""
        return chain.from_iterable(shard.values() for shard in self._shards.values())

    def __reversed__(self) -> Iterator[int]:
        for shard in reversed(self._shards.values()):
            yield from reversed(shard)

    def following(self, after: int, last: int, most: int) -> tuple[list[V], int]:
        """The records whose numbers are above `after` and at most `last`, in their order, and the number to go on behind.
        At most `most` numbers are looked at; stretches of numbers of which no record is left cost nothing."""
        found: list[V] = []
        number, left = after, most
        while number < last and left > 0:
            shard = self._shards.get((number + 1) // FULL)
            ends = min(last, (number + 1) // FULL * FULL + FULL - 1)
            if shard is None:
                number = ends
                continue
            ends = min(ends, number + left)
            found += [shard[one] for one in range(number + 1, ends + 1) if one in shard]
            left -= ends - number
            number = ends
        return found, number
