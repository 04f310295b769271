"""What is watched over: kinds of things that are expected to be there."""

from enum import StrEnum


class ThingKind(StrEnum):
    """What the site expects."""

    SWITCH = "switch"
    LINK = "link"
    ATTACHMENT = "attachment"
    MCP = "mcp"
