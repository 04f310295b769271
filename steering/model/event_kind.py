"""The kinds of events that the controller's streams tell."""

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
    BINDING = "binding"  # what changed, for everybody
    OMITTED = "omitted"  # more happened than one look tells
    RESET = "reset"  # something was missed
    SUBFLOWS = "subflows"  # intents, for one MCP
    BINDINGS = "bindings"  # all of one MCP's
