"""The owner of a bearer token, and what the token may do."""

from enum import StrEnum
from typing import NamedTuple

from steering.model.source import Network


class Role(StrEnum):
    """What a bearer token may do."""

    READER = "reader"  # may read everything but the policy's text
    OPERATOR = "operator"  # may do everything
    MCP = "mcp"  # belongs to one MCP: may report its load and read its events
    DEVICE = "device"  # belongs to a host or CPE: may read health and the list of MCPs (N-7.3b)


class Identity(NamedTuple):
    """The owner of a token. `id`: the name in logs. `mcp`: the MCP to which a token of role mcp belongs. `addresses`: what a token
    of role device may be paired with; empty: each address that no other device has."""

    id: str
    role: Role
    name: str = ""
    mcp: str = ""
    addresses: tuple[Network, ...] = ()
