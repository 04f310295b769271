"""docs/threats.rst and docs/security.rst name a control for each threat and a test for each control; all of those tests
exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threats.rst").read_text()
_ROW = re.compile(r"^   \* - (.*?)(?=^   \* - |^\S|\Z)", re.M | re.S)
ROWS = [re.split(r"^     - ", row, flags=re.M) for row in _ROW.findall(TEXT)][1:]
ATTEMPTS = [
    row
    for found in _ROW.findall((ROOT / "docs" / "security.rst").read_text())
    if (row := re.split(r"^     - ", found, flags=re.M))[0].strip() != "It tries"
]


def _id(row: list[str]) -> str:
    return " ".join(row[0].split())[:40]


@pytest.mark.row("D-7.1", "N-7.0")
@pytest.mark.parametrize("row", ROWS, ids=_id)
def test_each_threat_has_a_control_and_its_tests_exist(row: list[str]) -> None:
    threat, source, control, tests = row
    assert all(part.strip() for part in (threat, source, control))
    _exist(tests, threat)


@pytest.mark.row("D-7.1", "N-7.0")
@pytest.mark.parametrize("row", ATTEMPTS, ids=_id)
def test_what_becomes_of_each_attempt_is_said_and_its_tests_exist(row: list[str]) -> None:
    attempt, outcome, tests = row
    assert attempt.strip() and outcome.strip()
    _exist(tests, attempt)


def _exist(tests: str, of: str) -> None:
    """Each test that a cell names is in its file."""
    named = re.findall(r"``([^`]+)``", tests)
    assert named, of
    for name in named:
        file, _, function = name.partition("::")
        text = (ROOT / "tests" / file).read_text()
        found = re.findall(r"^(?:    )?def (test_\w+)\(", text, re.M)
        assert function in found if function else found, name


@pytest.mark.row("D-7.1", "N-7.0")
def test_no_document_of_threats_is_left_out() -> None:
    sources = " ".join(row[1] for row in ROWS)
    for wanted in ("RFC 6181 5", "RFC 6181 6.1", "RFC 6181 6.2", "RFC 6181 6.3", "RFC 8684 5", "RFC 7430 2",
                   "RFC 7430 3", "RFC 7430 4", "RFC 7430 5", "draft-deng 7", "draft-nam 7.1", "draft-nam 7.2",
                   "draft-nam 7.3"):  # fmt: skip
        assert wanted in sources, wanted
    assert len(ROWS) >= 15
