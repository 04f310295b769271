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
    OMITTED = "omitted"  # more events happened at once than are told
    RESET = "reset"  # the reader has missed events; of one controller, where it is named
    CONTROLLER = "controller"  # another controller of the cluster is not heard, or is heard again
    SUBFLOWS = "subflows"  # intents about subflows, for one MCP
    BINDINGS = "bindings"  # all port bindings of one MCP
