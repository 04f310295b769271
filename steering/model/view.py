"""Filters for lists of a running controller's sessions."""

from collections.abc import Callable
from typing import NamedTuple

Pause = Callable[[], None]  # lets others have a turn, in the middle of something long


def no_pause() -> None:
    """Nobody else wants a turn."""


class SessionFilter(NamedTuple):
    """Which sessions to list. None stands for any. `token`: 32 bits. `client`: an address as packed bytes."""

    mcp: str | None = None
    state: str | None = None
    token: int | None = None
    client: bytes | None = None
