"""An MCP that is registered or changed at run time: its text, and whether it fits into the site (D-6.7.7)."""

from typing import Any, NamedTuple

from steering.model.network import Site
from steering.model.numbers import Numbers
from steering.policy.language.document import Document, read_document
from steering.policy.language.findings import Code, Finding, Path, PlacelessFinding
from steering.policy.site_file import site_of

Json = dict[str, Any]
FILE = "mcp"
WHOLE = "$"  # the path of the whole text


class FieldFinding(NamedTuple):
    """A finding about a field: `addresses[0]`, `ports.inside`, WHOLE. A path that begins with `site.` is in another
    part of the site file, one with `policy.` is in the policy in force. `line` and `column`: those of the text, or
    0."""

    path: str
    line: int
    column: int
    code: Code
    message: str
    suggestion: str | None = None

    def as_json(self) -> Json:
        return {
            **self._asdict(),
            "code": str(self.code),
            "line": self.line or None,
            "column": self.column or None,
        }


class McpText:
    """The text of one MCP in YAML or JSON, in the form of an item of `mcps` in the site file."""

    def __init__(self, text: str) -> None:
        self._document: Document = read_document(text, FILE)

    @property
    def data(self) -> Json | None:
        """The MCP's data. None where the text cannot be read or has a key twice; `unread` says why."""
        return None if self._document.findings else self._document.data

    @property
    def name(self) -> str:
        """The MCP's name; empty where the text has none."""
        name = (self._document.data or {}).get("name")
        return name if isinstance(name, str) else ""

    def unread(self) -> list[FieldFinding]:
        return [_of_text(found) for found in self._document.report([])]

    def placed(self, path: Path, code: Code, message: str, suggestion: str | None = None) -> FieldFinding:
        """A finding about this MCP, at a path."""
        line, column = self._document.position(path)
        return FieldFinding(_spelled(path), line, column, code, message, suggestion)

    def findings(self, problems: list[PlacelessFinding], place: int) -> list[FieldFinding]:
        """The findings for problems of a site whose `mcps` has this MCP at index `place`."""
        found: list[FieldFinding] = []
        for one in problems:
            if one.path[:2] == ("mcps", place):
                path = one.path[2:]
                if one.code is Code.MISSING_KEY and not path:
                    path = (one.message.split("'")[1],)
                found.append(self.placed(path, one.code, one.message, one.suggestion))
            else:
                found.append(of_site(one))
        return list(dict.fromkeys(found))


def of_site(one: PlacelessFinding) -> FieldFinding:
    """A finding about another part of the site."""
    return FieldFinding(f"site.{_spelled(one.path)}", 0, 0, one.code, one.message, one.suggestion)


def of_policy(one: Finding) -> FieldFinding:
    """A finding about the policy in force."""
    return FieldFinding("policy", one.line, one.column, one.code, one.message, one.suggestion)


def with_mcps(data: Json, mcps: list[Json], kept: Numbers) -> tuple[Site | None, list[PlacelessFinding]]:
    """The site of a site file's data with `mcps` in place of the file's, and the problems. `kept`: the numbers that names
    already have."""
    return site_of({**data, "mcps": mcps}, kept)


def _of_text(found: Finding) -> FieldFinding:
    return FieldFinding(WHOLE, found.line, found.column, found.code, found.message, found.suggestion)


def _spelled(path: Path) -> str:
    """`("ports", "inside")` -> `ports.inside`, `("pools", 0)` -> `pools[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or WHOLE
