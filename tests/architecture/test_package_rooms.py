"""The rooms of packages: each file is in one, arrows between them are those of the table, none runs in a circle."""

import ast

import pytest

from steering.cli.main import COMMANDS
from tests.architecture import layers, package_rooms


@pytest.mark.parametrize("package", package_rooms.ROOMS)
def test_every_file_of_a_package_is_in_a_room(package: str) -> None:
    found = {
        package_rooms.room_of(layers.module_name(path), package) for path in package_rooms.files(package)
    }
    assert found == set(package_rooms.ROOMS[package]) | {None}


@pytest.mark.parametrize("package", package_rooms.ROOMS)
def test_every_room_of_a_package_says_what_it_is_for(package: str) -> None:
    for path in package_rooms.files(package):
        if path.name == "__init__.py" and path.parent.name != package:
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            assert len(said.splitlines()) >= 3, f"{path}: three lines on what the room knows and must not"


def test_every_package_says_what_it_is_for() -> None:
    paths = sorted((layers.ROOT / "steering").glob("*/__init__.py"))
    assert {path.parent.name for path in paths} >= {"core", "openflow", "runtime", "wire"}
    for path in paths:
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert len(said.splitlines()) >= 3, f"{path}: three lines on what the package knows and must not"


@pytest.mark.parametrize("package", package_rooms.ROOMS)
def test_arrows_between_the_rooms_of_a_package_are_those_of_its_table(package: str) -> None:
    broken = [
        f"{path.relative_to(layers.ROOT)}:{line}: {why}"
        for path in package_rooms.files(package)
        for line, target in package_rooms.imported(path)
        if (why := package_rooms.verdict(layers.module_name(path), target, package)) is not None
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("package", package_rooms.ROOMS)
def test_the_table_of_a_package_says_nothing_that_no_file_needs(package: str) -> None:
    assert package_rooms.spare(package) == {}


@pytest.mark.parametrize("package", package_rooms.ROOMS)
def test_no_circle_of_rooms_and_none_of_files_in_a_package(package: str) -> None:
    assert not package_rooms.circle(package_rooms.ROOMS[package])
    assert not package_rooms.circle(
        {
            layers.module_name(path): {target for _, target in package_rooms.imported(path)}
            for path in package_rooms.files(package)
        }
    )


@pytest.mark.parametrize(
    ("package", "importer", "target"),
    [
        ("openflow", "steering.openflow.messages.x", "steering.openflow.connection.channel"),
        ("openflow", "steering.openflow.polls.x", "steering.openflow.switch_tables.sender"),
        ("openflow", "steering.openflow.discovery.x", "steering.openflow.switch_tables.sender"),
        ("openflow", "steering.openflow.connection.x", "steering.openflow.app"),
        ("openflow", "steering.openflow.fastpath.x", "steering.openflow.messages.reader"),
        ("runtime", "steering.runtime.cluster.x", "steering.runtime.http.rest"),
        ("runtime", "steering.runtime.orders.x", "steering.runtime.controller"),
        ("runtime", "steering.runtime.traces.x", "steering.runtime.cluster.cluster"),
        ("runtime", "steering.runtime.aaa.x", "steering.runtime.orders.operator"),
        ("cli", "steering.cli.client", "steering.cli.commands.status"),
        ("policy", "steering.policy.language.x", "steering.policy.rules.plan"),
        ("policy", "steering.policy.site.x", "steering.policy.rules.plan"),
        ("northbound", "steering.northbound.http.x", "steering.northbound.resources.routes"),
        ("northbound", "steering.northbound.schema.x", "steering.northbound.resources.links"),
        ("northbound", "steering.northbound.auth.x", "steering.northbound.http.problems"),
        ("northbound", "steering.northbound.auth.x", "steering.northbound"),
    ],
)
def test_the_check_of_a_package_sees_an_arrow_against_its_table(
    package: str, importer: str, target: str
) -> None:
    assert package_rooms.verdict(importer, target, package) is not None


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("from ..switch_tables.sender import Sender", "steering.openflow.switch_tables.sender"),
        ("from .. import switch_tables", "steering.openflow.switch_tables"),
        ("from .errors import EncodeError", "steering.openflow.messages.errors"),
        ("def f():\n    import steering.openflow.app", "steering.openflow.app"),
        ("if TYPE_CHECKING:\n    from steering.openflow import app", "steering.openflow.app"),
        ("from steering import openflow", "steering.openflow"),
    ],
)
def test_an_import_is_seen_however_it_is_written(code: str, module: str) -> None:
    found = package_rooms.imported_of(ast.parse(code), "steering.openflow.messages")
    assert [name for _, name in found] == [module]


def test_the_files_of_commands_are_the_subcommands() -> None:
    room = layers.ROOT / "steering" / "cli" / "commands"
    assert {path.stem for path in room.glob("*.py")} - {"__init__"} == set(COMMANDS)
