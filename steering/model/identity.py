"""Who a bearer token is, and what it may do."""

from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What a bearer token may do."""

    READER = "reader"  # sees, but not the policy's text
    OPERATOR = "operator"  # everything
    MCP = "mcp"  # one MCP: reports its own load, hears its own events
    DEVICE = "device"  # a host or CPE: health and the list of MCPs (N-7.3b)


class Identity(NamedTuple):
    """Who a token is. `id` is what logs say; `mcp` the MCP that a token of role mcp is bound to."""

    id: str
    role: Role
    name: str = ""
    mcp: str = ""
