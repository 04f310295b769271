"""The site as the engine has it now: its MCPs with their sessions, and what a port is used for."""

from enum import Enum

from steering.core.engine import Engine
from steering.core.supervision.names import ThingNames
from steering.model.ids import McpId
from steering.model.network import Mcp, PortRef, Site


class PortUse(Enum):
    """What keeps an MCP from standing at a port, as far as the port's switch tells."""

    FREE = "free"
    SWITCH_UNKNOWN = "its switch has never connected"
    NO_PORT = "its switch has no such port"
    LINK = "it leads to another switch"


def site(engine: Engine) -> Site:
    """The site with the MCPs of now."""
    return engine.site


def mcp(engine: Engine, number: McpId) -> Mcp | None:
    """An MCP by its id."""
    return engine.map.mcps.get(number)


def sessions_at(engine: Engine, number: McpId) -> int:
    """How many sessions an MCP has, by its id."""
    return engine.sessions.table.active.get(number, 0)


def plain_port_name(engine: Engine, port: PortRef) -> str:
    """A port by its switch's name: `s1:2`."""
    return ThingNames(engine.map).port(port)


def port_name(engine: Engine, port: PortRef) -> str:
    """A port by its switch's name, and what the site file has there: `s1:1 (access lte)`, `s1:2 (link to s3:2)`."""
    name = ThingNames(engine.map).port
    attachment = engine.map.attachments.get(port)
    if attachment is not None:
        role = attachment.role.name.lower().replace("_", " ").replace("mcp", "MCP")
        return f"{name(port)} ({role} {attachment.name})"
    links = [*engine.graph.links_at(port), *((link.a, link.b) for link in engine.site.links)]
    far = next((b if a == port else a for a, b in links if port in (a, b)), None)
    return name(port) if far is None else f"{name(port)} (link to {name(far)})"


def use_of(engine: Engine, port: PortRef) -> PortUse:
    """What a port is used for, as far as the network is known now."""
    switch = engine.switches.get(port.dpid)
    if switch is None:
        return PortUse.SWITCH_UNKNOWN
    real = port if port.line is None else PortRef(port.dpid, port.line.port)
    if real.port not in switch.ports:
        return PortUse.NO_PORT
    return PortUse.LINK if engine.graph.links_at(real) else PortUse.FREE
