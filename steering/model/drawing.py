"""Records for a picture of the network: nodes, links, and the paths that a session takes."""

from typing import NamedTuple


class DrawnPort(NamedTuple):
    """A switch port where an access network, gateway or MCP is attached. `switch`: the switch's name. `port`:
    `switch:number`. `use`: utilisation, 0 to 1, None if unknown."""

    switch: str
    port: str
    up: bool
    use: float | None


class DrawnNode(NamedTuple):
    """A switch, or something attached to a switch. `id` is unique. `kind`: switch, access, gateway or mcp. `ports`: where
    it is attached, empty for a switch. `up`: a switch is connected; anything else has a port that is up."""

    id: str
    kind: str
    name: str
    up: bool
    ports: tuple[DrawnPort, ...] = ()


class DrawnLink(NamedTuple):
    """A link between two switches. End `a` is the one with the lesser datapath id and port. `between`: the names of the
    switches. `use`: utilisation of the busier direction, 0 to 1, None if unknown. `weight`: None for a link that is
    down."""

    name: str
    a: str
    b: str
    between: tuple[str, str]
    up: bool
    weight: float | None
    use: float | None


class NetworkPicture(NamedTuple):
    """All nodes and links that the site expects or that were discovered. Lost ones are included and not `up`."""

    nodes: tuple[DrawnNode, ...]
    links: tuple[DrawnLink, ...]


class SubflowPath(NamedTuple):
    """The names of the switches that a subflow passes, from its access on. `natural`: the path to the gateway without
    steering. `pinned`: the path to the session's MCP, empty if the session has no MCP or no path leads there."""

    src: str
    sport: int
    dst: str
    dport: int
    access_network: str | None
    natural: tuple[str, ...]
    pinned: tuple[str, ...]


class SessionPaths(NamedTuple):
    """The paths of a session as the network is now. `onward`: the path from the session's MCP to the gateway."""

    id: str
    mcp: str | None
    subflows: tuple[SubflowPath, ...]
    onward: tuple[str, ...]
