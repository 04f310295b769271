"""Reads YAML text into plain data, and remembers the line of every value.

It reads a bounded subset of YAML from PyYAML's events: one document of mappings, lists and scalars. Aliases, tags and
keys that are not plain text are findings, so no file can expand in memory or create objects. Plain scalars are read
by the core schema of YAML 1.2: `on`, `no` and `1:20` are text. YAML 1.1 would read a port `1:20` as 80, and a
datapath id `0000000000000010` as 8.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from steering.policy.language.findings import (
    Code,
    Finding,
    Path,
    PlacelessFinding,
    in_order,
    printable,
    quoted,
)

MAX_BYTES = 4 << 20
MAX_DEPTH = 12
MAX_VALUES = 300_000  # enough for 10,000 rules of some 20 values each
RETOLD_BYTES = (
    1 << 16
)  # up to this size PyYAML's own parser reports errors, in better words; libyaml is 25 times as fast

# Longer strings of digits stay text: sixteen digits are a datapath id in the form that every tool prints.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?([0-9]{1,15}\.[0-9]{0,30}|\.[0-9]{1,30})([eE][-+]?[0-9]{1,3})?")
_CONSTANTS: dict[str, bool | None] = {"": None, "~": None}
for _word, _meaning in (("null", None), ("true", True), ("false", False)):
    _CONSTANTS |= dict.fromkeys((_word, _word.title(), _word.upper()), _meaning)

_GIVEN = (
    "/dev/stdin",
    "/dev/fd/",
    "/proc/self/fd/",
)  # files that the caller of the command has opened already

TextPosition = tuple[int, int]
_START: TextPosition = (1, 1)


class _Stop(Exception):
    """There was a finding after which reading cannot go on."""


@dataclass(slots=True)
class Document:
    """A document as read. `data` is None when the text could not be read to its end; `findings` say why."""

    file: str
    data: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    values: dict[Path, TextPosition] = field(default_factory=dict)
    keys: dict[Path, TextPosition] = field(default_factory=dict)
    broken: set[Path] = field(
        default_factory=set
    )  # paths that have a finding already, so their values do not count

    def position(self, path: Path, at_key: bool = False) -> TextPosition:
        """Line and column of the value at `path`, or of the nearest value that contains it."""
        if at_key and path in self.keys:
            return self.keys[path]
        path = self._in_list(path)
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, _START)

    def _in_list(self, path: Path) -> Path:
        """The path with an index in place of a list item that stands at its end."""
        if not path or path in self.values:
            return path
        value: Any = self.data
        for part in path[:-1]:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
                value = value[part]
        if isinstance(value, list) and path[-1] in value:
            return (*path[:-1], value.index(path[-1]))
        return path

    def report(self, problems: list[PlacelessFinding]) -> list[Finding]:
        """All findings: those of reading, and `problems` without those about values that could not be read."""
        found = list(self.findings)
        for problem in problems:
            if any(problem.path[:length] in self.broken for length in range(len(problem.path) + 1)):
                continue
            line, column = self.position(problem.path, problem.at_key)
            found.append(Finding(self.file, line, column, problem.code, problem.message, problem.suggestion))
        return in_order(found)


def read_document(text: str, file: str) -> Document:
    """Read one YAML document. Mistakes become findings; this function never raises."""
    fast: Any = getattr(yaml, "CSafeLoader", None)
    if fast is not None:
        document, understood = _read(text, file, fast)
        if understood or len(text) > RETOLD_BYTES:
            return document
    return _read(text, file, yaml.SafeLoader)[0]


def _read(text: str, file: str, loader: Any) -> tuple[Document, bool]:
    """The document, and whether the parser could follow the text."""
    document = Document(file)
    if len(text) > MAX_BYTES:
        _note(document, _START, Code.TOO_LARGE, f"the file is larger than {MAX_BYTES} bytes")
        return document, True
    try:
        data = _Reader(document, text, loader).document()
    except _Stop:
        return document, True
    except yaml.reader.ReaderError as error:
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        at = found.start() if found else min(error.position, len(text) - 1)
        line = text.count("\n", 0, at) + 1
        message = f"character 0x{ord(text[at]):02x} may not stand in a YAML file"
        _note(document, (line, 1), Code.YAML, message)
        return document, False
    except yaml.MarkedYAMLError as error:
        _note_syntax(document, error)
        return document, False
    except (ValueError, OverflowError):  # PyYAML calls chr() even for "\\UFFFFFFFF"
        _note(document, _START, Code.YAML, "not YAML: an escape in quoted text names no character")
        return document, False
    if isinstance(data, dict):
        document.data = data
    elif () not in document.broken:
        _note(
            document, document.position(()), Code.WRONG_TYPE, "the file must be keys and values (key: value)"
        )
    return document, True


def _regular(path: str, flags: int) -> int:
    """Open a regular file without ever blocking. Raises OSError for another kind of file. A directory is opened: reading it
    raises an error that names it as one."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return descriptor
    os.close(descriptor)
    kind = "a FIFO" if stat.S_ISFIFO(mode) else "a device" if not stat.S_ISSOCK(mode) else "a socket"
    raise OSError(errno.EINVAL, f"it is {kind}; a file is wanted")


def load_text(path: str) -> tuple[str | None, list[Finding]]:
    """A file's text, or the finding that says why there is none. At most MAX_BYTES are read. A FIFO, a device or a socket
    is refused, as reading could block for ever. Files that the caller has opened (`-`, `<(...)`) are read."""
    try:
        with open(path, "rb", opener=None if path.startswith(_GIVEN) else _regular) as source:
            raw = source.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return None, [Finding(path, 1, 1, Code.UNREADABLE, f"cannot be read: {reason}")]
    if len(raw) > MAX_BYTES:
        return None, [Finding(path, 1, 1, Code.TOO_LARGE, f"the file is larger than {MAX_BYTES} bytes")]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8 text"
        return None, [Finding(path, line, column, Code.NOT_UTF8, message)]


def _note(document: Document, position: TextPosition, code: Code, message: str) -> None:
    document.findings.append(Finding(document.file, *position, code, message))


def _note_syntax(document: Document, error: yaml.MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    position = (mark.line + 1, mark.column + 1) if mark else _START
    problem = printable(" ".join(str(error.problem or error.context or "cannot be read").split()))
    if "'\\t'" in problem:
        _note(document, position, Code.TAB, "a tab stands where YAML wants spaces")
        return
    hint = ""
    if "found ':'" in problem:
        hint = ' (an address that begins with a colon needs quotes here: "::/0")'
    _note(document, position, Code.YAML, f"not YAML: {problem}{hint}")


class _Reader:
    """Builds data from events. Depth and number of values are bounded, and so is recursion."""

    def __init__(self, document: Document, text: str, loader: Any) -> None:
        self._document = document
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=loader)
        self._count = 0

    def document(self) -> Any:
        """The data of the only document."""
        self._next()  # stream start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            self._stop(event, Code.EMPTY, "the file is empty")
        data = self._value(self._next(), ())
        self._next()  # document end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop(event, Code.SEVERAL_DOCUMENTS, "a second document begins here; a file holds one")
        return data

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _position(self, event: yaml.Event) -> TextPosition:
        mark = event.start_mark
        return (mark.line + 1, mark.column + 1) if mark else _START

    def _stop(self, event: yaml.Event, code: Code, message: str) -> None:
        _note(self._document, self._position(event), code, message)
        raise _Stop

    def _break(self, event: yaml.Event, path: Path, code: Code, message: str) -> None:
        self._document.broken.add(path)
        _note(self._document, self._position(event), code, message)

    def _value(self, event: yaml.Event, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            self._stop(event, Code.TOO_MANY_VALUES, f"more than {MAX_VALUES} values in one file")
        if len(path) > MAX_DEPTH:
            self._stop(event, Code.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels")
        self._document.values[path] = self._position(event)
        if isinstance(event, yaml.AliasEvent):
            self._break(event, path, Code.ALIAS, f"alias {quoted(f'*{event.anchor}')}: write the value out")
            return None
        assert isinstance(event, yaml.NodeEvent)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._break(event, path, Code.TAG, f"tag {quoted(tag)}: values carry no YAML tags here")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key is None or key in items:
                # The value is read all the same, and its position is kept under a path that no check uses.
                hidden = (*path, "", self._count)
                if key is not None:
                    line = self._document.keys[(*path, key)][0]
                    self._break(
                        event, hidden, Code.DUPLICATE_KEY, f"key {quoted(key)} stands already in line {line}"
                    )
                self._value(self._next(), hidden)
                continue
            self._document.keys[(*path, key)] = self._position(event)
            items[key] = self._value(self._next(), (*path, key))
        return items

    def _key(self, event: yaml.Event, path: Path) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and event.tag is None and event.value:
            return str(event.value)
        hidden = (*path, "", self._count)
        if isinstance(event, yaml.ScalarEvent):
            message = "a key is missing before ':'" if not event.value else "a key carries no YAML tag"
            self._break(event, hidden, Code.BAD_KEY, message)
        else:
            self._break(event, hidden, Code.BAD_KEY, "a key must be plain text")
            self._value(event, hidden)
        return None


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = str(event.value)
    if event.style:  # quoted or block text
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
