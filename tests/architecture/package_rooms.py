"""The rooms of packages beside `core`: what each may import from the others of its package.

A file at the top of a package is a room of its own; a folder is one. What only types need counts like any other import.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.architecture import layers

ROOMS: Mapping[str, Mapping[str, frozenset[str]]] = {
    package: {room: frozenset(may.split()) for room, may in rooms.items()}
    for package, rooms in {
        "openflow": {
            "messages": "",
            "fastpath": "",
            "line": "messages",
            "budgets": "messages",
            "ports": "messages budgets",
            "connection": "messages fastpath budgets ports",
            "polls": "messages line ports",
            "switch_tables": "messages line polls",
            "discovery": "",
            "peers": "messages line budgets connection",
            "dispatch": "messages",
            "switch_errors": "messages",
            "statistics": "messages connection polls switch_tables",
            "slices": "",
            "turn_end": "",
            "engine_feed": "fastpath",
            "traced_feed": "engine_feed",
            "app": "messages fastpath budgets ports connection switch_tables discovery dispatch switch_errors statistics "
            "slices turn_end engine_feed traced_feed",
        },
        "runtime": {
            "hub": "",
            "settings": "",
            "logs": "",
            "tokens": "",
            "collector": "",
            "introduction": "",
            "state_keeper": "",
            "aaa": "",
            "orders": "",
            "traces": "settings",
            "cluster": "settings",
            "workers": "settings logs",
            "http": "settings cluster",
            "controller": "settings state_keeper aaa orders traces cluster http",
            "launcher": "hub settings logs collector http controller",
            "application": "hub settings http controller",
        },
        "cli": {
            "main": "",
            "arguments": "",
            "progress": "",
            "wording": "",
            "table": "",
            "compression": "",
            "machine": "",
            "state_dirs": "",
            "site_commands": "",
            "relay_arguments": "",
            "capture": "compression",
            "drawing": "wording",
            "examination": "machine",
            "reasons": "table wording",
            "client": "progress wording state_dirs",
            "actions": "client table",
            "clock": "actions client table",
            "commands": "main arguments progress wording table machine state_dirs site_commands relay_arguments capture drawing "
            "examination reasons client actions clock",
        },
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


def files(package: str) -> list[Path]:
    """The package's files in a stable order."""
    return [path for path in layers.sources() if layers.layer_of(path) == package]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of each import; `from room import file` counts as the file, and relative ones are resolved."""
    yield from imported_of(ast.parse(path.read_text(encoding="utf-8"), str(path)), layers.package_of(path))


def imported_of(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """As `imported`, for a parsed file. `package`: where relative imports start."""
    for node in ast.walk(tree):
        for name in layers.imported_names(node, package):
            whole = layers.ROOT / name.replace(".", "/")
            is_module = isinstance(node, ast.Import) or whole.with_suffix(".py").exists() or whole.is_dir()
            yield node.lineno, name if is_module else name.rpartition(".")[0]  # type: ignore[attr-defined]


def verdict(importer: str, target: str, package: str) -> str | None:
    """Why an import between modules of a package is against the table, None where it is not."""
    at, to = room_of(importer, package), room_of(target, package)
    if at is not None and target == f"steering.{package}":
        return f"{at} may not import the whole package"
    if at is None or to is None or at == to:
        return None
    return None if to in ROOMS[package].get(at, frozenset()) else f"{at} may not import {to}"


def circle(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """The modules or rooms of one circle, empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def spare(package: str) -> dict[str, list[str]]:
    """Room -> rooms that the table lets it import and that no file of it does."""
    used: dict[str, set[str]] = {room: set() for room in ROOMS[package]}
    for path in files(package):
        at = room_of(layers.module_name(path), package)
        if at in used:
            used[at] |= {to for _, target in imported(path) if (to := room_of(target, package)) is not None}
    return {room: sorted(may - used[room]) for room, may in ROOMS[package].items() if may - used[room]}
