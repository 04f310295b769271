"""The switches that the engine knows, and their ports."""

from collections.abc import Collection, Iterable, Mapping

from steering.core.outputs import Output, SyncRules
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef

MAX_SWITCHES = 4_096


class Switch:
    """A switch that is connected, or once was. `filled`: it holds all rules that it should. `fills`: how often it was
    filled. `ports`: port -> whether it is up."""

    __slots__ = ("connected", "filled", "fills", "names", "ports", "speeds", "takes_groups")

    def __init__(self) -> None:
        self.connected = False
        self.filled = False
        self.fills = 0
        self.ports: dict[PortNumber, bool] = {}
        self.names: dict[PortNumber, str] = {}  # port -> the switch's name for it
        self.speeds: dict[PortNumber, int] = {}  # port -> kbit/s; without ports that report no speed
        self.takes_groups = True  # False once the switch has refused a group

    def came_up(self, speeds: Mapping[PortNumber, int], names: Mapping[PortNumber, str]) -> None:
        """The switch has connected. It is not filled yet."""
        self.connected, self.filled = True, False
        self.speeds, self.names = dict(speeds), dict(names)

    def take(self, port: PortNumber, up: bool, name: str, speed: int = 0) -> None:
        """Note a port's state, its name if `name` is not empty, and its speed if that is not 0."""
        self.ports[port] = up
        if name:
            self.names[port] = name
        if speed:
            self.speeds[port] = speed

    def drop(self, port: PortNumber, gone: bool = True) -> bool | None:
        """Forget a port, which changes or goes. The speed of one that changes stays. Returns the state it had, or None if it
        was not known."""
        self.names.pop(port, None)
        if gone:
            self.speeds.pop(port, None)
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
        """The outputs without rule changes for switches that are not filled yet: filling a switch sends all its rules."""
        return [o for o in outputs if not isinstance(o, SyncRules) or self.is_filled(o.dpid)]

    def is_connected(self, dpid: DatapathId) -> bool:
        """Whether a switch is connected now."""
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
    """Forget one switch if MAX_SWITCHES are known and the unknown switch `dpid` connects. Any device may claim any
    datapath id, so the number must be bounded. The switch to forget is the one known for longest that is neither
    connected nor `needed` (it has an attachment). Returns its datapath id, or None."""
    if dpid in switches or len(switches) < MAX_SWITCHES:
        return None
    spare = (known for known, one in switches.items() if not one.connected and known not in needed)
    forgotten = next(spare, None)
    if forgotten is not None:
        del switches[forgotten]
    return forgotten
