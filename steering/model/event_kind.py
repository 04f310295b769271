"""The kinds of events in the controller's event streams."""

from enum import StrEnum


class EventKind(StrEnum):
    SESSION = "session"
    SUBFLOW = "subflow"
    REFUSAL = "refusal"
    TOPOLOGY = "topology"
    POLICY = "policy"
    ACCESS = "access"
    DRAIN = "drain"
    RESERVATION = "reservation"
    ALARM = "alarm"  # raised or cleared
    BINDING = "binding"  # a port binding changed; for all readers
    OMITTED = "omitted"  # stands for events that were left out, because too many happened at once
    RESET = "reset"  # the reader has missed events, of one controller where the event names it
    CONTROLLER = "controller"  # the stream of another controller was lost, or is back
    SUBFLOWS = "subflows"  # intents about subflows, for one MCP
    BINDINGS = "bindings"  # all port bindings of one MCP
