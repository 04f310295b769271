"""Servers that are slow with MPTCP, as MCPs report them (N-5.6.1d). The reports are kept in memory until each entry's end."""

import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class SlowServers:
    """The last report of each MCP. `now`: seconds since 1970."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._told: dict[str, dict[str, float]] = {}

    def told(self, mcp: str, servers: dict[str, float]) -> None:
        """Replace the report of an MCP. `servers`: address -> end of the entry, seconds since 1970."""
        self._told[mcp] = servers

    def of(self, mcp: str) -> list[Json]:
        """[{"address", "until"}], the entry that ends last first; entries that are over are left out."""
        now = self._now()
        left = sorted(self._told.get(mcp, {}).items(), key=lambda one: -one[1])
        return [{"address": address, "until": until} for address, until in left if until > now]
