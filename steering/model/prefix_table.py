"""Look-up of addresses among prefixes: the value of the longest prefix that holds an address (RFC 4632 section 5.1)."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from steering.model.source import Prefix

T = TypeVar("T")
_FAMILY = {4: 4, 6: 16}  # version -> bytes of an address


class PrefixTable(Generic[T]):
    """A table of prefix -> value that is built once. A look-up costs one dictionary access for each prefix length in use.

    If two entries have the same prefix, the later one counts. A value may be anything but None.
    """

    __slots__ = ("_tables",)

    def __init__(self, entries: Iterable[tuple[Prefix, T]] = ()) -> None:
        tables: dict[tuple[int, int, int], dict[int, T]] = {}
        for prefix, value in entries:
            key = (-prefix.prefixlen, _FAMILY[prefix.version], int(prefix.netmask))
            tables.setdefault(key, {})[int(prefix.network_address)] = value
        self._tables: dict[int, list[tuple[int, dict[int, T]]]] = {4: [], 16: []}
        for (_, size, mask), table in sorted(tables.items(), key=lambda item: item[0]):
            self._tables[size].append((mask, table))

    def of(self, address: bytes) -> T | None:
        """The value of the longest prefix that holds `address`. None if no prefix does, or if `address` has neither 4 nor
        16 bytes."""
        value = int.from_bytes(address, "big")
        for mask, table in self._tables.get(len(address), ()):
            if (found := table.get(value & mask)) is not None:
                return found
        return None

    def all_of(self, address: bytes) -> Iterator[T]:
        """The values of all prefixes that hold an address, the longest first."""
        value = int.from_bytes(address, "big")
        for mask, table in self._tables.get(len(address), ()):
            if (found := table.get(value & mask)) is not None:
                yield found
