"""Sessions that no entry tells of, on disk: a line for each that begins, changes or ends, appended; written anew when
most of it is history. A line that was being written when its controller died costs that one session.

Not a file that is replaced whole, as the others are: a hundred thousand sessions would be written again for each.
"""

from collections.abc import Iterable
from pathlib import Path

from steering.model.kept import KeptSession
from steering.store.kept import read_session, session_line
from steering.store.private_file import append_private, lines_of, replace_private

FILE = "sessions.jsonl"
MOST_BYTES = 128 << 20
MOST_LINE = 1 << 17
SLACK = 1 << 20  # bytes of history that are not worth writing anew


class SessionLog:
    """A file of mode 0600 in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lines: dict[int, str] = {}  # by the number in the file
        self._numbers: dict[int, int] = {}  # of a session -> in the file
        self._loaded: list[int] = []  # numbers in the file that are an earlier process's
        self.owes = False  # something of it could not be written, so the next write is the whole of it
        self._next = 0
        self._live = 0  # bytes of `_lines`
        self._size = MOST_BYTES  # of the file; so the first write is the whole of it

    def load(self) -> tuple[tuple[KeptSession, ...], int]:
        """The lines that an earlier process wrote, and how many of them cannot be read. They stay in the file until
        `forget`. Raises StateError."""
        found: dict[int, KeptSession] = {}
        wrong = 0
        for line in lines_of(self._path, MOST_LINE, MOST_BYTES):
            try:
                number, kept = read_session(line)
            except ValueError:
                wrong += 1
                continue
            if kept is None:
                found.pop(number, None)
            else:
                found[number] = kept
        for kept in found.values():
            self._loaded.append(self._next)
            self._put(self._next, session_line(self._next, kept))
            self._next += 1
        return tuple(found.values()), wrong

    def forget(self) -> None:
        """Drop what was loaded: it is known elsewhere now, or over. Raises StateError."""
        if self._loaded:
            for number in self._loaded:
                self._take(number)
            self._loaded = []
            self.rewrite()

    def write(self, begun: Iterable[tuple[int, KeptSession]], over: Iterable[int]) -> None:
        """Append changes, with those that could not be written before. Raises StateError; they are then written
        with the next ones."""
        parts = []
        for session, kept in begun:
            number = self._numbers.get(session, self._next)
            if number == self._next:
                self._numbers[session] = number
                self._next += 1
            parts.append(self._put(number, session_line(number, kept)))
        parts += [self._take(self._numbers.pop(session)) for session in over if session in self._numbers]
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
        """The sessions that live, in place of what was there. Raises StateError."""
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
        return session_line(number, None)
