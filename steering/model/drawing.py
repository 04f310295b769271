"""The network as a picture: what there is to draw, where it is put, and the ways that a session takes through it."""

from typing import NamedTuple


class DrawnPort(NamedTuple):
    """Where something hangs. `switch`: its name. `port`: `switch:number`. `use`: utilisation, 0 to 1, None unknown."""

    switch: str
    port: str
    up: bool
    use: float | None


class DrawnNode(NamedTuple):
    """A switch, or what hangs at its ports. `id` is unique. `kind`: switch, access, gateway or mcp. `ports`: none of a
    switch. `up`: a switch that is connected, and anything else with a port that is up."""

    id: str
    kind: str
    name: str
    up: bool
    ports: tuple[DrawnPort, ...] = ()


class DrawnLink(NamedTuple):
    """A link between two switches, its lesser end first. `between`: the names of the switches. `use`: utilisation of the
    busier direction, 0 to 1, None unknown. `weight`: None of a link that is down."""

    name: str
    a: str
    b: str
    between: tuple[str, str]
    up: bool
    weight: float | None
    use: float | None


class NetworkPicture(NamedTuple):
    """All that is expected or there. What is lost is in it too, and not up."""

    nodes: tuple[DrawnNode, ...]
    links: tuple[DrawnLink, ...]


class SubflowPath(NamedTuple):
    """The switches that a subflow passes, by name, from its access on. `natural`: to the gateway, if it were not
    steered. `pinned`: to its MCP; empty where it has none, or no path leads there."""

    src: str
    sport: int
    dst: str
    dport: int
    access_network: str | None
    natural: tuple[str, ...]
    pinned: tuple[str, ...]


class SessionPaths(NamedTuple):
    """The paths of a session as the network is now. `onward`: from its MCP to the gateway."""

    id: str
    mcp: str | None
    subflows: tuple[SubflowPath, ...]
    onward: tuple[str, ...]
