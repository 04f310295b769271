"""The old ways to one destination that change after links changed. A way is a chain of next hops."""

from typing import NamedTuple

from steering.core.network.graph import SwitchPaths
from steering.model.ids import DatapathId, PortNumber


class OldWays(NamedTuple):
    """The old ways to one destination that differ from the new ones.

    * `ports`: switch -> the port by which the old ways leave it, None at the destination.
    * `left`: the switches whose way differs. No other switch sends to one of these.
    """

    ports: dict[DatapathId, PortNumber | None]
    left: tuple[DatapathId, ...]


def old_ways(before: SwitchPaths, now: SwitchPaths, target: DatapathId) -> OldWays | None:
    """The old ways to `target` that differ now, or None."""
    old, new = before.paths.hops_to(target), now.paths.hops_to(target)
    old_port, new_port = before.paths.port, now.paths.port
    # Changes of next hops are noted only for destinations whose ways were known before.
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
