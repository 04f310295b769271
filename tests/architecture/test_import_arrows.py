"""The arrows of docs/design/architecture.rst hold: in what each file says, and in what a clean process really loads."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import layers, rooms

# A subprocess that imports modules one by one and says what is loaded at the end.
PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(*modules: str) -> list[str]:
    """Names in sys.modules of a fresh interpreter that imported `modules` and nothing else."""
    ran = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        cwd=layers.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return found


def modules_of(layer: str) -> list[str]:
    return [layers.module_name(path) for path in layers.sources() if layers.layer_of(path) == layer]


def verdict(path: Path, found: layers.Import) -> str | None:
    """Why an import breaks the table, or None when it does not."""
    layer = layers.layer_of(path)
    if layer is None:
        return None
    rule = layers.LAYERS[layer]
    parts = found.module.split(".")
    if parts[0] == "topologies":
        target = "topologies"
    elif parts[0] == "steering":
        target = parts[1] if len(parts) > 1 and parts[1] in layers.LAYERS else layer
    elif layers.is_stdlib(parts[0]) or parts[0] in rule.theirs:
        return None
    else:
        return f"{layer} may not import {parts[0]}"
    if target == layer or target in rule.ours:
        return None
    return f"{layer} may not import {target}"


def test_every_package_has_a_place_in_the_table() -> None:
    packages = {path.parent.name for path in (layers.ROOT / "steering").glob("*/__init__.py")}
    assert packages <= set(layers.LAYERS), (
        "a new package needs its row in docs/design/architecture.rst and in layers.py"
    )


def test_import_statements_follow_the_table() -> None:
    broken = [
        f"{path.relative_to(layers.ROOT)}:{found.line}: {why}"
        for path in layers.sources()
        for found in layers.imports_of(path)
        if (why := verdict(path, found)) is not None
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("layer", [name for name in layers.LAYERS if name != "topologies"])
def test_a_clean_process_loads_only_what_the_layer_may(layer: str) -> None:
    names = modules_of(layer)
    loaded = loaded_by(*names)
    ours = {name.split(".")[1] for name in loaded if name.startswith("steering.")}
    strangers = (ours & set(layers.LAYERS)) - layers.may_be_loaded(layer)
    assert not strangers, f"importing {layer} loads {sorted(strangers)}"
    hubs = {name.split(".")[0] for name in loaded} & layers.HUB
    if not layers.may_be_loaded(layer) & layers.HUB_LAYERS:
        assert not hubs, f"importing {layer} loads {sorted(hubs)}"


def test_the_command_itself_loads_nothing_that_must_be_patched_first() -> None:
    # What the interpreter loads by itself (site, .pth files of the environment) is not ours to choose.
    loaded = set(loaded_by("steering.cli.main")) - set(loaded_by())
    assert not loaded & {"socket", "ssl", "threading", "selectors", "asyncio", "eventlet", "os_ken", "yaml"}


def test_no_topology_module_of_os_ken_is_loaded() -> None:
    """`os_ken.topology.switches` parses every packet-in with os-ken's own TCP parser, which can hang."""
    named = [
        f"{path.relative_to(layers.ROOT)}:{found.line}"
        for path in layers.sources()
        for found in layers.imports_of(path)
        if found.module.startswith("os_ken.topology")
    ]
    assert not named, named


def impurities(
    tree: ast.AST, package: str = "steering.core", allowed: frozenset[str] = frozenset()
) -> list[str]:
    """What in a parsed file touches a clock, the outside world or chance, as `line: what`. `package`: where relative imports
    start. `allowed`: modules of the standard library that this file may import beside those of all."""
    found = []
    for node in ast.walk(tree):
        for name in layers.imported_names(node, package):
            top = name.split(".")[0]
            if (layers.is_stdlib(top) or top in layers.HUB) and top not in layers.PURE_MODULES | allowed:
                found.append(f"{node.lineno}: imports {top}")  # type: ignore[attr-defined]
        if isinstance(node, ast.Import | ast.ImportFrom):
            # Under another name the clock of `datetime` would not be found below.
            found += [
                f"{node.lineno}: renames {one.name}"
                for one, name in zip(node.names, layers.imported_names(node, package), strict=True)
                if name.split(".")[0] == "datetime" and one.asname not in (None, one.name)
            ]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in layers.IMPURE_CALLS:
                found.append(f"{node.lineno}: calls {node.func.id}()")
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in layers.CLOCK_METHODS
            and ast.unparse(node.value) in {"datetime", "date", "datetime.datetime", "datetime.date"}
        ):
            found.append(f"{node.lineno}: reads the clock")
    return found


def test_the_inner_layers_have_no_clock_no_chance_and_no_io() -> None:
    broken = [
        f"{path.relative_to(layers.ROOT)}:{what}"
        for path in layers.sources()
        if layers.layer_of(path) in layers.PURE
        for what in impurities(
            ast.parse(path.read_text(encoding="utf-8")),
            layers.package_of(path),
            layers.REACHES_IN.get(path.relative_to(layers.ROOT).as_posix(), frozenset()),
        )
    ]
    assert not broken, "\n".join(broken)


def test_nothing_is_allowed_to_the_inner_layers_that_they_do_not_use() -> None:
    used = {
        found.module.split(".")[0]
        for path in layers.sources()
        if layers.layer_of(path) in layers.PURE
        for found in layers.imports_of(path)
    }
    assert layers.PURE_MODULES <= used
    assert all((layers.ROOT / path).exists() for path in layers.REACHES_IN)


@pytest.mark.parametrize(
    "code",
    [
        "import time",
        "from os import urandom",
        "import socket as s",
        "print(1)",
        "from datetime import datetime\nx = datetime.now()",
        "from datetime import datetime as d\nx = d.now()",
        "import datetime as d\nx = d.datetime.now()",
        "def f():\n    import random",
        "if TYPE_CHECKING:\n    import time",
        "from pathlib import Path",
        "import uuid",
        "import ctypes",
        "import importlib",
        "t = __import__('time')",
        "eval('1')",
        "from eventlet import sleep",
    ],
)
def test_the_purity_check_sees(code: str) -> None:
    assert impurities(ast.parse(code))


def test_the_purity_check_lets_pass() -> None:
    code = (
        "import struct\nfrom datetime import datetime\nfrom .errors import time\nfrom steering.wire import io"
    )
    assert not impurities(ast.parse(code), "steering.wire")
    assert not impurities(ast.parse("from ctypes import py_object"), "steering.core", frozenset({"ctypes"}))


def loads_by_name(tree: ast.AST) -> list[int]:
    """Lines on which a module is loaded by a name that no import statement shows."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in ("__import__", "exec", "eval") or re.search(
            r"(?:^|\.)(?:import_module|load_module|exec_module|run_path|run_module)$", called
        ):
            found.append(node.lineno)
    return found


def test_modules_are_loaded_by_name_where_it_is_said_and_nowhere_else() -> None:
    found = {
        path.relative_to(layers.ROOT).as_posix()
        for path in layers.sources()
        if loads_by_name(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == layers.LOADERS.keys()


@pytest.mark.parametrize(
    "code",
    [
        "import_module('steering.core.sessions.table')",
        "importlib.import_module(name)",
        "__import__('steering.core')",
        "def f():\n    exec('import steering.core.engine')",
        "runpy.run_module('steering.core')",
    ],
)
def test_a_module_that_is_loaded_by_name_is_found(code: str) -> None:
    assert loads_by_name(ast.parse(code))
    assert not loads_by_name(ast.parse("self.exec(1)\nimport importlib.resources\nrun(module)"))


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("steering/wire/x.py", "steering.model"),
        ("steering/wire/x.py", "networkx"),
        ("steering/core/x.py", "steering.openflow.tables"),
        ("steering/northbound/x.py", "os_ken.base"),
        ("steering/cli/x.py", "eventlet"),
        ("steering/policy/x.py", "steering.core"),
        ("topologies/x.py", "steering.runtime"),
    ],
)
def test_the_arrow_check_sees(path: str, module: str) -> None:
    assert verdict(layers.ROOT / path, layers.Import(module, 1)) is not None


def arrows_between_modules() -> dict[str, set[str]]:
    """Module of the product -> modules of the product that it imports, wherever the statement stands."""
    paths = {layers.module_name(path): path for path in layers.sources()}
    arrows: dict[str, set[str]] = {}
    for name, path in paths.items():
        package = layers.package_of(path)
        meant = {
            layers.module_meant(one, paths)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for one in layers.imported_names(node, package)
        }
        arrows[name] = {one for one in meant if one is not None and one != name}
    return arrows


def test_no_modules_of_the_product_import_each_other_in_a_circle() -> None:
    arrows = arrows_between_modules()
    assert len(arrows) > 500
    assert "steering.wire.errors" in arrows["steering.wire.decode"], "it is a relative import"
    assert rooms.circles(arrows) == []
    some, other = next((a, b) for a, found in arrows.items() for b in found)
    assert rooms.circles(arrows | {other: arrows[other] | {some}})


# Packages are called otherwise by those who publish them than by those who import them.
PUBLISHED = {"PyYAML": "yaml", "Routes": "routes"}


def row_of(layer: str) -> str:
    """What the table of packages in the documentation says that a layer may import."""
    text = (layers.ROOT / "docs" / "design" / "architecture.rst").read_text(encoding="utf-8")
    name = layer if layer in ("topologies",) else f"steering/{layer}"
    row = text.split(f"   * - ``{name}``\n", 1)[1].split("\n   * - ", 1)[0].split("\n\n", 1)[0]
    return row.rsplit("     - ", 1)[1].strip()


@pytest.mark.parametrize("layer", [name for name in layers.LAYERS if name not in ("app", "runtime")])
def test_the_documentation_says_who_may_import_whom(layer: str) -> None:
    rule = layers.LAYERS[layer]
    told = {PUBLISHED.get(name, name) for name in row_of(layer).split(", ")} - {"the standard library"}
    assert told == rule.ours | rule.theirs - {"pydantic_core"}


def test_every_room_of_core_is_described() -> None:
    text = (layers.ROOT / "docs" / "design" / "architecture.rst").read_text(encoding="utf-8")
    part = text.split("\nThe rooms of ``core``\n", 1)[1].split("\nEdge does IP", 1)[0]
    missing = [room for room in rooms.ROOMS if f"``{room}``" not in part and f"``{room}.py``" not in part]
    assert not missing, missing
