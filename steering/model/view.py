"""Filters for lists of a running controller's sessions."""

from collections.abc import Callable
from typing import NamedTuple

Pause = Callable[[], None]  # lets other green threads run in the middle of long work


def no_pause() -> None:
    """Do nothing: for callers without other green threads."""


class SessionFilter(NamedTuple):
    """Which sessions to list. A field that is None excludes nothing. `token`: 32 bits. `client`: an address as packed
    bytes."""

    mcp: str | None = None
    state: str | None = None
    token: int | None = None
    client: bytes | None = None
