"""The engine's present site: MCPs and their sessions, names of ports, and what ports are used for."""

from enum import Enum

from steering.core.engine import Engine
from steering.core.supervision.names import ThingNames
from steering.model.ids import McpId
from steering.model.network import Mcp, PortRef, Site


class PortUse(Enum):
    """Whether an MCP may be attached at a port, and if not, why."""

    FREE = "free"
    SWITCH_UNKNOWN = "its switch has never connected"
    NO_PORT = "its switch has no such port"
    LINK = "it leads to another switch"


def site(engine: Engine) -> Site:
    """The site with its present MCPs."""
    return engine.site


def mcp(engine: Engine, number: McpId) -> Mcp | None:
    """The MCP with an id, or None."""
    return engine.map.mcps.get(number)


def sessions_at(engine: Engine, number: McpId) -> int:
    """The number of active sessions of the MCP with an id."""
    return engine.sessions.table.active.get(number, 0)


def plain_port_name(engine: Engine, port: PortRef) -> str:
    """The name of a port with its switch's name: `s1:2`."""
    return ThingNames(engine.map).port(port)


def port_name(engine: Engine, port: PortRef) -> str:
    """The name of a port, and what is there: `s1:1 (access lte)`, `s1:2 (link to s3:2)`."""
    name = ThingNames(engine.map).port
    attachment = engine.map.attachments.get(port)
    if attachment is not None:
        role = attachment.role.name.lower().replace("_", " ").replace("mcp", "MCP")
        return f"{name(port)} ({role} {attachment.name})"
    links = [*engine.graph.links_at(port), *((link.a, link.b) for link in engine.site.links)]
    far = next((b if a == port else a for a, b in links if port in (a, b)), None)
    return name(port) if far is None else f"{name(port)} (link to {name(far)})"


def use_of(engine: Engine, port: PortRef) -> PortUse:
    """What a port is used for, as far as is known now."""
    switch = engine.switches.get(port.dpid)
    if switch is None:
        return PortUse.SWITCH_UNKNOWN
    real = port if port.line is None else PortRef(port.dpid, port.line.port)
    if real.port not in switch.ports:
        return PortUse.NO_PORT
    return PortUse.LINK if engine.graph.links_at(real) else PortUse.FREE
