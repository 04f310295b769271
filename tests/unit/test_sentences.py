"""docs/files.rst: every key has a sentence, a default and an example, and every example is one that the file takes."""

import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "policies" / "schema.json").read_text())
MODELS = {name: one for name, one in SCHEMA["$defs"].items() if "properties" in one}
EXPLAINED = runpy.run_path(str(ROOT / "packaging" / "sentences.py"))["explained"](SCHEMA["$defs"])


def test_every_key_is_explained_and_nothing_else() -> None:
    keys = {(name.removesuffix("File"), key) for name, one in MODELS.items() for key in one["properties"]}
    assert len(keys) > 200
    assert sorted(keys - set(EXPLAINED)) == [] and sorted(set(EXPLAINED) - keys) == []
    poor = [at for at, told in EXPLAINED.items() if len(told.sentence) < 9 or not told.default]
    assert poor == []


def test_every_example_is_one_that_the_file_takes() -> None:
    wrong = []
    for name, one in MODELS.items():
        for key in one["properties"]:
            told = EXPLAINED[name.removesuffix("File"), key]
            if not told.example:
                continue
            schema = {"$ref": f"#/$defs/{name}/properties/{key}", "$defs": SCHEMA["$defs"]}
            if not jsonschema_rs.is_valid(schema, yaml.safe_load(told.example)):
                wrong.append((name, key, told.example))
    assert wrong == []


def test_what_is_required_is_said_to_be() -> None:
    for name, one in MODELS.items():
        for key in one.get("required", ()):
            told = EXPLAINED[name.removesuffix("File"), key]
            assert told.default == "required" or (name, key) == ("PolicyFile", "policy"), (name, key)
