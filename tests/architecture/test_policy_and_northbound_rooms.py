"""The rooms of `steering/policy` and `steering/northbound`: arrows between them are those of the table, and so acyclic;
no resource is another one's child; JSON is made in one place; nothing writes state but `store`."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture import layers

ROOMS: dict[str, dict[str, frozenset[str]]] = {
    package: {room: frozenset(may.split()) for room, may in rooms.items()}
    for package, rooms in {
        "policy": {
            "language": "",
            "site": "language",
            "rules": "language",
            "checks": "language site rules",
            "site_draft": "",
            "site_file": "language site checks",
            "site_mcps": "language site_file",
            "policy_file": "language rules checks",
            "policy_process": "language policy_file",
            "schema": "language site rules",
        },
        "northbound": {
            "auth": "",
            "http": "auth",
            "schema": "http",
            "resources": "http auth schema",
            "openapi": "http schema resources",
            "composition": "auth http schema resources openapi",
        },
    }.items()
}
"""Package -> room or single file -> what of the package it may import besides itself."""


def room_of(module: str, package: str) -> str | None:
    """The room of a dotted name; None for the package itself and for what is not in it."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["steering", package] and len(parts) > 2 else None


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of each import; `from package import room` counts as the room."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def verdict(importer: str, target: str, package: str) -> str | None:
    """Why an import is against the table, None where it is not."""
    at, to = room_of(importer, package), room_of(target, package)
    if at is None or to is None or at == to:
        return None
    return None if to in ROOMS[package].get(at, frozenset()) else f"{at} may not import {to}"


def files(package: str) -> list[Path]:
    return [path for path in layers.sources() if layers.layer_of(path) == package]


@pytest.mark.parametrize("package", ROOMS)
def test_every_file_is_in_a_room(package: str) -> None:
    found = {room_of(layers.module_name(path), package) for path in files(package)}
    assert found == set(ROOMS[package]) | {None}


@pytest.mark.parametrize("package", ROOMS)
def test_arrows_between_rooms_are_those_of_the_table_which_has_no_circle(package: str) -> None:
    TopologicalSorter(ROOMS[package]).prepare()
    broken = [
        f"{path.relative_to(layers.ROOT)}:{line}: {why}"
        for path in files(package)
        for line, target in imported(path)
        if (why := verdict(layers.module_name(path), target, package)) is not None
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("package", "importer", "target"),
    [
        ("policy", "steering.policy.language.x", "steering.policy.rules.plan"),
        ("policy", "steering.policy.site.x", "steering.policy.rules.plan"),
        ("northbound", "steering.northbound.http.x", "steering.northbound.resources.routes"),
        ("northbound", "steering.northbound.schema.x", "steering.northbound.resources.links"),
        ("northbound", "steering.northbound.auth.x", "steering.northbound.http.problems"),
    ],
)
def test_the_check_of_rooms_sees(package: str, importer: str, target: str) -> None:
    assert verdict(importer, target, package) is not None


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
