"""What the engine remembers of a switch."""

from steering.model.rules import FieldValue, Rule

RuleKey = tuple[int, int, tuple[tuple[str, FieldValue], ...]]


class Switch:
    """A switch that is, or once was, connected."""

    __slots__ = ("connected", "filled", "fills", "installed", "ports")

    def __init__(self) -> None:
        self.connected = False
        self.filled = False
        self.fills = 0
        self.ports: dict[int, bool] = {}
        self.installed: dict[RuleKey, Rule] = {}  # static rules
