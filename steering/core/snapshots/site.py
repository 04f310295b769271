"""The site as the engine has it now: its MCPs with their sessions, and what a port is used for."""

from enum import Enum

from steering.core.engine import Engine
from steering.model.network import Mcp, PortRef, Site


class PortUse(Enum):
    """What stands against a port for an MCP, as far as its switch tells."""

    FREE = "free"
    SWITCH_UNKNOWN = "its switch has never connected"
    NO_PORT = "its switch has no such port"
    LINK = "it leads to another switch"


def site(engine: Engine) -> Site:
    """The site with the MCPs of now."""
    return engine.site


def mcp(engine: Engine, number: int) -> Mcp | None:
    """An MCP by its id."""
    return engine.map.mcps.get(number)


def sessions_at(engine: Engine, number: int) -> int:
    """How many sessions an MCP has, by its id."""
    return engine.sessions.table.active.get(number, 0)


def use_of(engine: Engine, port: PortRef) -> PortUse:
    """What a port is used for, by what is known of the network now."""
    switch = engine.switches.get(port.dpid)
    if switch is None:
        return PortUse.SWITCH_UNKNOWN
    if port.port not in switch.ports:
        return PortUse.NO_PORT
    return PortUse.LINK if engine.graph.links_at(port) else PortUse.FREE
