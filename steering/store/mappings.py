"""Mappings of MCPs on disk: one JSON object a line, appended to files of a bounded size. The oldest file is deleted when there
are FILES of them.

So space, not time, decides how long a line is kept. With port blocks (RFC 6888 REQ-14) a line has some 200 bytes, and a
subscriber has a few lines a day.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from steering.model.mapping import Mapping, holder
from steering.store.private_file import append_private, lines_of, rename_private, size_of

FILE = "mappings.jsonl"
MOST_BYTES = 4 << 20  # bytes of one file
FILES = 4
MOST_LINE = 4_096  # bytes


class MappingStore:
    """The files, of mode 0600, in `directory`. `clock`: seconds since 1970."""

    def __init__(
        self, directory: Path, clock: Callable[[], float], most: int = MOST_BYTES, files: int = FILES
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._most = most
        self._files = files

    def append(self, mappings: Iterable[Mapping]) -> None:
        """Write mappings. Raises StateError; then none of them is written."""
        text = "".join(json.dumps(asdict(mapping), separators=(",", ":")) + "\n" for mapping in mappings)
        if not text:
            return
        path = self._directory / FILE
        if size_of(path) + len(text) > self._most:
            self._rotate()
        append_private(path, text.encode("ascii"))

    def find(self, address: str, port: int, at: float | None) -> Mapping | None:
        """The mapping that held an external address and port at `at`, seconds since 1970 (None: now); None for none. Raises
        StateError."""
        when = self._clock() if at is None else at
        return holder(self._lines(address), address, port, when)

    def _path(self, number: int) -> Path:
        return self._directory / (f"{FILE}.{number}" if number else FILE)

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            rename_private(self._path(number - 1), self._path(number))

    def _lines(self, address: str) -> Iterator[Mapping]:
        """Mappings that may concern an address, the oldest first. A line of another version, or one cut off, is skipped."""
        wanted = f'"external":"{address}"'
        # The newest file is opened first. Where another thread rotates the files meanwhile, a file may so be read twice,
        # which changes no answer, but none is missed.
        opened = [lines_of(self._path(n), MOST_LINE, self._most + MOST_LINE) for n in range(self._files)]
        for lines in reversed(opened):
            for line in lines:
                # Parsing JSON takes most of the time, so a plain IPv4 address is first searched as text.
                if ":" not in address and wanted not in line and "/" not in line:
                    continue
                found = _mapping(line)
                if found is not None:
                    yield found


def _mapping(line: str) -> Mapping | None:
    try:
        told = json.loads(line)
        found = Mapping(**told)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (found.mcp, found.internal, found.external, found.subscriber, found.destination)
    numbers = (found.first_port, found.last_port, found.begin, 0 if found.end is None else found.end)
    whole = all(isinstance(text, str) for text in texts) and all(type(n) in (int, float) for n in numbers)
    return found if whole else None
