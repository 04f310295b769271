"""Mappings on disk: one JSON object a line, appended; files of a bounded size, of which the oldest are given up.

How long a line lives is a matter of space, not time: with port blocks (RFC 6888 REQ-14) a line is some 200 bytes and
a subscriber has a few a day.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from steering.model.mapping import Mapping, holder

FILE = "mappings.jsonl"
MOST_BYTES = 4 << 20  # of one file
FILES = 4


class MappingStore:
    """Files of mode 0600 in `directory`; `clock` tells seconds since 1970."""

    def __init__(
        self, directory: Path, clock: Callable[[], float], most: int = MOST_BYTES, files: int = FILES
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._most = most
        self._files = files

    def append(self, mappings: Iterable[Mapping]) -> None:
        text = "".join(json.dumps(asdict(mapping), separators=(",", ":")) + "\n" for mapping in mappings)
        if not text:
            return
        path = self._directory / FILE
        if path.exists() and path.stat().st_size + len(text) > self._most:
            self._rotate()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "a", encoding="ascii") as file:
            file.write(text)

    def find(self, address: str, port: int, at: float | None) -> Mapping | None:
        when = self._clock() if at is None else at
        return holder(self._lines(address), address, port, when)

    def _path(self, number: int) -> Path:
        return self._directory / (f"{FILE}.{number}" if number else FILE)

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            if self._path(number - 1).exists():
                os.replace(self._path(number - 1), self._path(number))

    def _lines(self, address: str) -> Iterator[Mapping]:
        """Oldest first. A line that another version wrote, or half of one, is nobody's mapping."""
        wanted = f'"external":"{address}"'
        for number in range(self._files - 1, -1, -1):
            path = self._path(number)
            if not path.exists():
                continue
            with path.open(encoding="ascii", errors="replace") as file:
                for line in file:
                    # Reading JSON is what takes time: a plain IPv4 address is looked for as text first.
                    if ":" not in address and wanted not in line and "/" not in line:
                        continue
                    try:
                        yield Mapping(**json.loads(line))
                    except (ValueError, TypeError):
                        continue
