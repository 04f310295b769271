"""The rooms of `steering/relay`: each file is in one, arrows between them are those of the table, none runs in a circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import layers, package_rooms
from tests.architecture.package_rooms import circle

PACKAGE = "steering.relay"

ROOMS: dict[str, frozenset[str]] = {
    room: frozenset(may.split())
    for room, may in {
        "model": "",
        "log": "",
        "counters": "model",
        "service_manager": "",
        "options": "model",
        "loop": "log counters",
        "kernel": "model log options",
        "addresses": "model options",
        "session": "model log options loop kernel",
        "controller": "model log counters options loop kernel session",
        "observe": "model counters options loop kernel addresses session controller",
        "descriptors": "model options session controller observe",
        "reception": "model log counters options loop kernel addresses session controller",
        "relay": "model log counters options loop addresses session controller observe descriptors reception service_manager",
        "launch": "log options kernel session relay",
    }.items()
}
"""Room or single file of the relay -> what of the relay it may import besides itself."""


def files() -> list[Path]:
    return [path for path in layers.sources() if layers.layer_of(path) == "relay"]


def room_of(module: str) -> str | None:
    """The room of a module's dotted name; None for the package itself and for what is not the relay's."""
    parts = module.split(".")
    return parts[2] if parts[:2] == PACKAGE.split(".") and len(parts) > 2 else None


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of each import of a relay's module; `from room import file` counts as the file."""
    return (found for found in package_rooms.imported(path) if found[1].startswith(PACKAGE))


def verdict(importer: str, target: str) -> str | None:
    """Why an import between modules of the relay is against the table, None where it is not."""
    at, to = room_of(importer), room_of(target)
    if at is not None and target == PACKAGE:
        return f"{at} may not import the whole relay"
    if at is None or to is None or at == to:
        return None
    return None if to in ROOMS.get(at, frozenset()) else f"{at} may not import {to}"


def test_every_file_of_the_relay_is_in_a_room() -> None:
    homeless = [
        str(path) for path in files() if (room := room_of(layers.module_name(path))) and room not in ROOMS
    ]
    assert not homeless, homeless
    assert {room_of(layers.module_name(path)) for path in files()} - {None} == set(ROOMS)


def test_every_room_says_what_it_is_for() -> None:
    for path in files():
        if path.name == "__init__.py":
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            assert len(said.splitlines()) >= 3, f"{path}: three lines on what the room knows and must not"


def test_arrows_between_the_rooms_are_those_of_the_table() -> None:
    broken = [
        f"{path.relative_to(layers.ROOT)}:{line}: {why}"
        for path in files()
        for line, target in imported(path)
        if (why := verdict(layers.module_name(path), target)) is not None
    ]
    assert not broken, "\n".join(broken)


def test_the_table_says_nothing_that_no_file_needs() -> None:
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in files():
        at = room_of(layers.module_name(path))
        if at is not None:
            used[at] |= {to for _, target in imported(path) if (to := room_of(target)) is not None} - {at}
    spare = {room: sorted(ROOMS[room] - used[room]) for room in ROOMS if ROOMS[room] - used[room]}
    assert not spare, spare


def test_no_circle_of_rooms_and_none_of_files() -> None:
    assert not circle(ROOMS)
    assert not circle(
        {layers.module_name(path): {target for _, target in imported(path)} for path in files()}
    )


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("steering.relay.kernel.rules", "steering.relay.session.ident"),
        ("steering.relay.session.ident", "steering.relay.controller.agent"),
        ("steering.relay.addresses.source_pools", "steering.relay.kernel.sockets"),
        ("steering.relay.model", "steering.relay.options.values"),
        ("steering.relay.loop.poller", "steering.relay.observe.metrics"),
        ("steering.relay.loop.poller", "steering.relay"),
    ],
)
def test_the_check_sees_an_arrow_against_the_table(importer: str, target: str) -> None:
    assert verdict(importer, target) is not None


def test_the_check_sees_a_circle() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_nothing_of_the_relay_waits_by_select() -> None:
    """It raises ValueError for a descriptor of 1,024 or above, and a relay with some five hundred sessions opens no other."""
    assert not [path for path in files() if "select.select(" in path.read_text(encoding="utf-8")]
