"""Each key of site and policy files with a sentence, its real default and an example, for docs/files.rst.

Keys that policies/default.policy.yaml has are explained by its comments; all others by packaging/sentences.yaml.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
_LINE = re.compile(r"^( *)([a-z_]+):(?: +([^#\s].*?))?(?: +# (.+))?$")

Json = dict[str, Any]


class Explained(NamedTuple):
    """The explanation of a key. `example`: as in a file. `default`: words, or a value between back quotes; `required`
    where the key has no default."""

    sentence: str
    example: str
    default: str


def model_named(reference: str) -> str:
    """`#/$defs/LimitsFile` -> `Limits`."""
    return reference.rsplit("/", 1)[1].removesuffix("File")


def below(field: Json) -> str | None:
    """The name of the model of a key's value; None where the value is not a model."""
    for one in (field, *field.get("anyOf", ())):
        if "$ref" in one:
            return model_named(one["$ref"])
    return None


def explained(definitions: Json) -> dict[tuple[str, str], Explained]:
    """(model, key) -> explanation. `definitions`: `$defs` of the schema."""
    models = {name.removesuffix("File"): one for name, one in definitions.items() if "properties" in one}
    found = dict(_of_the_default_policy(models))
    told = yaml.safe_load((ROOT / "packaging" / "sentences.yaml").read_text(encoding="utf-8"))
    for model, keys in told.items():
        for key, (example, sentence, *default) in keys.items():
            fallback = f"``{json.dumps(models[model]['properties'][key].get('default'))}``"
            found[model, key] = Explained(sentence, _written(example), default[0] if default else fallback)
    return found


def _written(example: Any) -> str:
    return example if isinstance(example, str) else json.dumps(example)


def _of_the_default_policy(models: Json) -> Iterator[tuple[tuple[str, str], Explained]]:
    """The explanations in the comments of the default policy. A key whose value is a model and that has no comment refers to
    that model."""
    inside: list[tuple[int, str]] = [(-1, "Policy")]
    for line in (ROOT / "policies" / "default.policy.yaml").read_text(encoding="utf-8").splitlines():
        matched = _LINE.match(line)
        if matched is None:
            continue
        indent, key, value, comment = len(matched[1]), matched[2], matched[3], matched[4]
        while inside[-1][0] >= indent:
            inside.pop()
        model = inside[-1][1]
        deeper = below(models[model]["properties"][key])
        if deeper is not None:
            inside.append((indent, deeper))
        sentence = (comment or "").strip()
        sentence = sentence[:1].upper() + sentence[1:]
        if value is None:
            yield (
                (model, key),
                Explained(_ended(sentence or f"See ``{deeper}``"), "", f"as ``{deeper}`` says"),
            )
        else:
            yield (model, key), Explained(_ended(sentence), value, f"``{value}``")


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(".") else f"{sentence}."
