"""A port that gets many times as many SYNs as its meter lets through is flooded: its meter is cut further down, to
spare all other ports.

In such a flood no honest SYN had a chance, while each SYN that passes costs a decision, entries on three switches
and an MCP's answer. With 200 a second of 30,000 let through, the p95 of other accesses' set-ups was 226 ms; cut to
20 a second it was 109 ms (medians of three runs, in turns, on a busy machine; lab flood, N-7.2c).
"""

from collections.abc import Mapping

from steering.core.counters import Counters
from steering.core.inputs import Input, SynRate
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, SyncRules
from steering.core.part import Handler, Part
from steering.model.ids import DatapathId
from steering.model.network import PortRef
from steering.model.policy import Policy
from steering.model.rules import Meter, MeterBand

FLOODED, OVER = 10, 5  # times a meter's rate at which a port counts as flooded, and below which no more
CUT = 10  # a flooded port's meter lets this part of its rate through


class SynFloods(Part):
    """Watches the ports' rates and cuts meters. `disabled`, for the negative control: no meter is ever cut."""

    def __init__(self, sitemap: SiteMap, policy: Policy, counters: Counters, disabled: bool = False) -> None:
        self._map = sitemap
        self._counters = counters
        self._limit = policy.meters.syn_per_port
        self._disabled = disabled
        self._cut: set[PortRef] = set()

    def takes(self) -> Mapping[type[Input], Handler]:
        return {SynRate: self.rate}

    def rate(self, told: SynRate, now: float) -> list[Output]:
        """A port's rate was measured: SYNs a second, and what its meter lets through by the policy."""
        limit = self._limit
        port = PortRef(told.dpid, told.port)
        attachment = self._map.attachments.get(port)
        if attachment is None or attachment.role.is_mcp or self._disabled:
            return []
        if port not in self._cut and told.rate >= FLOODED * limit:
            self._cut.add(port)
            self._counters.floods += 1
            return [self._meter(port, max(1, limit // CUT))]
        if port in self._cut and told.rate < OVER * limit:
            self._cut.discard(port)
            return [self._meter(port, limit)]
        return []

    def filled(self, dpid: DatapathId) -> None:
        """A switch was filled with the meters of the policy. If a port is still flooded, its next count tells so."""
        self._cut = {port for port in self._cut if port.dpid != dpid}

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Ports get other limits, and all meters are as the policy says. A flooded port's meter is cut again at its
        next count."""
        if policy.meters.syn_per_port != self._limit:
            self._limit = policy.meters.syn_per_port
            self._cut.clear()
        return []

    @staticmethod
    def _meter(port: PortRef, rate: int) -> SyncRules:
        return SyncRules(
            port.dpid, (), (), (MeterBand(Meter.SYN_BASE + port.port, rate, max(10, rate // 10)),)
        )
