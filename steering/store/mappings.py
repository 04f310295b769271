"""Mappings of MCPs on disk: one JSON object a line, appended to files of a bounded size. Each MCP has files of its own, so that no MCP can
push out the mappings of others. When an MCP has FILES files, its oldest one is deleted. A search only reads the files of MCPs that may have
the address (mapped_networks).

So space, not time, decides how long a line is kept. With port blocks (RFC 6888 REQ-14) a line has some 200 bytes, and a
subscriber has a few lines a day.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from steering.model.mapping import Mapping, holder
from steering.store.mapped_networks import MappedNetworks, may_tell_of
from steering.store.private_file import append_private, lines_of, rename_private, size_of

COMMON_FILE = "mappings.jsonl"  # mappings of all MCPs, written by earlier versions; it is only read
MOST_BYTES = 4 << 20  # bytes of one file
FILES = 4  # most files of one MCP
MOST_LINE = 4_096  # bytes

_FILE = re.compile(r"(mappings(?:-.+)?\.jsonl)(?:\.[0-9]+)?")


def file_of(mcp: str) -> str:
    """The name of the newest file of an MCP."""
    return f"mappings-{quote(mcp, safe='')}.jsonl"


def networks_of(name: str) -> str:
    """The name of the file that tells of which networks an MCP's files are; `name`: of its newest file."""
    return f"{name.removesuffix('.jsonl')}.networks"


class MappingStore:
    """The files, of mode 0600, in `directory`. `clock`: seconds since 1970."""

    def __init__(
        self, directory: Path, clock: Callable[[], float], most: int = MOST_BYTES, files: int = FILES
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._most = most
        self._files = files
        self._networks: dict[str, MappedNetworks] = {}

    def append(self, mappings: Iterable[Mapping]) -> None:
        """Write mappings. Raises StateError; then none of that MCP is written."""
        given: dict[str, list[Mapping]] = {}
        for mapping in mappings:
            given.setdefault(mapping.mcp, []).append(mapping)
        for mcp, some in given.items():
            text = "".join(json.dumps(asdict(one), separators=(",", ":")) + "\n" for one in some)
            name = file_of(mcp)
            self._note(name, some)
            if size_of(self._directory / name) + len(text) > self._most:
                self._rotate(name)
            append_private(self._directory / name, text.encode("ascii"))

    def find(self, address: str, port: int, at: float | None) -> Mapping | None:
        """The mapping that held an external address and port at `at`, seconds since 1970 (None: now); None for none. Raises
        StateError."""
        when = self._clock() if at is None else at
        names = [name for name in self._names() if self._may_hold(name, address)]
        lines = (mapping for name in names for mapping in self._lines(name, address))
        return holder(lines, address, port, when)

    def _note(self, name: str, mappings: list[Mapping]) -> None:
        if name not in self._networks:
            self._networks[name] = MappedNetworks(self._directory / networks_of(name))
        numbers = range(self._files)
        self._networks[name].note(
            mappings, lambda: any(os.path.lexists(self._path(name, number)) for number in numbers)
        )

    def _may_hold(self, name: str, address: str) -> bool:
        return name == COMMON_FILE or may_tell_of(self._directory / networks_of(name), address)

    def _names(self) -> list[str]:
        """The names of the newest files, that of earlier versions first."""
        found = (_FILE.fullmatch(path.name) for path in self._directory.glob("mappings*"))
        return sorted({one[1] for one in found if one}, key=lambda name: (name != COMMON_FILE, name))

    def _path(self, name: str, number: int) -> Path:
        return self._directory / (f"{name}.{number}" if number else name)

    def _rotate(self, name: str) -> None:
        for number in range(self._files - 1, 0, -1):
            rename_private(self._path(name, number - 1), self._path(name, number))

    def _lines(self, name: str, address: str) -> Iterator[Mapping]:
        """Mappings of one MCP's files that may concern an address, the oldest first. A line of another version, or one cut off, is
        skipped."""
        wanted = f'"external":"{address}"'
        # The newest file is opened first. Where another thread rotates the files meanwhile, a file may so be read twice,
        # which changes no answer, but none is missed.
        opened = [
            lines_of(self._path(name, n), MOST_LINE, self._most + MOST_LINE) for n in range(self._files)
        ]
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
