"""The tests' own house: what several test modules share is in no test module, and unit tests mirror the tree."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture import layers

ROOT = layers.ROOT
TESTS = ROOT / "tests"
SAYS_NOTHING = frozenset({"helpers", "helper", "utils", "util", "common", "misc", "base"})


def imported(code: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports from `tests`, each name of a `from` import too."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module or ''}.{alias.name}" for alias in node.names]
            found = [
                f"tests{'.' * (not name.startswith('.'))}{name}" if node.level else name for name in found
            ]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == "tests")


def from_test_modules(code: str) -> list[tuple[int, str]]:
    """Those of them that are a test module, or stand in one."""
    return [
        (line, name)
        for line, name in imported(code)
        if any(part.startswith("test_") for part in name.split("."))
    ]


def test_nothing_is_imported_from_a_test_module() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, name in from_test_modules(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "from tests.unit.wire.test_mptcp import frame",
        "from tests.unit.wire import test_mptcp",
        "from .test_mptcp import frame",
        "from . import test_mptcp",
        "import tests.unit.wire.test_mptcp",
        "def test_x():\n    from tests.lab.test_pool import Written",
    ],
)
def test_the_check_of_imports_sees(code: str) -> None:
    assert from_test_modules(code)
    assert not from_test_modules(code.replace("test_mptcp", "frames").replace("test_pool", "pool"))


def test_unit_tests_stand_where_what_they_test_stands() -> None:
    unit = TESTS / "unit"
    folders = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}
    assert len(folders) > 10
    homes = {folder: ROOT if folder.parts[:1] == ("topologies",) else ROOT / "steering" for folder in folders}
    strangers = sorted(str(folder) for folder, home in homes.items() if not (home / folder).is_dir())
    assert not strangers, f"no such package in steering/, nor topologies/: {strangers}"


def test_a_module_that_tests_share_is_named_by_its_subject() -> None:
    named = [path.relative_to(ROOT) for path in TESTS.rglob("*.py") if path.stem in SAYS_NOTHING]
    assert not named, named
