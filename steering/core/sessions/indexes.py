"""Indexes of a million records: mappings that never grow in one go.

A dict that is full is copied into one of twice the size; one with a million records takes 42 MB and 15 to 80 ms for that,
while every SYN waits. So an index is many dicts, none of which becomes large: the largest step is that of one of them, some
0.6 MB. A dict of 21,845 records is exactly full (two thirds of 2**15 places, whose numbers have 2 bytes) and takes 27 bytes a
record, where one with twice as many places takes 42 (CPython's Objects/dictobject.c).

All these dicts are made before the controller starts, so that the collector is kept off them (garbage_collector).

Records that have numbers of their own need no dict: blocks of 256 numbers take 8 bytes a record. They are made as sessions come,
and taken from the collector one by one.
"""

from collections.abc import Iterator, MutableMapping
from functools import partial
from itertools import chain, compress
from operator import is_not
from typing import Any, TypeVar, overload

from steering.core.sessions.garbage_collector import Index, untrack

PLANNED = 21_300  # records of each dict when an index has as many as it may have: chance makes some fuller than others
BITS = 8
SPAN = 1 << BITS  # numbers of a block. One session that outlives all that began beside it holds 2 kB.

_NOBODY = (None,) * SPAN
_is_record = partial(is_not, None)
_PLACE = SPAN - 1

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

    def put(self, key: K, value: V) -> None:
        """`index[key] = value`, which takes longer: CPython comes to a method of that kind by its C code."""
        self._shards[hash(key) % self._count][key] = value

    __setitem__ = put

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


class Block(list[V | None]):
    """The records with SPAN numbers, each at its place, None where there is none. `living`: how many there are."""

    __slots__ = ("living",)

    def __init__(self) -> None:
        super().__init__(_NOBODY)
        self.living = 0


class NumberedIndex(MutableMapping[int, V]):
    """Records by a number, each of which is given once, in ascending order; listed in that order too. None is no record.
    `size`: its length, which every handshake asks for and which `len` tells in a call.

    A block takes 8 bytes for each of its numbers, and is there as long as one of its records is."""

    __slots__ = ("_blocks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._blocks: dict[int, Block[V]] = Index()  # number >> BITS -> records

    @overload
    def get(self, number: int) -> V | None: ...
    @overload
    def get(self, number: int, default: V | D) -> V | D: ...
    def get(self, number: int, default: V | D | None = None) -> V | D | None:
        block = self._blocks.get(number >> BITS)
        found = None if block is None else block[number & _PLACE]
        return default if found is None else found

    def __getitem__(self, number: int) -> V:
        found = self._blocks[number >> BITS][number & _PLACE]
        if found is None:
            raise KeyError(number)
        return found

    def put(self, number: int, value: V) -> None:
        """`index[number] = value`, sooner (HashedIndex.put)."""
        block, place = self._blocks.get(number >> BITS), number & _PLACE
        if block is None:
            block = self._blocks[number >> BITS] = Block()
            untrack(block)
        if block[place] is None:
            block.living += 1
            self.size += 1
        block[place] = value

    __setitem__ = put

    def __delitem__(self, number: int) -> None:
        if self.pop(number) is None:
            raise KeyError(number)

    def pop(self, number: int, default: Any = None) -> Any:
        """Take a record out; unlike a dict's, without a default it returns None for an unknown number."""
        block, place = self._blocks.get(number >> BITS), number & _PLACE
        found = None if block is None else block[place]
        if block is None or found is None:
            return default
        block[place] = None
        self.size -= 1
        block.living -= 1
        if not block.living:
            del self._blocks[number >> BITS]
        return found

    def __contains__(self, number: object) -> bool:
        block = self._blocks.get(number >> BITS)  # type: ignore[operator]
        return block is not None and block[number & _PLACE] is not None  # type: ignore[operator]

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        for begin, block in self._blocks.items():
            yield from compress(range(begin * SPAN, begin * SPAN + SPAN), map(_is_record, block))

    def all_values(self) -> Iterator[V]:
        """The records, without a look-up for each as `values` makes."""
        return filter(_is_record, chain.from_iterable(self._blocks.values()))  # type: ignore[arg-type]

    def __reversed__(self) -> Iterator[int]:
        for begin, block in reversed(self._blocks.items()):
            last = begin * SPAN + SPAN - 1
            yield from compress(range(last, last - SPAN, -1), map(_is_record, reversed(block)))

    def following(self, after: int, last: int, most: int) -> tuple[list[V], int]:
        """The records whose numbers are above `after` and at most `last`, in their order, and the number to go on behind.
        At most `most` numbers are looked at; a block of which no record is left counts as one."""
        found: list[V] = []
        number, left = after, most
        while number < last and left > 0:
            begin, first = divmod(number + 1, SPAN)
            block = self._blocks.get(begin)
            ends = min(last, begin * SPAN + SPAN - 1)
            if block is None:
                left -= 1
            else:
                ends = min(ends, number + left)
                left -= ends - number
                found += [one for one in block[first : ends - begin * SPAN + 1] if one is not None]
            number = ends
        return found, number
