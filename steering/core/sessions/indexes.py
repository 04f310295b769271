"""Indexes of a million records: mappings that never pause for a large copy.

A full dict is copied into one of twice the size. With a million records this takes 42 MB and 15 to 80 ms, while every SYN
waits. Therefore an index consists of many dicts, none of which becomes large: the largest copy is some 0.6 MB. A dict of
21,845 records is exactly full (two thirds of 2**15 places, whose numbers have 2 bytes) and takes 27 bytes per record. With one
record more it has twice as many places and takes 42 (CPython's Objects/dictobject.c).

All these dicts are made before the controller starts, so that the garbage collector does not examine them (garbage_collector).

Records with consecutive numbers need no dict. Blocks of 256 numbers take 8 bytes per record. Blocks are made as sessions come,
and untracked one by one.
"""

from collections.abc import Iterator, MutableMapping
from functools import partial
from itertools import chain, compress
from operator import is_not
from typing import Any, TypeVar, overload

from steering.core.sessions.garbage_collector import Index, untrack

PLANNED = 21_300  # planned records of each dict: fewer than 21,845, because chance makes some fuller
BITS = 8
SPAN = 1 << BITS  # numbers in a block, which takes 2 kB as long as one of its sessions lives

_NOBODY = (None,) * SPAN
_is_record = partial(is_not, None)
_PLACE = SPAN - 1

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class HashedIndex(MutableMapping[K, V]):
    """Records by any hashable key, in no order. `most`: the expected number of records. More are possible."""

    __slots__ = ("_count", "_shards")

    def __init__(self, most: int) -> None:
        self._count = max(1, -(-most // PLANNED))
        self._shards: tuple[Index[K, V], ...] = tuple(Index() for _ in range(self._count))

    def shard_of(self, key: K) -> Index[K, V]:
        """The dict for a key: for callers that look a key up and then add it."""
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
        """Set a value. It is faster than `index[key] = value`, because CPython calls `__setitem__` through C code."""
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
        """All records, faster than `values`, which looks each record up."""
        return chain.from_iterable(shard.values() for shard in self._shards)

    def take_apart(self) -> list[Index[K, V]]:
        """Empty the index. Returns its dictionaries that had records, so that the caller can free the records in portions."""
        had = [shard for shard in self._shards if shard]
        self._shards = tuple(Index() if shard else shard for shard in self._shards)
        return had


class Block(list[V | None]):
    """The records of SPAN consecutive numbers, None where there is no record. `living`: the number of records. `beside`: what
    is kept beside these records, as long as one of them is there."""

    __slots__ = ("beside", "living")

    def __init__(self) -> None:
        super().__init__(_NOBODY)
        self.living = 0
        self.beside: tuple[object, ...] = ()


class NumberedIndex(MutableMapping[int, V]):
    """Records by number. Numbers are given in ascending order and never again. Iteration is in the same order. A record may
    be anything but None. `size`: the same as `len`, without a call, for handshakes.

    A block exists as long as one of its records does."""

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
        """Set a record. It is faster than `index[number] = value` (HashedIndex.put)."""
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
        """Remove and return a record. For an unknown number it returns `default`, unlike `dict.pop` without a default."""
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

    def keep_beside(self, number: int, thing: object) -> None:
        """Keep something as long as a record of this number's block is there. There is a record with this number. What was
        kept last may be given again."""
        block = self._blocks[number >> BITS]
        if not block.beside or block.beside[-1] is not thing:
            block.beside = (*block.beside, thing)
            untrack(block.beside)

    def beside(self, number: int) -> tuple[object, ...]:
        """What is kept beside the records of this number's block."""
        block = self._blocks.get(number >> BITS)
        return () if block is None else block.beside

    def __contains__(self, number: object) -> bool:
        block = self._blocks.get(number >> BITS)  # type: ignore[operator]
        return block is not None and block[number & _PLACE] is not None  # type: ignore[operator]

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        for begin, block in self._blocks.items():
            yield from compress(range(begin * SPAN, begin * SPAN + SPAN), map(_is_record, block))

    def all_values(self) -> Iterator[V]:
        """All records, faster than `values`, which looks each record up."""
        return filter(_is_record, chain.from_iterable(self._blocks.values()))  # type: ignore[arg-type]

    def blocks(self) -> list[int]:
        """The blocks that have records now, for `of_block`. In ascending order, if records were added in the order of numbers."""
        return list(self._blocks)

    def of_block(self, block: int) -> list[V]:
        """The records of a block, at most SPAN; none if it has none any more."""
        return [one for one in self._blocks.get(block, ()) if one is not None]

    def __reversed__(self) -> Iterator[int]:
        for begin, block in reversed(self._blocks.items()):
            last = begin * SPAN + SPAN - 1
            yield from compress(range(last, last - SPAN, -1), map(_is_record, reversed(block)))

    def following(self, after: int, last: int, most: int) -> tuple[list[V], int]:
        """Some of the records with numbers above `after` and at most `last`, in order, and the `after` of the next call.

        At most `most` numbers are examined. A block without records counts as one number.
        """
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
