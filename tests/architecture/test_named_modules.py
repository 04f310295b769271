"""Modules that comments and docstrings name by their paths are there, with the names in them that are cited: `(sessions.dead_mcps)`,
`core.selection.quotas.LIMITED`."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.architecture import layers

# Calls are left out: they are in examples, and begin with a variable.
DOTTED = re.compile(r"(?<![\w./\"'<-])(?:steering\.)?([a-z_]+(?:\.[A-Za-z_]\w*)+)(?![\w(]|\.\w)")
NO_MODULES = frozenset({"http.client", "ports.inside"})  # of the standard library, and a key of site files
# Ends of file names, which look like names in modules.
SUFFIXES = frozenset({"rst", "pem", "json", "yaml", "svg", "py"})


def texts(source: str) -> Iterator[tuple[int, str]]:
    """The comments and docstrings of a file, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            text := ast.get_docstring(node)
        ):
            yield getattr(node, "lineno", 1), text
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def lost_modules(text: str, modules: Mapping[str, str], packages: frozenset[str]) -> list[str]:
    """Paths in a text that begin with the name of a package and lead nowhere. `modules`: dotted path from `steering` on -> its text."""
    lost = []
    for path in DOTTED.findall(text):
        parts = path.split(".")
        if parts[0] not in packages or parts[-1] in SUFFIXES or path in NO_MODULES:
            continue
        if not _leads(parts, modules):
            lost.append(path)
    return lost


def _leads(parts: list[str], modules: Mapping[str, str]) -> bool:
    """Whether a path is that of a module or package, or of a name in one."""
    for length in range(len(parts), 0, -1):
        wanted, rest = ".".join(parts[:length]), parts[length:]
        for name, text in modules.items():
            if name == wanted or name.endswith(f".{wanted}"):
                if all(re.search(rf"\b{re.escape(one)}\b", text) for one in rest):
                    return True
            elif not rest and f".{wanted}." in f".{name}":
                return True  # a package
    return False


def product() -> tuple[dict[str, str], frozenset[str]]:
    """The modules of the product with their texts, and the names of its packages."""
    root = layers.ROOT / "steering"
    paths = [path for path in layers.sources() if path.is_relative_to(root)]
    found = {_dotted(path.relative_to(root)): path.read_text(encoding="utf-8") for path in paths}
    return found, frozenset(path.parent.name for path in paths if path.parent != root)


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def test_every_module_that_a_comment_names_is_there() -> None:
    modules, packages = product()
    cited = [
        (name, line, text) for name, source in modules.items() for line, text in texts(source) if "." in text
    ]
    assert sum(bool(set(re.findall(r"\b(\w+)\.", text)) & packages) for _, _, text in cited) > 100
    lost = [
        f"{name}:{line}: {one}" for name, line, text in cited for one in lost_modules(text, modules, packages)
    ]
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("(core.sessions.table) and sessions.table", []),
        ("as steering.core.sessions.table says, `core.sessions`", []),
        ("# see sessions.table.Table", []),
        ("(sessions.gone)", ["sessions.gone"]),
        ("`sessions.gone`, as in sessions.away.", ["sessions.gone", "sessions.away"]),
        ("sessions.table.Chair", ["sessions.table.Chair"]),
        ("no package: table.wood, pipeline.rst", []),
    ],
)
def test_a_module_that_is_gone_is_found(text: str, lost: list[str]) -> None:
    modules = {"core.sessions.table": "class Table: ...", "core.engine": ""}
    assert lost_modules(text, modules, frozenset({"core", "sessions"})) == lost
