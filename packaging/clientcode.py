"""Writes records.py, operations.py and asynchronous_operations.py of steering/client from the OpenAPI description of the controller.

usage: python packaging/clientcode.py [--check]
"""

import json
import keyword
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / "steering" / "client"
WIDTH = 108
HEAD = "Written by packaging/clientcode.py from steering/northbound/openapi.json; not to be changed by hand."

Json = dict[str, Any]
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Records:
    """The schemas as TypedDicts. An object within an object gets a name made from the outer object's name and the key."""

    def __init__(self, schemas: Json) -> None:
        self._lines: list[str] = []
        self._schemas = schemas

    def text(self) -> str:
        for name, schema in self._schemas.items():
            if "properties" in schema:
                self._record(name, schema)
            else:
                self._lines.append(f"{name} = {self._type(name, schema)}")
        return "\n".join(
            [
                '"""The bodies of requests and answers as types.', "", f'{HEAD}', '"""', "",
                "# ruff: noqa: UP013", "# fmt: off", "from typing import Any, Literal, NotRequired, TypedDict", "",
                *self._lines, "",
            ]
        )  # fmt: skip

    def _record(self, name: str, schema: Json) -> None:
        required = set(schema.get("required", ()))
        fields = []
        for key, field in schema["properties"].items():
            told = self._type(f"{name}{''.join(word.capitalize() for word in key.split('_'))}Part", field)
            fields.append(f'"{key}": {told if key in required else f"NotRequired[{told}]"}')
        whole = f'{name} = TypedDict("{name}", {{{", ".join(fields)}}})'
        if len(whole) > WIDTH:
            body = textwrap.wrap(
                ", ".join(fields).replace(" | ", "_|_").replace(": ", ":_"), WIDTH - 4, break_long_words=False,
                break_on_hyphens=False,
            )  # fmt: skip
            rows = [f"    {row}".replace("_|_", " | ").replace(":_", ": ") for row in body]
            whole = "\n".join([f'{name} = TypedDict("{name}", {{', *rows, "})"])
        self._lines.append(whole)

    def _type(self, name: str, schema: Json) -> str:
        if "$ref" in schema:
            return f'"{schema["$ref"].rsplit("/", 1)[1]}"'
        if "enum" in schema:
            return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
        if "const" in schema:
            return f"Literal[{json.dumps(schema['const'])}]"
        if "anyOf" in schema or "oneOf" in schema:
            told = [
                self._type(f"{name}{at or ''}", one)
                for at, one in enumerate(schema.get("anyOf") or schema["oneOf"])
            ]
            # Python does not allow a quoted name beside `|`. So the whole type is quoted as one forward reference.
            joined = " | ".join(dict.fromkeys(one.strip('"') if one.startswith('"') else one for one in told))
            return f'"{joined}"' if any(one.startswith('"') for one in told) else joined
        if schema.get("type") == "array":
            items = schema.get("items")
            return f"list[{self._type(name, items) if items else 'Any'}]"
        if "properties" in schema:
            self._record(name, schema)
            return f'"{name}"'
        if schema.get("type") == "object":
            inner = schema.get("additionalProperties")
            return f"dict[str, {self._type(name, inner) if isinstance(inner, dict) and inner else 'Any'}]"
        kind = schema.get("type")
        return _PLAIN.get(str(kind), "Any")


def _argument(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name.lower().replace("-", "_")


def _operation(path: str, method: str, told: Json, awaited: bool) -> Iterator[str]:
    """One method of the client. `awaited`: as a coroutine."""
    parameters = told.get("parameters", [])
    inside = [one["name"] for one in parameters if one["in"] == "path"]
    asked = [one for one in parameters if one["in"] == "query"]
    match = next((one for one in parameters if one["name"] == "If-Match"), None)
    content = told.get("requestBody", {}).get("content", {})
    success = next(answer for status, answer in told["responses"].items() if status.startswith("2"))
    (media,) = success["content"].values()
    answer = media["schema"].get("$ref", "").rsplit("/", 1)[-1]
    answer = f"records.{answer}" if answer else "dict[str, Any]"
    words = ["self", *(f"{_argument(name)}: str" for name in inside)]
    text = any("yaml" in kind for kind in content)
    if text:
        words.append("text: str")
    elif content:
        (body,) = content.values()
        words.append(f"body: records.{body['schema']['$ref'].rsplit('/', 1)[-1]}")
    if asked or match:
        words.append("*")
        words += [f"{_argument(one['name'])}: {_query_type(one['schema'])} | None = None" for one in asked]
        if match:
            words.append('if_match: str = "*"')
    steps = ", ".join(
        _argument(step.strip("{}")) if step.startswith("{") else json.dumps(step)
        for step in path.removeprefix("/v1/").split("/")
    )
    given = [f'"{method.upper()}"', f"[{steps}]"]
    if text:
        given.append("text=text")
    elif content:
        given.append("body=body")
    if asked:
        given.append(
            "query={" + ", ".join(f'"{one["name"]}": {_argument(one["name"])}' for one in asked) + "}"
        )
    if match:
        given.append("if_match=if_match")
    yield f"    {'async ' if awaited else ''}def {told['operationId']}({', '.join(words)}) -> {answer}:"
    yield f'        """{told["summary"]}. {told["description"]}"""'
    asks = f"{'await ' if awaited else ''}self._ask({', '.join(given)})"
    yield f"        return {asks}" if answer.startswith("dict") else f"        return cast({answer}, {asks})"
    yield ""


def _query_type(schema: Json) -> str:
    if "enum" in schema and set(schema["enum"]) <= {"0", "1", "false", "true", ""}:
        return "bool"
    return _PLAIN.get(str(schema.get("type")), "str")


def operations(description: Json, awaited: bool) -> str:
    """The methods of the client, in the order of the routes. `awaited`: as coroutines."""
    name, of = (
        ("AsyncOperations", "an AsyncSteeringClient") if awaited else ("Operations", "a SteeringClient")
    )
    lines = [
        '"""What a controller can be asked and told, a method each.', "", HEAD, '"""', "", "# fmt: off",
        "from collections.abc import Mapping, Sequence", "from typing import Any, cast", "",
        "from steering.client import records", "", "",
        f"class {name}:",
        '    """Every route of the REST interface that answers with JSON. Methods raise what `ControllerClient` raises."""', "",
        f"    {'async ' if awaited else ''}def _ask(",
        "        self, method: str, path: Sequence[str], *, body: Mapping[str, Any] | None = None, text: str | None = None,",
        "        query: Mapping[str, object] | None = None, if_match: str | None = None,",
        "    ) -> dict[str, Any]:",
        '        """Send a request; the body of its answer."""',
        f'        raise TypeError("{name} are those of {of}")', "",
    ]  # fmt: skip
    for path, methods in description["paths"].items():
        for method, told in methods.items():
            success = next(answer for status, answer in told["responses"].items() if status.startswith("2"))
            if path.startswith("/v1/") and "application/json" in success["content"]:
                lines += _operation(path, method, told, awaited)
    return "\n".join(lines)


def main() -> int:
    description = json.loads((ROOT / "steering" / "northbound" / "openapi.json").read_text())
    wanted = {
        FOLDER / "records.py": Records(description["components"]["schemas"]).text(),
        FOLDER / "operations.py": operations(description, awaited=False),
        FOLDER / "asynchronous_operations.py": operations(description, awaited=True),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: python packaging/clientcode.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
