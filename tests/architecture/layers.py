"""Who may import whom: the table of docs/design/architecture.rst, and the ways to read a source file's imports."""

import ast
import sys
from collections.abc import Collection, Iterator
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
# What of the standard library they may import. It is a list of what is allowed, since nobody can name all that is not.
PURE_MODULES = frozenset(
    {
        *(
            "array",
            "bisect",
            "collections",
            "contextlib",
            "dataclasses",
            "datetime",
            "enum",
            "functools",
            "hashlib",
        ),
        *("heapq", "hmac", "ipaddress", "itertools", "math", "operator", "re", "struct", "types", "typing"),
        *("weakref", "zlib"),
    }
)
# One file uses ctypes, to take objects out of the interpreter's garbage collector that it would examine in vain.
REACHES_IN = {"steering/core/sessions/garbage_collector.py": frozenset({"ctypes"})}
IMPURE_CALLS = frozenset({"open", "print", "input", "__import__", "eval", "exec", "compile"})
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})


# Files that load modules by a computed name, and which modules. The tests of imports only see import statements.
LOADERS = {
    "steering/cli/commands/bench.py": "the benchmarks, which an installation need not have",
    "steering/cli/commands/completion.py": "shtab, which an installation need not have",
    "steering/cli/main.py": "the subcommand that was asked for",
    "steering/relay/kernel/route_netlink.py": "message formats of pyroute2 without the rest of it",
    "steering/runtime/launcher.py": "the modules that take long to load, with a look at waiting switches between them",
    "topologies/catalogue.py": "a scenario by its name",
}


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


def package_of(path: Path) -> str:
    """The package that a file's relative imports start from: its folder."""
    name = module_name(path)
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def imported_names(node: ast.AST, package: str) -> list[str]:
    """What one statement imports, by dotted names, wherever it stands and whatever it is for: relative ones are resolved, and each
    name of a `from` import counts. Empty for what is no import. `package`: see `package_of`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    module = from_module(node, package)
    return [f"{module}.{alias.name}" for alias in node.names]


def from_module(node: ast.ImportFrom, package: str) -> str:
    """The module that a `from` import names."""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def module_meant(name: str, modules: Collection[str]) -> str | None:
    """The module of `modules` that an imported name is, or stands in; None where it is none of them."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def imports_of(path: Path) -> Iterator[Import]:
    """Every import statement of a file, wherever it stands in it, relative ones resolved."""
    package = package_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = from_module(node, package)
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
