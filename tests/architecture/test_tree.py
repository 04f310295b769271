"""Habits of this tree that a machine can check: file size, stubs, row ids, paths, declared needs."""

import ast
import configparser
import re
import warnings
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path

from tests.architecture import layers, tree

ROOT = layers.ROOT
LINES_NOTED = 400
LINES_REFUSED = 430

SCREEN = 66  # lines of a function
# In one piece for speed: every packet-in passes the first, and every first SYN the second. Both ask one question after the other.
LONGEST = {
    "steering/openflow/fastpath/reader.py: _read": 100,
    "steering/core/handshakes/mp_capable.py: seen": 75,
}

# Written in pieces, so that this file does not find itself.
STUB_WORDS = re.compile(
    r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"]) + r")\b"
    r"|pytest\.(?:skip|xfail|importorskip)|mark\.(?:skip|skipif|xfail)|unittest\.skip"
)
MACHINE_PATHS = re.compile("/wo" + "rk/|/ro" + "ot/")
ROW_ID = re.compile(r"[DNS]-[0-9A-Z][0-9A-Za-z]*(?:\.[0-9A-Za-z]+)*")


def test_no_file_is_too_long_to_read() -> None:
    paths = [*layers.sources(), *sorted((ROOT / "tests").rglob("*.py"))]
    lengths = {path.relative_to(ROOT).as_posix(): len(tree.text_of(path).splitlines()) for path in paths}
    for name, lines in sorted(lengths.items(), key=lambda item: -item[1]):
        if lines > LINES_NOTED:
            warnings.warn(f"{name} has {lines} lines, over {LINES_NOTED}", stacklevel=1)
    refused = [f"{name}: {n} lines" for name, n in lengths.items() if n > LINES_REFUSED]
    assert not refused, "\n".join(refused)


def test_every_function_of_the_product_is_seen_at_once() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in layers.sources()
        if path.is_relative_to(ROOT / "steering")
        for node in ast.walk(ast.parse(tree.text_of(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    refused = {name: n for name, n in lengths.items() if n > LONGEST.get(name, SCREEN)}
    assert not refused, refused
    assert LONGEST.keys() <= lengths.keys()


def test_nothing_is_left_for_later() -> None:
    found = tree.findings(STUB_WORDS, tree.tracked())
    assert not found, "\n".join(found)


def test_no_path_of_one_machine() -> None:
    found = tree.findings(MACHINE_PATHS, tree.tracked())
    assert not found, "\n".join(found)


def test_the_tree_is_really_looked_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in tree.tracked()}
    assert {"setup.cfg", "Makefile", "steering/cli/main.py", "tests/architecture/test_tree.py"} <= names


def row_ids(path: Path) -> Iterator[tuple[int, str | None]]:
    """Line and id of every argument of `pytest.mark.row(...)` in a file; None for what is no string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.row"):
            if not node.args:
                yield node.lineno, None
            for argument in node.args:
                value = argument.value if isinstance(argument, ast.Constant) else None
                yield argument.lineno, value if isinstance(value, str) else None


def test_row_markers_carry_well_formed_ids() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line}: {found!r}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, found in row_ids(path)
        if found is None or not ROW_ID.fullmatch(found)
    ]
    assert not broken, "\n".join(broken)


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(key: str) -> set[str]:
    """Names of the distributions that setup.cfg asks for under `section.key`."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    section, option = key.rsplit(":", 1)
    lines = config[section][option].split()
    return {normal(re.split(r"[<>=!~\[;]", line)[0]) for line in lines}


# Files that need what only those ask for who want it.
OPTIONAL = {"steering/runtime/traces/otlp.py": "otel"}


def test_what_is_imported_is_asked_for() -> None:
    asked = declared("options:install_requires")
    providers = packages_distributions()
    missing = set()
    for path in layers.sources():
        group = OPTIONAL.get(path.relative_to(ROOT).as_posix())
        more = declared(f"options.extras_require:{group}") if group else set()
        for found in layers.imports_of(path):
            top = found.module.split(".")[0]
            # Mininet is Debian's: the Makefile installs it, pip cannot.
            # pydantic_core is pydantic's other half: pydantic asks for exactly one version of it.
            if layers.is_stdlib(top) or top in {"steering", "topologies", "mininet", "pydantic_core"}:
                continue
            if not {normal(name) for name in providers.get(top, [])} & (asked | more):
                missing.add(f"{path.relative_to(ROOT)}:{found.line}: {top}")
    assert not missing, "\n".join(sorted(missing))


def pins() -> dict[str, str]:
    """Distribution -> exact version in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normal(name): pin for name, pin in pairs}


def test_everything_asked_for_is_pinned_and_installed_as_pinned() -> None:
    pinned = pins()
    asked = declared("options:install_requires") | declared("options.extras_require:dev")
    asked |= declared("options.extras_require:docs") | declared("options.extras_require:otel") | {"pyopenssl"}
    assert asked <= set(pinned)
    other = {name: version(name) for name in asked if version(name) != pinned[name]}
    assert not other, f"installed differs from constraints.txt: {other}; run make test, which installs"
