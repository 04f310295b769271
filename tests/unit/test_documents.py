"""What docs/ says of the code is so: states, labs' mechanisms, tests that are named."""

import ast
import re
from pathlib import Path

import pytest

from steering.model.mechanism import Mechanism
from steering.model.policy import Policy, Terms
from steering.model.session import SessionState

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "docs" / "model.rst").read_text()


def section(title: str) -> str:
    """From a heading to the next."""
    body = MODEL.split(f"\n{title}\n", 1)[1]
    return re.split(r"\n[A-Z][^\n]*\n-{4,}\n", body)[0]


@pytest.mark.row("S-10")
def test_the_model_names_every_state_of_a_session_and_no_other():
    assert set(re.findall(r"^``([a-z-]+)``", section("States of a session"), re.M)) == set(SessionState)


@pytest.mark.row("S-10", "S-12")
def test_the_model_has_parties_messages_and_states():
    for title in ("Parties", "Messages", "Three viewpoints", "States of a session"):
        assert len(section(title)) > 200, title


@pytest.mark.row("S-11")
def test_each_assumption_names_the_test_that_breaks_it_or_says_untested():
    table = section("Assumptions, and what breaks where they do not hold")
    assumptions = re.split(r"^\d+ ", table, flags=re.M)[1:]
    assert len(assumptions) >= 7
    for text in assumptions:
        files = re.findall(r"``(tests/[\w/.]+)``", text)
        assert files or "untested" in text, text
        assert all((ROOT / name).exists() for name in files), files
        assert set(re.findall(r"--without ([a-z-]+)", text)) <= set(Mechanism)


def test_every_file_the_documents_name_exists():
    for document in (*(ROOT / "docs").rglob("*.rst"), ROOT / "CONTRIBUTING.rst", ROOT / "README.rst"):
        for name in re.findall(
            r"``((?:policies|steering|topologies|tests|docs)/[\w/]+\.\w+)``", document.read_text()
        ):
            assert (ROOT / name).exists(), f"{document.name}: {name}"


def members() -> dict[str, set[str]]:
    """Class of the product -> its methods, fields and attributes."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "steering").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                mine = found.setdefault(node.name, set())
                for one in ast.walk(node):
                    if isinstance(one, ast.FunctionDef):
                        mine.add(one.name)
                    elif isinstance(one, ast.Name | ast.Attribute) and isinstance(one.ctx, ast.Store):
                        mine.add(one.id if isinstance(one, ast.Name) else one.attr)
                    elif isinstance(one, ast.Constant):  # __slots__
                        mine.add(str(one.value))
    return found


def test_every_method_that_the_pages_of_the_design_name_exists():
    known, named = members(), 0
    for document in (ROOT / "docs" / "design").glob("*.rst"):
        for owner, member in re.findall(r"``([A-Z][a-z]\w+)\.(\w+)(?:\([^`]*\))?``", document.read_text()):
            assert member in known[owner], f"{document.name}: {owner}.{member}"
            named += 1
    assert named > 40


@pytest.mark.parametrize("default", ["B6", "B18", "B19", "B21", "B22", "B24", "B25", "B29", "B40", "B43"])
def test_each_default_that_is_another_than_proposed_stands_with_its_reason(default: str):
    table = (ROOT / "docs" / "realisations.rst").read_text().split("\nDefaults that differ\n", 1)[1]
    (row,) = re.findall(rf"^   \* - {default}\n(.*?)(?=^   \* - |\Z)", table, re.M | re.S)
    assert row.count("\n     - ") + row.startswith("     - ") == 3


def test_defaults_that_the_table_tells_are_those_of_the_code():
    policy = Policy()
    table = (ROOT / "docs" / "realisations.rst").read_text().split("\nDefaults that differ\n", 1)[1]
    weights = policy.weights
    for told in (
        f"syn_per_port: {policy.meters.syn_per_port}",
        f"location: {weights.location:g}, type: {weights.type:g}, load: {weights.load:g}",
        f"mode: {Terms().mode}",
        f"otherwise: {policy.authorization.otherwise}",
        f"block: {str(policy.cpe_acl.block).lower()}",
    ):
        assert told in table, told
