"""Keeps many small records in a file: each record that begins, changes or ends is one appended line. When most lines are
outdated the file is written anew. If a controller dies while it writes a line, only that record is lost.

Other values are files that are replaced whole. With a hundred thousand records that would be too much for each change.
"""

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from steering.store.private_file import append_private, lines_of, replace_private

T = TypeVar("T")

MOST_BYTES = 128 << 20
MOST_LINE = 1 << 17
SLACK = 1 << 20  # bytes of outdated lines for which the file is not written anew


class ChangeLog(Generic[T]):
    """A file of mode 0600. `line_of(number, record)` writes a line; record None means that the record ended. `read_line` reads
    one; it raises ValueError for a line that this program did not write. The caller names its records by keys of its own.
    In the file records have numbers, since a key may be valid only in its process."""

    def __init__(
        self,
        path: Path,
        line_of: Callable[[int, T | None], str],
        read_line: Callable[[str], tuple[int, T | None]],
    ) -> None:
        self._path = path
        self._line_of = line_of
        self._read_line = read_line
        self._lines: dict[int, str] = {}  # by the number in the file
        self._numbers: dict[Hashable, int] = {}  # key -> number in the file
        self._loaded: list[int] = []  # numbers of records that an earlier process wrote
        self.owes = False  # a write failed, so the next one writes the whole file
        self._next = 0
        self._live = 0  # bytes of all lines in `_lines`
        self._size = (
            MOST_BYTES  # bytes of the file; with this first value the first write writes the whole file
        )

    def load(self) -> tuple[tuple[T, ...], int]:
        """The records that an earlier process wrote, and the number of lines that cannot be read. The records stay in the
        file until `forget`. Raises StateError."""
        found: dict[int, T] = {}
        wrong = 0
        for line in lines_of(self._path, MOST_LINE, MOST_BYTES):
            try:
                number, kept = self._read_line(line)
            except ValueError:
                wrong += 1
                continue
            if kept is None:
                found.pop(number, None)
            else:
                found[number] = kept
        for kept in found.values():
            self._loaded.append(self._next)
            self._put(self._next, self._line_of(self._next, kept))
            self._next += 1
        return tuple(found.values()), wrong

    def forget(self) -> None:
        """Drop the loaded records: the caller has written those that live under keys of its own. Raises StateError."""
        if self._loaded:
            for number in self._loaded:
                self._take(number)
            self._loaded = []
            self.rewrite()

    def write(self, begun: Iterable[tuple[Hashable, T]], over: Iterable[Hashable]) -> None:
        """Append changes, and those that could not be written before. Raises StateError; the changes are then written with
        the next ones. Another exception is a defect of this program about one record: it is raised when all others are
        written."""
        defect: Exception | None = None
        parts = []
        for key, kept in begun:
            number = self._numbers.get(key, self._next)
            if number == self._next:
                self._numbers[key] = number
                self._next += 1
            try:
                parts.append(self._put(number, self._line_of(number, kept)))
            except Exception as error:
                defect = error
        parts += [self._take(self._numbers.pop(key)) for key in over if key in self._numbers]
        self._append("".join(parts))
        if defect is not None:
            raise defect

    def _append(self, text: str) -> None:
        if not text and not self.owes:
            return
        if self.owes or self._size + len(text) > min(2 * self._live + SLACK, MOST_BYTES):
            self.rewrite()
            return
        self.owes = True
        append_private(self._path, text.encode("ascii"))
        self.owes = False
        self._size += len(text)

    def rewrite(self) -> None:
        """Write the file anew with the live records alone. Raises StateError."""
        self.owes = True
        replace_private(self._path, "".join(self._lines.values()).encode("ascii"))
        self.owes = False
        self._size = self._live

    def _put(self, number: int, line: str) -> str:
        self._live += len(line) - len(self._lines.get(number, ""))
        self._lines[number] = line
        return line

    def _take(self, number: int) -> str:
        # A record with a defect has no line.
        self._live -= len(self._lines.pop(number, ""))
        return self._line_of(number, None)
