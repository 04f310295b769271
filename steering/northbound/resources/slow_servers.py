"""Servers that MPTCP makes slow, as MCPs' own words (N-5.6.1d): kept in memory, until each entry's time is over."""

import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class SlowServers:
    """By MCP, the last report in place of the one before. `now`: seconds since 1970."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._told: dict[str, dict[str, float]] = {}

    def told(self, mcp: str, servers: dict[str, float]) -> None:
        """Addresses and when each entry ends."""
        self._told[mcp] = servers

    def of(self, mcp: str) -> list[Json]:
        """[{"address", "until"}], the last to end first; what is over is left out."""
        now = self._now()
        left = sorted(self._told.get(mcp, {}).items(), key=lambda one: -one[1])
        return [{"address": address, "until": until} for address, until in left if until > now]
