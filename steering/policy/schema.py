"""JSON Schema of policy and site files, for editors: `python -m steering.policy.schema > policies/schema.json`.

The schema has types and bounds. Only `steering policy check` tells whether the parts of a file fit together.
"""

import json
from enum import StrEnum
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from steering.policy.language.fields import PortName
from steering.policy.rules.policy_schema import PolicyFile
from steering.policy.site.schema import SiteFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


_TYPES: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    str: ("string",),
}


class _Generator(GenerateJsonSchema):
    """Leaves out defaults that are values of the program and not of the file, such as 1020 for 17:00."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = self.generate_inner(schema["schema"])
        default = schema.get("default")
        if isinstance(default, StrEnum):
            default = default.value
        if made.get("type") in _TYPES.get(type(default), ()):
            return {**made, "default": default}
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # a title would only repeat the key


def schema() -> dict[str, Any]:
    """The schema. A file is a policy or a site; both are under `$defs`."""
    _, whole = models_json_schema(
        [(PolicyFile, "validation"), (SiteFile, "validation")],
        title="steering policy and site files",
        schema_generator=_Generator,
    )
    return {
        "$schema": DIALECT,
        "title": whole["title"],
        "oneOf": [{"$ref": "#/$defs/PolicyFile"}, {"$ref": "#/$defs/SiteFile"}],
        "$defs": {name: part for name, part in sorted(whole["$defs"].items()) if _is_file(name)},
    }


def _is_file(name: str) -> bool:
    return name != PortName.__name__  # a switch port is one text in a file, and a pair only in the program


def text() -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    print(text(), end="")
