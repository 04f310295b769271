"""Keeps over a restart of the controller how each MCP shows that it lives.

Without this, an MCP that froze while no controller ran looks like one that never reported, and one whose process ended then
like one that is only starting. An MCP is forgotten when the site file no longer names it.
"""

from collections.abc import Mapping
from typing import ClassVar

from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import McpsChange, Part
from steering.core.selection.mcp_health import McpHealth
from steering.core.selection.mcp_probes import McpProbes
from steering.model.ids import McpId
from steering.model.kept import KeptMcp, KeptNetwork, KeptState, LostPiece, Piece


class KeptMcps(Part):
    """`health`: of each MCP, by id. `waits`: whether MCPs have to report to this controller again. In a cluster they do not: an
    MCP's reports go to one address, which another controller may have by now."""

    keeps: ClassVar[Piece | None] = Piece.NETWORK

    def __init__(
        self, sitemap: SiteMap, health: Mapping[McpId, McpHealth], probes: McpProbes, waits: bool
    ) -> None:
        self._map = sitemap
        self._health = health
        self._probes = probes
        self._waits = waits
        self._awaited: dict[
            McpId, float | None
        ] = {}  # MCPs that have to report again, until a switch connects -> their pace
        self._told: tuple[KeptMcp, ...] = ()
        self._revision = 0

    @property
    def revision(self) -> int:
        shown = self._shown()
        if shown != self._told:
            self._told = shown
            self._revision += 1
        return self._revision

    def snapshot(self, now: float) -> KeptState:
        return KeptState(network=KeptNetwork((), (), self._shown()))

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        """Recall what MCPs of the site have shown. The records of other MCPs are old, and not missing."""
        ids = {mcp.name: number for number, mcp in self._map.mcps.items()}
        for told in kept.network.mcps:
            number = ids.get(told.name)
            if number is None:
                continue
            if told.answers:
                self._probes.recall(number)
            if told.reports and self._waits:
                self._awaited[number] = told.pace or None
                self._health[number].await_report(self._awaited[number], now)
        return {}

    def reachable(self, now: float) -> None:
        """The first switch has connected. The network of this controller may have come up only now, so relays have their time from
        now on."""
        for number, pace in self._awaited.items():
            self._health[number].await_report(pace, now)
        self._awaited.clear()

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        for number in {*change.gone, *change.others}:
            self._awaited.pop(number, None)
        return []

    def _shown(self) -> tuple[KeptMcp, ...]:
        found = (
            KeptMcp(
                mcp.name,
                self._health[number].reports,
                self._health[number].pace,
                self._probes.answers(number),
            )
            for number, mcp in self._map.mcps.items()
        )
        return tuple([one for one in found if one.reports or one.answers])
