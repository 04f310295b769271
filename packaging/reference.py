"""Writes docs/files.rst and docs/api.rst from the schemas, docs/design/pipeline.rst from the table of priorities, and the
tables of docs/design/session-life.rst from the transitions; `--check` only tells whether they are up to date.

usage: python packaging/reference.py [--check]
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
Json = dict[str, Any]


def _kind(schema: Json) -> str:
    """A schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1].removesuffix("File"))
    if "enum" in schema:
        return " | ".join(f"``{value}``" for value in schema["enum"])
    if "const" in schema:
        return f"``{schema['const']}``"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_kind(s) for s in schema[key] if s.get("type") != "null"))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = str(schema.get("description") or schema.get("type", "any"))
    bounds = [(name, schema[key]) for name, key in _BOUNDS if key in schema]
    return words + "".join(f", {name} {value}" for name, value in bounds)


_BOUNDS = (("at least", "minimum"), ("above", "exclusiveMinimum"), ("at most", "maximum"))


def _table(title: str, schema: Json) -> list[str]:
    lines = [title, "-" * len(title), ""]
    if schema.get("description"):
        lines += [schema["description"].strip(), ""]
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else f"default ``{json.dumps(field.get('default'))}``"
        lines += [f"``{name}``", f"    {_kind(field)}; {default}", ""]
    return lines


def files() -> str:
    """docs/files.rst: every key of site and policy files."""
    schema = json.loads((ROOT / "policies" / "schema.json").read_text())
    lines = [
        "Site and policy files", "=====================", "",
        "Generated from ``policies/schema.json`` by ``packaging/reference.py``.", "",
    ]  # fmt: skip
    first = [ref["$ref"].rsplit("/", 1)[1] for ref in schema["oneOf"]]
    for name in [*first, *sorted(set(schema["$defs"]) - set(first))]:
        lines += _table(name.removesuffix("File"), schema["$defs"][name])
    return "\n".join(lines)


def api() -> str:
    """docs/api.rst: every operation of the northbound."""
    openapi = json.loads((ROOT / "steering" / "northbound" / "openapi.json").read_text())
    lines = [
        "Northbound API", "==============", "",
        "Generated from ``steering/northbound/openapi.json`` by ``packaging/reference.py``.", "",
    ]  # fmt: skip
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            title = f"{method.upper()} {path}"
            lines += [
                title,
                "-" * len(title),
                "",
                f"{operation['summary']}. {operation.get('description', '')}",
                "",
            ]
            for parameter in operation.get("parameters", ()):
                if "name" in parameter:
                    where, words = parameter["in"], _kind(parameter["schema"])
                    lines += [f"``{parameter['name']}`` ({where})", f"    {words}", ""]
            lines += [f"Answers: {', '.join(operation['responses'])}.", ""]
    for name, schema in openapi["components"]["schemas"].items():
        lines += _table(name, schema)
    return "\n".join(lines)


def pipeline() -> str:
    """docs/design/pipeline.rst: the tables of a switch, what stands in them, and what may follow."""
    from steering.core.pipeline.priorities import LEVELS
    from steering.model.rules import Table

    edges = sorted({(level.table, then) for level in LEVELS for then in level.then})
    lines = [
        "The pipeline of a switch", "========================", "",
        "Generated from ``steering/core/pipeline/priorities.py`` by ``packaging/reference.py``. The one place for a new",
        "priority is that file; a test refuses a rule that leads to a table its level does not name.", "",
        "Which table may follow which", "----------------------------", "", "::", "",
    ]  # fmt: skip
    for table in Table:
        after = [then.name for one, then in edges if one is table]
        lines.append(
            f"    {table.value} {table.name:<9}--> {', '.join(after) or 'a port, or the controller'}"
        )
    lines.append("")
    for table in Table:
        title = f"Table {table.value}: {table.name}"
        lines += [title, "-" * len(title), ""]
        lines += [".. list-table::", "    :header-rows: 1", "    :widths: 20 60 20", ""]
        lines += ["    * - Priority", "      - What", "      - Then"]
        for level in sorted((one for one in LEVELS if one.table is table), key=lambda one: -one.lowest):
            span = f"{level.lowest}" + (f" to {level.lowest + level.width}" if level.width else "")
            then = ", ".join(sorted(one.name for one in level.then)) or "\\-"
            lines += [f"    * - {span}", f"      - {level.what}", f"      - {then}"]
        lines.append("")
    return "\n".join(lines)


MADE = ".. Made by packaging/reference.py from steering/core/sessions/transitions.py. Do not edit what follows.\n"


def session_life() -> str:
    """docs/design/session-life.rst: what stands above MADE stays, the table and the diagram follow."""
    from steering.core.sessions.transitions import BEGINNINGS, TRANSITIONS

    rows = [("", how.value, state.value, action) for how, (state, action) in BEGINNINGS.items()]
    rows += [
        (before.value, event.value, step.state.value if step.state else "", step.action)
        for (before, event), step in TRANSITIONS.items()
    ]
    lines = [
        "",
        "The table",
        "---------",
        "",
        "An empty state: there is no session before, or none afterwards.",
        "",
    ]
    lines += [".. list-table::", "   :header-rows: 1", ""]
    cells = [("State", "Event", "Next state", "What the session table does")]
    cells += [
        (before, event, after, f"``{action.__name__}``: {(action.__doc__ or '').splitlines()[0]}")
        for before, event, after, action in rows
    ]
    for row in cells:
        for number, cell in enumerate(row):
            lines.append(f"   {'* -' if number == 0 else '  -'} {cell}".rstrip())
    lines += ["", "The diagram", "-----------", "", ".. code-block:: dot", "", "   digraph session {"]
    lines += [
        f'     "{before or "begins"}" -> "{after or "is over"}" [label="{event}"];'
        for before, event, after, _ in rows
    ]
    text = (ROOT / "docs" / "design" / "session-life.rst").read_text()
    return text.split(MADE)[0] + MADE + "\n".join([*lines, "   }", ""])


def main() -> int:
    stale = []
    for name, text in (
        ("files.rst", files()),
        ("api.rst", api()),
        ("design/pipeline.rst", pipeline()),
        ("design/session-life.rst", session_life()),
    ):
        path = ROOT / "docs" / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path))
        if "--check" not in sys.argv:
            path.write_text(text)
    print(*(stale or ["up to date"]), sep="\n")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
