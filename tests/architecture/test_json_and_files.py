"""Who makes JSON and who touches files: no resource is another one's child; JSON is made in one place; nothing writes
state but `store`. Which room may import which stands in package_rooms."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import layers
from tests.architecture.package_rooms import files, imported


def test_no_resource_is_another_ones_child() -> None:
    children = [
        f"{path.name}: {node.name}"
        for path in files("northbound")
        if "resources" in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.bases and ast.unparse(node.bases[0]) != "NamedTuple"
    ]
    assert not children, children


@pytest.mark.parametrize("layer", ["core", "model", "wire"])
def test_no_json_is_made_inside(layer: str) -> None:
    found = [path.name for path in files(layer) for _, name in imported(path) if name.split(".")[0] == "json"]
    assert not found, found


def test_what_carries_rest_makes_no_json_of_its_own() -> None:
    """The server and what stands before the application send bodies that `northbound` has made."""
    carriers = [path for path in files("runtime") if "http" in path.parts]
    assert len(carriers) > 5
    found = [path.name for path in carriers for _, name in imported(path) if name.split(".")[0] == "json"]
    assert not found, found


def opens(path: Path) -> Iterator[str]:
    """Calls that open, replace or remove a file by its name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("open", "os.open", "os.replace", "os.link", "os.unlink") or called.endswith(
                (".read_text", ".write_text", ".read_bytes", ".write_bytes", ".unlink", ".open_text")
            ):
                yield f"{path.relative_to(layers.ROOT)}:{node.lineno}: {called}"


def test_the_northbound_touches_no_file_itself() -> None:
    found = [what for path in files("northbound") for what in opens(path)]
    assert not found, found


def test_kept_values_are_opened_by_the_one_reader_and_writer() -> None:
    allowed = {"private_file.py", "state_directory.py", "credentials.py"}
    found = [what for path in files("store") if path.name not in allowed for what in opens(path)]
    assert not found, found
