"""Who may import whom: the table of docs/design/architecture.rst, and the ways to read a source file's imports."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Layer:
    """`ours`: packages of this project it may import directly; `theirs`: third-party packages likewise."""

    ours: frozenset[str]
    theirs: frozenset[str] = frozenset()


def _layer(ours: str, theirs: str = "") -> Layer:
    return Layer(frozenset(ours.split()), frozenset(theirs.split()))


LAYERS = {
    "wire": _layer(""),
    "trace": _layer("wire"),
    "model": _layer(""),
    "core": _layer("wire model", "networkx"),
    "policy": _layer("model", "pydantic pydantic_core yaml"),
    "openflow": _layer("model core wire", "os_ken eventlet"),
    "northbound": _layer("model core policy store", "webob routes prometheus_client pydantic"),
    "store": _layer("model"),
    "cluster": _layer("model store"),
    "relay": _layer("wire", "pyroute2"),
    "runtime": _layer(
        "wire model core policy openflow northbound store cluster relay",
        "os_ken eventlet networkx webob routes pydantic yaml prometheus_client pyrad opentelemetry requests",
    ),
    "cli": _layer("runtime model policy wire trace relay topologies", "dpkt shtab rich"),
    "client": _layer("cli"),
    "app": _layer("runtime"),
    "topologies": _layer("model policy", "mininet"),
}

# Hub packages: who imports them decides how the process waits, so one place only.
HUB = frozenset({"os_ken", "eventlet"})
HUB_LAYERS = frozenset({"openflow", "runtime", "app"})

# Layers without I/O and without a clock, and what would bring either in.
PURE = ("wire", "trace", "model", "core")
IMPURE_MODULES = frozenset(
    {
        *("socket", "ssl", "select", "selectors", "asyncio", "urllib", "http", "eventlet", "os_ken"),
        *("os", "io", "subprocess", "multiprocessing", "signal", "shutil", "tempfile", "logging"),
        *("time", "random", "secrets", "threading", "concurrent"),
    }
)
IMPURE_CALLS = frozenset({"open", "print", "input"})
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})


@dataclass(frozen=True)
class Import:
    """One imported module as the statement names it, with the line it stands on."""

    module: str
    line: int


def layer_of(path: Path) -> str | None:
    """The layer a source file belongs to; None for what is above all layers (`steering/__init__.py`)."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "topologies":
        return "topologies"
    if len(parts) == 2:
        return "app" if parts[1] == "app.py" else None
    return parts[1]


def sources() -> list[Path]:
    """Every Python file of the product, in a stable order."""
    return sorted(path for top in ("steering", "topologies") for path in (ROOT / top).rglob("*.py"))


def module_name(path: Path) -> str:
    """`steering/wire/crypto.py` -> `steering.wire.crypto`; a package's `__init__.py` -> the package."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imports_of(path: Path) -> Iterator[Import]:
    """Every import statement of a file, wherever it stands in it, relative ones resolved."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from steering import wire` imports the layer too, so the names count as modules.
            above = module in {"steering", "topologies"}
            names = [f"{module}.{alias.name}" for alias in node.names] if above else [module]
            for name in names:
                yield Import(name, node.lineno)


def may_be_loaded(layer: str) -> frozenset[str]:
    """Layers that may be in memory once `layer` is imported: what it may import, and what those may."""
    seen: set[str] = set()
    todo = [layer]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(LAYERS[name].ours)
    return frozenset(seen)


def is_stdlib(top: str) -> bool:
    """Whether a top-level module name belongs to the standard library."""
    return top in sys.stdlib_module_names
