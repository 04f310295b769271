"""Many small records on disk: a line for each that begins, changes or ends, appended; written anew when most of it is
history. A line that was being written when its controller died costs that one record.

Not a file that is replaced whole, as the others are: a hundred thousand records would be written again for each.
"""

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from steering.store.private_file import append_private, lines_of, replace_private

T = TypeVar("T")

MOST_BYTES = 128 << 20
MOST_LINE = 1 << 17
SLACK = 1 << 20  # bytes of history that are not worth writing anew


class ChangeLog(Generic[T]):
    """A file of mode 0600. `line_of`: the line of a number and its record, None for one that is over; `read_line` the
    other way round, which raises ValueError for a line that is none of ours. A caller names its records by keys that
    hold while its process lives; in the file they have numbers."""

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
        self._numbers: dict[Hashable, int] = {}  # key -> in the file
        self._loaded: list[int] = []  # numbers in the file that are an earlier process's
        self.owes = False  # something of it could not be written, so the next write is the whole of it
        self._next = 0
        self._live = 0  # bytes of `_lines`
        self._size = MOST_BYTES  # of the file; so the first write is the whole of it

    def load(self) -> tuple[tuple[T, ...], int]:
        """The lines that an earlier process wrote, and how many of them cannot be read. They stay in the file until
        `forget`. Raises StateError."""
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
        """Drop what was loaded: it is known elsewhere now, or over. Raises StateError."""
        if self._loaded:
            for number in self._loaded:
                self._take(number)
            self._loaded = []
            self.rewrite()

    def write(self, begun: Iterable[tuple[Hashable, T]], over: Iterable[Hashable]) -> None:
        """Append changes, with those that could not be written before. Raises StateError; they are then written
        with the next ones."""
        parts = []
        for key, kept in begun:
            number = self._numbers.get(key, self._next)
            if number == self._next:
                self._numbers[key] = number
                self._next += 1
            parts.append(self._put(number, self._line_of(number, kept)))
        parts += [self._take(self._numbers.pop(key)) for key in over if key in self._numbers]
        text = "".join(parts)
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
        """The records that live, in place of what was there. Raises StateError."""
        self.owes = True
        replace_private(self._path, "".join(self._lines.values()).encode("ascii"))
        self.owes = False
        self._size = self._live

    def _put(self, number: int, line: str) -> str:
        self._live += len(line) - len(self._lines.get(number, ""))
        self._lines[number] = line
        return line

    def _take(self, number: int) -> str:
        self._live -= len(self._lines.pop(number, ""))
        return self._line_of(number, None)
