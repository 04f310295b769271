"""The mapping log: which subscriber had which external address and ports, and when, as JSON lines (RFC 6888 section 4).

A line is written when a mapping begins (`end` null) and one when it ends, and none for a session. As a subscriber gets a
block of ports, the log stays small (RFC 6888 REQ-14, the aim of RFC 7422). Only where destinations were asked for (RFC 6888
REQ-12), each session has a line of its own with `destination`.
"""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TextIO

from steering.relay.addresses.source_pools import AddressMapping, MappingObserver
from steering.relay.options.relay_options import RelayOptions

MAX_LINE = 1024
IDENTIFIER = (1 << 64) - 1


TellMapping = Callable[[dict[str, Any]], None]
"""Given each line as it is written."""


class LogError(RuntimeError):
    """A mapping log that cannot be opened or read; one line for the operator."""


class MappingJournal:
    """Writes the log to a file of mode 0600, or to `fallback` where `path` is None. Lines that could not be written are
    counted."""

    def __init__(
        self, path: str | None, mcp: str, enabled: bool, fallback: TextIO, tell: TellMapping | None = None
    ) -> None:
        self._mcp = mcp
        self._tell = tell
        self.enabled = enabled
        self.written = 0
        self.failed = 0
        self._file: TextIO | LineFile = fallback if path is None else LineFile(path)
        self._own = path is not None

    @property
    def observer(self) -> MappingObserver:
        """The object that allocations tell of their mappings."""
        return MappingObserver(self.begun, self.ended)

    def document(self) -> dict[str, int | bool]:
        """{"enabled", "written", "failed"}: lines."""
        return {"enabled": self.enabled, "written": self.written, "failed": self.failed}

    def begun(self, mapping: AddressMapping) -> None:
        """A subscriber has got a mapping."""
        self._write(mapping, None)

    def ended(self, mapping: AddressMapping, end: float) -> None:
        """A subscriber's mapping has ended."""
        self._write(mapping, end)

    def session(self, mapping: AddressMapping, port: int, destination: str, begin: float) -> None:
        """Write a line for one session with its destination. Called only where destinations were asked for."""
        self._line(self._fields(mapping, port, port, begin, None) | {"destination": destination})

    def switch(self, enabled: bool, mappings: Iterable[AddressMapping]) -> None:
        """Switch the log on or off while the relay runs (N-5.6.7b). A log that is switched on begins with the present
        mappings."""
        if enabled and not self.enabled:
            self.enabled = True
            for mapping in mappings:
                self.begun(mapping)
        self.enabled = enabled

    def close(self, mappings: Iterable[AddressMapping], end: float) -> None:
        """Write the end of all mappings, since a relay's mappings end with the relay. `end`: seconds since 1970."""
        for mapping in mappings:
            self.ended(mapping, end)
        if self._own:
            self._file.close()

    def _write(self, mapping: AddressMapping, end: float | None) -> None:
        if end is not None:
            end = max(
                end, mapping.begin
            )  # the clock may have been set back, and no reader takes such a mapping
        self._line(self._fields(mapping, mapping.first, mapping.last, mapping.begin, end))

    def _fields(
        self, mapping: AddressMapping, first: int, last: int, begin: float, end: float | None
    ) -> dict[str, Any]:
        return {
            "mcp": self._mcp,
            "internal": mapping.internal,
            "external": mapping.external,
            "first_port": first,
            "last_port": last,
            "begin": round(begin, 3),
            "end": None if end is None else round(end, 3),
        }

    def _line(self, fields: dict[str, Any]) -> None:
        if not self.enabled:
            return
        if self._tell is not None:
            self._tell(fields)
        try:
            self._file.write(json.dumps(fields) + "\n")
            self._file.flush()
            self.written += 1
        except OSError:
            self.failed += 1


class LineFile:
    """A file of mode 0600 to which lines are appended. A line may be cut off, by a full disk or because its writer was killed. Such a line is
    ended before the next line is written, so that only the line itself is lost. Nothing is buffered: a line that could not be written must
    not stay in a buffer before later lines. The constructor raises LogError."""

    def __init__(self, path: str) -> None:
        try:
            self._number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LogError(f"cannot open the mapping log {path}: {error.strerror}") from None
        self._is_torn = _is_torn(path)

    def write(self, line: str) -> None:
        """Append a line, with its end. Raises OSError."""
        left = memoryview((b"\n" if self._is_torn else b"") + line.encode())
        while left:
            left = left[os.write(self._number, left) :]
            self._is_torn = True
        self._is_torn = False

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        os.close(self._number)


def _is_torn(path: str) -> bool:
    """Whether a file ends within a line."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            return file.read(1) not in (b"", b"\n")
    except OSError:
        return False


def open_mapping_log(options: RelayOptions, tell: TellMapping | None = None) -> MappingJournal:
    """The log of a relay. It is on where addresses are shared or a file is named, unless it is `off` (N-5.6.7b). Without a
    file the lines go to standard error, so that shared addresses are never unlogged by oversight. Raises LogError."""
    if options.mapping_log == "off":
        return MappingJournal(None, options.name, False, sys.stderr, tell)
    enabled = options.mapping_log is not None or options.source.shares
    return MappingJournal(options.mapping_log, options.name, enabled, sys.stderr, tell)


@dataclass(frozen=True, slots=True)
class LoggedMapping:
    """A mapping as the log has it. `internal` is an address or a prefix; `begin` and `end` are seconds since 1970, `end` None
    for a mapping that has not ended."""

    mcp: str
    internal: str
    external: str
    first_port: int
    last_port: int
    begin: float
    end: float | None

    def holds(self, address: str, port: int, at: float) -> bool:
        """Whether an external address and port were this subscriber's at a time (seconds since 1970)."""
        if not self.first_port <= port <= self.last_port or at < self.begin:
            return False
        if self.end is not None and at > self.end:
            return False
        return covers(self.external, self.internal, address)


def covers(external: str, internal: str, address: str) -> bool:
    """Whether a mapping's external part holds an address. That part is an address, a prefix, or an interface identifier
    under the subscriber's own prefix."""
    asked, given = ip_address(address), ip_network(external)
    if asked.version != given.version:
        return False
    if isinstance(given, IPv6Network) and given.prefixlen == 128 and not int(given.network_address) >> 64:
        own = int(IPv6Address(internal)) & ~IDENTIFIER
        return int(asked) == own | int(given.network_address)
    return asked in given


def find(
    lines: Iterable[str],
    address: str,
    port: int,
    at: float,
    skipped: Callable[[int], None] = lambda number: None,
) -> LoggedMapping | None:
    """The latest mapping that held an external address and port at a time, seconds since 1970; None for none.

    The end of a mapping is missing where its relay was killed; a later mapping of the same block then counts instead.
    `skipped` is called with the number of each line that is no mapping, for example because it was cut off. Raises LogError with the number
    of the first such line if no line is a mapping, and ValueError for a text that is no address.
    """
    ip_address(address)
    best: LoggedMapping | None = None
    ended: set[tuple[str, str, str, int, float]] = set()
    first_wrong, is_log = 0, False
    for number, line in enumerate(lines, start=1):
        try:
            found = _read(line)
            concerns = (
                found is not None
                and found.first_port <= port <= found.last_port
                and covers(found.external, found.internal, address)
            )
        except ValueError:
            first_wrong = first_wrong or number
            skipped(number)
            continue
        is_log = is_log or bool(line.strip())
        if found is None or not concerns:
            continue
        key = (found.mcp, found.internal, found.external, found.first_port, found.begin)
        if found.end is not None and at > found.end:
            ended.add(key)
            if (
                best is not None
                and (best.mcp, best.internal, best.external, best.first_port, best.begin) == key
            ):
                best = None
        elif found.begin <= at and key not in ended and (best is None or found.begin >= best.begin):
            best = found
    if first_wrong and not is_log:
        raise LogError(f"line {first_wrong} is not a mapping")
    return best


def _read(line: str) -> LoggedMapping | None:
    """The mapping of a line; None for a session's line or an empty one. Raises ValueError."""
    if not line.strip():
        return None
    try:
        if len(line) > MAX_LINE:
            raise ValueError
        row = json.loads(line)
        if isinstance(row, dict) and "destination" in row:
            return None
        end = row["end"]
        return LoggedMapping(
            str(row["mcp"]), str(ip_network(row["internal"])).removesuffix("/32").removesuffix("/128"),
            str(ip_network(row["external"])).removesuffix("/32").removesuffix("/128"),
            int(row["first_port"]), int(row["last_port"]), float(row["begin"]), None if end is None else float(end),
        )  # fmt: skip
    except (KeyError, TypeError, OverflowError, RecursionError):
        raise ValueError("this is not a mapping") from None
