"""policies/schema.json is the generated one, takes what the program takes and refuses plain mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest

from steering.policy.language.document import read_document
from steering.policy.schema import schema, text
from tests.support.file_schema import faults
from tests.support.policy_files import EVERYTHING

FOLDER = Path(__file__).resolve().parents[3] / "policies"
SCHEMA = schema()


def wrong(data: Any) -> list[str]:
    return list(faults(SCHEMA, data, SCHEMA["$defs"]))


def read(source: str) -> Any:
    document = read_document(source, "f.yaml")
    assert document.findings == []
    return document.data


def test_the_file_is_what_the_program_generates() -> None:
    kept = (FOLDER / "schema.json").read_text(encoding="utf-8")
    assert kept == text(), "python -m steering.policy.schema > policies/schema.json"
    assert json.loads(kept) == SCHEMA


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: str(path.name))
def test_the_examples_fit(path: Path) -> None:
    assert wrong(read(path.read_text(encoding="utf-8"))) == []


def test_every_key_fits() -> None:
    assert wrong(read(EVERYTHING)) == []


@pytest.mark.parametrize(
    "source",
    [
        "policy: 2",
        "polcy: 1",
        "{policy: 1, site: 1}",
        "{policy: 1, limits: {sessions: 0}}",
        "{policy: 1, timers: {hold: 0}}",
        "{policy: 1, rules: [{name: a}]}",
        "{policy: 1, rules: [{name: a b, then: {}}]}",
        "{policy: 1, rules: [{name: a, then: {action: no}}]}",
        "{policy: 1, rules: [{name: a, then: {transports: [udp]}}]}",
        "{policy: 1, rules: [{name: a, then: {}, when: {port: []}}]}",
        "{policy: 1, rules: [{name: a, then: {}, when: {dscp: 64}}]}",
        "{policy: 1, rules: [{name: a, then: {}, when: {time: {days: monday}}}]}",
        "{policy: 1, rules: [{name: a, then: {pooling: {quota_bytes: {lte: 1}}}}]}",
        "{site: 1, mcps: [{name: a}]}",
    ],
)
def test_plain_mistakes_do_not_fit(source: str) -> None:
    assert wrong(read(source))


def test_nothing_is_open() -> None:
    for name, part in SCHEMA["$defs"].items():
        assert part["additionalProperties"] is False, name
