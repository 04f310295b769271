"""Who makes JSON and who touches files: no resource is another one's child; JSON is made in one place; nothing writes
state but `store`. Which room may import which stands in package_rooms."""

import ast
import re
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


# Not state: the socket of an earlier process of that name is removed.
REMOVES_A_SOCKET = "steering/runtime/cluster/peer_places.py"
METHODS = (".write_text", ".write_bytes", ".unlink", ".mkdir", ".rename")
FUNCTIONS = frozenset(
    {"os.replace", "os.rename", "os.remove", "os.unlink", "os.link", "os.mkdir", "os.makedirs", "os.truncate"}
)


def writes(tree: ast.AST) -> list[int]:
    """Lines of calls that make, change or remove a file."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        place = node.args[1:2] if called == "open" else node.args[:1]  # of the mode
        modes = [
            one.value
            for one in (*place, *(given.value for given in node.keywords if given.arg == "mode"))
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        opened = called == "open" or called.endswith(".open")
        to_write = opened and any(re.fullmatch("[rbt]*[wax+][wrbt+]*", mode) for mode in modes)
        flags = ast.unparse(node) if called == "os.open" else ""
        changes = called.endswith(METHODS) or called in FUNCTIONS
        if to_write or changes or re.search("O_WRONLY|O_RDWR|O_CREAT", flags):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    "layer", ["wire", "model", "core", "policy", "openflow", "northbound", "cluster", "runtime"]
)
def test_what_outlives_the_controller_is_written_by_the_store_alone(layer: str) -> None:
    found = [
        f"{name}:{line}"
        for path in files(layer)
        if (name := path.relative_to(layers.ROOT).as_posix()) != REMOVES_A_SOCKET
        for line in writes(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, found


@pytest.mark.parametrize(
    "code",
    [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('r+')",
        "os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)",
        "Path('x').write_text(text)",
        "def f():\n    os.replace(a, b)",
        "self._path.unlink(missing_ok=True)",
    ],
)
def test_a_call_that_writes_is_found(code: str) -> None:
    assert writes(ast.parse(code))
    for harmless in (
        "open(path, 'rb')",
        "open('a')",
        "os.open(path, flags)",
        "self._store.write(name, text)",
        "text.replace('a', 'w')",
    ):
        assert not writes(ast.parse(harmless)), harmless


def test_the_northbound_touches_no_file_itself() -> None:
    found = [what for path in files("northbound") for what in opens(path)]
    assert not found, found


def test_kept_values_are_opened_by_the_one_reader_and_writer() -> None:
    allowed = {"private_file.py", "state_directory.py", "credentials.py"}
    found = [what for path in files("store") if path.name not in allowed for what in opens(path)]
    assert not found, found
