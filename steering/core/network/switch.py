"""What the engine remembers of a switch."""

from collections.abc import Collection, Iterable, Mapping

from steering.core.outputs import Output, SyncRules
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef

MAX_SWITCHES = 4_096


class Switch:
    """A switch that is, or once was, connected."""

    __slots__ = ("connected", "filled", "fills", "names", "ports", "speeds", "takes_groups")

    def __init__(self) -> None:
        self.connected = False
        self.filled = False
        self.fills = 0
        self.ports: dict[PortNumber, bool] = {}
        self.names: dict[PortNumber, str] = {}  # as the switch calls its ports
        self.speeds: Mapping[PortNumber, int] = {}  # kbit/s, of the ports that tell it
        self.takes_groups = True  # until it refuses one

    def came_up(self, speeds: Mapping[PortNumber, int], names: Mapping[PortNumber, str]) -> None:
        """The switch has a channel, and holds nothing yet of what it should."""
        self.connected, self.filled = True, False
        self.speeds, self.names = speeds, dict(names)

    def take(self, port: PortNumber, up: bool, name: str) -> None:
        """A port's state, and its name where that is told."""
        self.ports[port] = up
        if name:
            self.names[port] = name

    def drop(self, port: PortNumber) -> bool | None:
        """The state of a port that changes or goes, and is told anew; None for none."""
        self.names.pop(port, None)
        return self.ports.pop(port, None)


class Switches(dict[DatapathId, Switch]):
    """All switches that are known, by datapath id."""

    def filled(self) -> list[DatapathId]:
        """Datapath ids of the switches that hold all they should."""
        return [dpid for dpid, switch in self.items() if switch.filled]

    def is_filled(self, dpid: DatapathId) -> bool:
        """Whether a switch holds all it should."""
        switch = self.get(dpid)
        return switch is not None and switch.filled

    def to_filled(self, outputs: Iterable[Output]) -> list[Output]:
        """Leave out rule changes for switches that are not filled yet: they come with the filling."""
        return [o for o in outputs if not isinstance(o, SyncRules) or self.is_filled(o.dpid)]

    def is_connected(self, dpid: DatapathId) -> bool:
        """Whether a switch has a channel now."""
        switch = self.get(dpid)
        return switch is not None and switch.connected

    def takes_groups(self, dpid: DatapathId) -> bool:
        """Whether a switch has refused no group so far."""
        switch = self.get(dpid)
        return switch is None or switch.takes_groups

    def is_down(self, port: PortRef) -> bool:
        """Whether a port is known to have no link."""
        switch = self.get(port.dpid)
        return switch is not None and switch.ports.get(port.port) is False


def make_room(
    switches: dict[DatapathId, Switch], dpid: DatapathId, needed: Collection[DatapathId]
) -> DatapathId | None:
    """Forget one switch where MAX_SWITCHES are known and another one connects, since a stranger may claim any
    datapath id: the one known for longest that is neither connected nor the place of an attachment. Its datapath
    id, or None."""
    if dpid in switches or len(switches) < MAX_SWITCHES:
        return None
    spare = (known for known, one in switches.items() if not one.connected and known not in needed)
    forgotten = next(spare, None)
    if forgotten is not None:
        del switches[forgotten]
    return forgotten
