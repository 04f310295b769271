"""The rooms of core hold: who may import from whom, no file outside, no circle; and each says what it is."""

import ast
from pathlib import Path

import pytest

from tests.architecture import layers, rooms

SEEN_OUTSIDE = (
    *(
        "engine",
        "clustered_engine",
        "inputs",
        "packet_inputs",
        "peer_facts",
        "outputs",
        "counters",
        "snapshots",
    ),
)


def test_rooms_import_as_the_table_says() -> None:
    found = rooms.faults_of(rooms.CORE, rooms.ROOMS)
    assert not found, "\n".join(found)


def test_the_table_itself_has_no_circle() -> None:
    assert rooms.circles({room: set(allowed) for room, allowed in rooms.ROOMS.items()}) == []


def test_every_allowed_arrow_is_drawn() -> None:
    """An arrow that nobody needs any more is taken out of the table, or a wall would stand open."""
    drawn = {(rooms.room_of(a.source), rooms.room_of(a.target)) for a in rooms.arrows_in(rooms.CORE)}
    everybody = {"inputs", "packet_inputs", "outputs", "counters", "part"}
    unused = [
        f"{room} -> {other}"
        for room, allowed in rooms.ROOMS.items()
        for other in sorted(allowed - everybody)
        if room not in ("features", "engine", "snapshots") and (room, other) not in drawn
    ]
    assert not unused, unused


def test_each_room_says_what_it_knows_what_it_may_touch_and_what_not() -> None:
    for folder in sorted(path.parent for path in rooms.CORE.glob("*/__init__.py")):
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        heads = [line.split(":")[0] for line in text.splitlines() if not line.startswith(" ")]
        assert heads == ["Knows", "May touch", "Must not"], f"{folder.name}: {heads}"


def intrusions(tree: ast.AST, package: str = "steering.runtime") -> list[str]:
    """What in a parsed file outside core looks into it, as `line: what`: a room that is not to be seen, or anything of
    an engine but `handle`. `package`: where relative imports start."""
    found = []
    for node in ast.walk(tree):
        for name in layers.imported_names(node, package):
            parts = name.split(".")
            if parts[:2] == ["steering", "core"] and "".join(parts[2:3]) not in SEEN_OUTSIDE:
                found.append(f"{node.lineno}: imports {name}")  # type: ignore[attr-defined]
        if isinstance(node, ast.Attribute) and node.attr != "handle" and _is_engine(node.value):
            found.append(f"{node.lineno}: reaches for {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "vars"):
            if any(map(_is_engine, node.args[:1])):
                found.append(f"{node.lineno}: reaches for {ast.unparse(node)}")
    return found


def _is_engine(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in ("engine", "_engine")


def test_outside_of_core_only_its_door_is_seen() -> None:
    broken = [
        f"{path.relative_to(layers.ROOT)}:{what}"
        for path in layers.sources()
        if layers.layer_of(path) != "core"
        for what in intrusions(ast.parse(path.read_text(encoding="utf-8")), layers.package_of(path))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "code",
    [
        "from steering.core.network.graph import Graph",
        "from steering.core import part",
        "import steering.core.sessions.table",
        "import steering.core",
        "from steering import core",
        "from ..core.sessions.table import SessionTable",
        "from .. import core",
        "if TYPE_CHECKING:\n    from steering.core.part import Part",
        "x = engine.sessions.table",
        "x = self._engine.counters",
        "self.engine.site = site",
        "x = getattr(self._engine, 'sessions')",
        "vars(engine)",
    ],
)
def test_the_check_of_the_door_sees(code: str) -> None:
    assert intrusions(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "from steering.core import inputs",
        "from steering.core.snapshots.site import site",
        "out = self.engine.handle(given, now)",
        "app(engine=controller.engine)",
    ],
)
def test_the_check_of_the_door_lets_pass(code: str) -> None:
    assert not intrusions(ast.parse(code))


TABLE = {"base": frozenset[str](), "left": frozenset({"base"}), "top": frozenset({"base", "left"})}
SOUND = {
    "base.py": "",
    "left/__init__.py": "",
    "left/one.py": "from steering.core import base\n",
    "left/two.py": "from steering.core.left.one import x\nimport steering.core.base\n",
    "top.py": "from steering.core.left.two import y\n",
}


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_sound_tree_has_no_fault(tmp_path: Path) -> None:
    assert rooms.faults_of(tree(tmp_path, SOUND), TABLE) == []


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"stray.py": ""}, "stray: in no room"),
        ({"cellar/one.py": ""}, "cellar.one: in no room"),
        ({"base.py": "from steering.core import top\n"}, "base:1: base may not import from top"),
        (
            {"base.py": "if 1:\n    def f():\n        from steering.core.left.one import x\n"},
            "base:3: base may not import from left",
        ),
        ({"base.py": "import steering.core.top\n"}, "a circle of rooms: base, left, top"),
        (
            {"base.py": "if TYPE_CHECKING:\n    from steering.core.left.one import x\n"},
            "base:2: base may not import from left",
        ),
        ({"base.py": "from . import top\n"}, "base:1: base may not import from top"),
        ({"base.py": "from .left.one import x\n"}, "base:1: base may not import from left"),
        ({"base.py": "from steering.core.left import *\n"}, "base:1: base may not import from left"),
        ({"left/two.py": "from ..top import y\n"}, "left.two:1: left may not import from top"),
        ({"left/two.py": "from .. import top\n"}, "left.two:1: left may not import from top"),
        ({"top.py": "from steering import core\n"}, "top:1: top may not import from the whole of core"),
        ({"top.py": "import steering.core\n"}, "top:1: top may not import from the whole of core"),
        ({"top.py": "from steering.core import *\n"}, "top:1: top may not import from the whole of core"),
        (
            {"left/one.py": "from steering.core.left.two import z\n"},
            "a circle of modules: left.one, left.two",
        ),
    ],
)
def test_the_room_check_sees(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    assert fault in rooms.faults_of(tree(tmp_path, SOUND | files), TABLE)


def test_the_room_check_sees_a_room_that_is_gone(tmp_path: Path) -> None:
    assert "cellar: a room without a file" in rooms.faults_of(
        tree(tmp_path, SOUND), TABLE | {"cellar": frozenset[str]()}
    )
