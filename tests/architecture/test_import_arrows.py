"""The arrows of docs/design/architecture.rst hold: in what each file says, and in what a clean process really loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import layers

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


def impurities(tree: ast.AST) -> list[str]:
    """What in a parsed file touches a clock, the outside world or chance, as `line: what`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            tops = {alias.name.split(".")[0] for alias in node.names}
            found += [f"{node.lineno}: imports {top}" for top in sorted(tops & layers.IMPURE_MODULES)]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            top = node.module.split(".")[0]
            if top in layers.IMPURE_MODULES:
                found.append(f"{node.lineno}: imports {top}")
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
        for what in impurities(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "code",
    [
        "import time",
        "from os import urandom",
        "import socket as s",
        "print(1)",
        "from datetime import datetime\nx = datetime.now()",
        "def f():\n    import random",
    ],
)
def test_the_purity_check_sees(code: str) -> None:
    assert impurities(ast.parse(code))


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
