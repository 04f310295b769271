"""Findings about site and policy files, and their texts."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

Path = tuple[str | int, ...]
"""The place of a value in a file: keys and list indexes from the top, like ("mcps", 0, "port")."""

MAX_FINDINGS = 200
MAX_QUOTED = 60


class Code(StrEnum):
    """The kinds of findings, by which programs tell them apart (`steering check --json`)."""

    UNKNOWN_AUTHORIZER = "unknown-authorizer"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too-large"
    NOT_UTF8 = "not-utf-8"
    YAML = "yaml"
    TAB = "tab"
    ALIAS = "alias"
    TAG = "tag"
    TOO_DEEP = "too-deep"
    TOO_MANY_VALUES = "too-many-values"
    SEVERAL_DOCUMENTS = "several-documents"
    EMPTY = "empty"
    DUPLICATE_KEY = "duplicate-key"
    BAD_KEY = "bad-key"
    WRONG_FILE = "wrong-file"
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    WRONG_TYPE = "wrong-type"
    OUT_OF_RANGE = "out-of-range"
    BAD_VALUE = "bad-value"
    UNSUPPORTED = "unsupported"
    DUPLICATE_NAME = "duplicate-name"
    UNKNOWN_SWITCH = "unknown-switch"
    UNKNOWN_PORT = "unknown-port"
    DUPLICATE_SWITCH = "duplicate-switch"
    UNREACHABLE_SWITCH = "unreachable-switch"
    PORT_TAKEN = "port-taken"
    LINK_PORT = "link-port"
    LINK_LOOP = "link-loop"
    MCP_PORTS = "mcp-ports"
    OVERLAPPING_PREFIX = "overlapping-prefix"
    MCP_IN_PREFIX = "mcp-in-prefix"
    DUPLICATE_ADDRESS = "duplicate-address"
    GATEWAY_OUTSIDE_PREFIX = "gateway-outside-prefix"
    GATEWAY_MISSING = "gateway-missing"
    GATEWAY_IS_MCP = "gateway-is-mcp"
    GATEWAY_IN_PREFIX = "gateway-in-prefix"
    NEXT_HOP = "next-hop"
    SOURCE_POOL = "source-pool"
    NO_ACCESS_NETWORK = "no-access-network"
    NO_GATEWAY = "no-gateway"
    NOT_PUBLIC = "not-public"
    LIMITS = "limits"
    UNKNOWN_MCP = "unknown-mcp"
    UNKNOWN_ACCESS = "unknown-access-network"
    UNKNOWN_SUBSCRIBER = "unknown-subscriber"
    UNKNOWN_CLASS = "unknown-class"
    UNKNOWN_APPLICATION = "unknown-application"
    SHADOWED_RULE = "shadowed-rule"
    EMPTY_CANDIDATES = "empty-candidates"
    CONTRADICTION = "contradiction"
    CROSS_FAMILY = "cross-family"
    NEVER_MATCHES = "never-matches"
    PROACTIVE = "proactive"
    TOO_MANY_FINDINGS = "too-many-findings"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in a file. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    code: Code
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f" (did you mean '{self.suggestion}'?)" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.message}{hint}"

    def as_json(self) -> dict[str, Any]:
        """{"file", "line", "column", "code", "message", "suggestion"}."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": str(self.code),
            "message": self.message,
            "suggestion": self.suggestion,
        }


@dataclass(frozen=True, slots=True)
class PlacelessFinding:
    """A finding with a path, whose line is not known yet. `at_key`: it is about the key, not about its value."""

    path: Path
    code: Code
    message: str
    suggestion: str | None = None
    at_key: bool = False


def quoted(value: object) -> str:
    """A part of a file for a message: short, and without control characters."""
    text = value if isinstance(value, str) else str(value)
    shown = text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."
    return f"'{printable(shown)}'"


def printable(text: str) -> str:
    """Text in which control characters are written out, so that a file cannot control a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known word that the writer most likely meant; None when none is similar."""
    if not isinstance(word, str) or len(word) > MAX_QUOTED:
        return None
    near = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def in_order(findings: list[Finding]) -> list[Finding]:
    """Findings in the order of line and column, without repetitions, and only as many as a person reads."""
    ordered = sorted(set(findings), key=lambda f: (f.line, f.column, f.code, f.message))
    if len(ordered) <= MAX_FINDINGS:
        return ordered
    last = ordered[MAX_FINDINGS - 1]
    rest = len(ordered) - MAX_FINDINGS
    more = Finding(last.file, last.line, last.column, Code.TOO_MANY_FINDINGS, f"and {rest} more findings")
    return [*ordered[:MAX_FINDINGS], more]
