"""The worked example of docs/design/parts.rst runs exactly as it stands there: a feature as one file and one line."""

import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.architecture import layers, rooms

PAGE = layers.ROOT / "docs" / "design" / "parts.rst"
PART = "steering/core/pipeline/management_ports.py"
FEATURES = "steering/core/features.py"
TEST = "tests/unit/core/pipeline/test_management_ports.py"


def blocks() -> dict[str, str]:
    """Caption -> the code below it."""
    found = re.findall(
        r"^\.\. code-block:: python\n   :caption: (\S+)\n\n((?:   .*\n|\n)+)", PAGE.read_text(), re.M
    )
    return {caption: textwrap.dedent(code).strip("\n") + "\n" for caption, code in found}


def loaded(name: str, code: str) -> ModuleType:
    """A module of this code, as if it had been imported."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(code, name, "exec"), module.__dict__)
    return module


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The page's blocks; what is loaded of them is forgotten afterwards."""
    for name in ("steering.core.pipeline.management_ports", "registered_features", "example_test"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    return blocks()


def registered(page: dict[str, str]) -> Any:
    """FEATURES of core/features.py with the page's import and its one line in their places."""
    import_, line = re.fullmatch(r"(from \S+ import \w+\n)\n(    \S.*\n)", page[FEATURES]).groups()  # type: ignore[union-attr]
    source = (layers.ROOT / FEATURES).read_text()
    assert source.endswith(",\n)\n"), "FEATURES is what the file ends with"
    source = (
        source.replace("from steering.", import_ + "from steering.", 1).removesuffix(")\n") + line + ")\n"
    )
    return loaded("registered_features", source).FEATURES  # type: ignore[attr-defined]


def collected(page: dict[str, str]) -> list[Any]:
    module = loaded("example_test", page[TEST])
    return [value for name, value in vars(module).items() if name.startswith("test_")]


def test_the_page_has_a_file_a_line_and_a_test(page: dict[str, str]) -> None:
    assert list(page) == [PART, FEATURES, TEST]
    assert not (layers.ROOT / PART).exists() and not (layers.ROOT / TEST).exists()


def test_the_feature_works_as_it_stands_on_the_page(
    page: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded("steering.core.pipeline.management_ports", page[PART])
    monkeypatch.setattr("steering.core.engine.FEATURES", registered(page))
    found = collected(page)
    assert len(found) == 2
    for test in found:
        test()


def test_its_tests_fail_where_the_line_is_missing(page: dict[str, str]) -> None:
    loaded("steering.core.pipeline.management_ports", page[PART])
    for test in collected(page):
        with pytest.raises(AssertionError):
            test()


def test_its_file_may_stand_in_its_room(page: dict[str, str], tmp_path: Path) -> None:
    """Its imports are such as the room allows, and the engine with the line loads without a circle."""
    for name, path in rooms.modules_in(rooms.CORE).items():
        place = tmp_path / path.relative_to(rooms.CORE)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path.read_text())
        assert name != "pipeline.management_ports"
    (tmp_path / "pipeline" / "management_ports.py").write_text(page[PART])
    assert rooms.faults_of(tmp_path, rooms.ROOMS) == []
