"""Filters for lists of a running controller's sessions."""

from typing import NamedTuple


class SessionFilter(NamedTuple):
    """Which sessions to list. None stands for any. `token`: 32 bits. `client`: an address as packed bytes."""

    mcp: str | None = None
    state: str | None = None
    token: int | None = None
    client: bytes | None = None
