"""The rooms of `steering/core`: what each may import from the others, and how a tree is looked at.

A file at the top of core is a room of its own; a folder is one. What only types need counts like any other import.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.architecture import layers

CORE = layers.ROOT / "steering" / "core"
_FOUNDATION = frozenset({"inputs", "packet_inputs", "outputs", "counters", "part"})


def _may(rooms: str) -> frozenset[str]:
    return _FOUNDATION | frozenset(rooms.split())


# Room -> rooms that it may import from. Who is not named knows nothing of it.
ROOMS: Mapping[str, frozenset[str]] = {
    # The messages, the counters, and what every feature offers.
    "peer_facts": frozenset(),
    "packet_inputs": frozenset(),
    "mcp_inputs": frozenset(),
    "inputs": frozenset({"packet_inputs", "mcp_inputs", "peer_facts"}),
    "outputs": frozenset({"inputs", "peer_facts"}),
    "counters": frozenset(),
    "part": frozenset({"inputs", "outputs"}),
    "long_work": frozenset({"outputs"}),
    # Switches, links and hosts, and the choice of an MCP: neither knows a session.
    "network": _may(""),
    "selection": _may("network"),
    "admission": _may("network"),
    # The only makers of rules that are no feature's own.
    "pipeline": _may("network admission"),
    "sessions": _may("network selection"),
    # Features.
    "proactive": _may("network selection admission pipeline sessions"),
    "reservations": _may("network pipeline sessions"),
    "old_paths": _may("network pipeline sessions reservations"),
    "rerouting": _may("network pipeline sessions old_paths"),
    "subflow_priority": _may("network selection sessions"),
    "conditions": _may("network selection subflow_priority"),
    "host_messages": _may("network selection sessions"),
    "port_states": _may("network pipeline selection subflow_priority"),
    "counter_sweep": _may("network sessions subflow_priority"),
    "handshakes": _may(
        "network selection admission pipeline sessions proactive reservations subflow_priority"
    ),
    "fastpath": _may(
        "network selection admission sessions proactive reservations subflow_priority handshakes"
    ),
    "restart": _may("long_work network sessions proactive"),
    "peers": _may("long_work peer_facts network selection sessions handshakes"),
    # What is told of all that; nothing of it comes back.
    "supervision": _may("network"),
}
# Who registers features, who puts all together, and what others see of it: they may look into every room.
ROOMS = {
    **ROOMS,
    "assembly": frozenset(ROOMS)
    - {
        "pipeline",
        "old_paths",
        "rerouting",
        "restart",
        "supervision",
        "peers",
        "peer_facts",
        "mcp_inputs",
        "long_work",
        "counter_sweep",
        "conditions",
        "host_messages",
        "port_states",
    },
}
ROOMS = {**ROOMS, "features": _FOUNDATION | (frozenset(ROOMS) - {"assembly"})}
ROOMS = {**ROOMS, "engine": _FOUNDATION | frozenset(ROOMS)}
ROOMS = {
    **ROOMS,
    "clustered_engine": _FOUNDATION | frozenset({"engine", "long_work", "peers", "peer_facts", "sessions"}),
}
ROOMS = {**ROOMS, "snapshots": frozenset(ROOMS)}


WHOLE = "the whole of core"


class Arrow(NamedTuple):
    """One import from one module of core to another, by names below `steering.core`."""

    source: str
    target: str
    line: int


def room_of(module: str) -> str:
    """`network.graph` -> `network`, `engine` -> `engine`."""
    return module.split(".")[0]


def modules_in(core: Path) -> dict[str, Path]:
    """Name below core -> file; a folder's `__init__` by the folder's name, core's own left out."""
    found = {}
    for path in sorted(core.rglob("*.py")):
        parts = list(path.relative_to(core).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts:
            found[".".join(parts)] = path
    return found


def arrows_in(core: Path) -> Iterator[Arrow]:
    """Every import from core to core, wherever it stands in a file."""
    modules = modules_in(core)
    for name, path in modules.items():
        inner = name if path.name == "__init__.py" else name.rpartition(".")[0]
        package = f"steering.core.{inner}".rstrip(".")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            for target in _targets(node, package, modules):
                if target != name:
                    yield Arrow(name, target, getattr(node, "lineno", 0))


def _targets(node: ast.AST, package: str, modules: Mapping[str, Path]) -> Iterator[str]:
    """Modules of core that one statement imports. Who imports core itself could reach every room by it: WHOLE."""
    found: dict[str, None] = {}
    for name in layers.imported_names(node, package):
        if name == "steering.core" or name == "steering.core.*":
            found[WHOLE] = None
        elif name.startswith("steering.core."):
            below = name.removeprefix("steering.core.")
            found[layers.module_meant(below, modules) or below] = None
    yield from found


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups that reach each other by arrows, each sorted; a group of one is none."""
    reached = {name: _reached(name, arrows) for name in arrows}
    groups = {
        frozenset({name} | {other for other in known if name in reached.get(other, set())})
        for name, known in reached.items()
        if name in known
    }
    return sorted(sorted(group) for group in groups)


def _reached(name: str, arrows: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = list(arrows.get(name, ()))
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(arrows.get(one, ()))
    return seen


def faults_of(core: Path, table: Mapping[str, frozenset[str]]) -> list[str]:
    """Files in no room, rooms without files, arrows against the table, circles between rooms and between modules."""
    names = list(modules_in(core))
    found = [f"{name}: in no room" for name in names if room_of(name) not in table]
    found += [f"{room}: a room without a file" for room in table if room not in map(room_of, names)]
    between_rooms: dict[str, set[str]] = {}
    between_modules: dict[str, set[str]] = {}
    for arrow in arrows_in(core):
        source, target = room_of(arrow.source), room_of(arrow.target)
        between_modules.setdefault(arrow.source, set()).add(arrow.target)
        if source != target:
            between_rooms.setdefault(source, set()).add(target)
            if target not in table.get(source, frozenset()):
                found.append(f"{arrow.source}:{arrow.line}: {source} may not import from {target}")
    found += [f"a circle of rooms: {', '.join(group)}" for group in circles(between_rooms)]
    found += [f"a circle of modules: {', '.join(group)}" for group in circles(between_modules)]
    return found
