"""What of the ways to one destination is another after links changed, and which old ways lead over that."""

from typing import NamedTuple

from steering.core.network.graph import SwitchPaths
from steering.model.ids import DatapathId, PortNumber


class OldWays(NamedTuple):
    """Old ways to one destination: those that are others now, and no more.

    `ports`: switch -> the port by which the old ways leave it, None at the destination. `left`: the switches whose own
    way is another now. Who is not among them never sends to one that is.
    """

    ports: dict[DatapathId, PortNumber | None]
    left: tuple[DatapathId, ...]


def old_ways(before: SwitchPaths, now: SwitchPaths, target: DatapathId) -> OldWays | None:
    """The ways to `target` that lead elsewhere now. None where there are none."""
    old, new = before.paths.hops_to(target), now.paths.hops_to(target)
    old_port, new_port = before.paths.port, now.paths.port
    # Where nobody knew the ways before, nobody noted either what moved.
    looked_at = now.paths.moved(target) if before.paths.is_copied(target) else old
    left = [d for d in looked_at if d in old and old_port(d, old[d]) != new_port(d, new.get(d))]
    if not left:
        return None
    ports: dict[DatapathId, PortNumber | None] = {}
    concerned = before.paths.leading_over(target, left)
    for begin in concerned:
        switch: DatapathId | None = begin
        while switch is not None and switch not in ports:
            hop = old.get(switch)
            ports[switch] = old_port(switch, hop)
            switch = hop
    return OldWays(ports, tuple(concerned))
