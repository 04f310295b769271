"""Inputs for the reports of MCPs: about themselves, and about the sessions that they serve."""

from typing import NamedTuple

from steering.model.ids import McpId, Token


class McpReport(NamedTuple):
    """An MCP's report about itself. `load`: 0 to 1, None if not reported. `pace`: the MCP promises its next report within
    so many seconds, None for no promise."""

    mcp: McpId
    alive: bool
    load: float | None
    pace: float | None = None


class SessionBegan(NamedTuple):
    """An MCP reports that it serves a session.

    `id`: the session's number in one generation of the MCP. `token`: made from the MCP's key, NO_TOKEN for plain TCP.
    Addresses (4 or 16 bytes) and ports are those of the first subflow, `src` at the host's end.
    """

    id: int
    token: Token
    src: bytes
    sport: int
    dst: bytes
    dport: int


class SessionOver(NamedTuple):
    """An MCP reports that a session is over. `orderly`: both directions were closed, and some segments may still be under
    way."""

    id: int
    token: Token
    orderly: bool


class McpSessions(NamedTuple):
    """A batch of an MCP's reports about its sessions (docs/relay-reports.rst). `part`: 0 for a batch of changes, else the
    number of this part of the whole set of live sessions. `last`: the whole set is complete with this part."""

    mcp: McpId
    generation: str
    sequence: int
    part: int
    last: bool
    events: tuple[SessionBegan | SessionOver, ...]
