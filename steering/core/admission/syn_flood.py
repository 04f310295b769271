"""A port that gets many times as many SYNs as its meter lets through is flooded: its meter is cut further down, to
spare all other ports.

In such a flood no honest SYN had a chance, while each SYN that passes costs a decision, entries on three switches
and an MCP's answer. With 200 a second of 30,000 let through, the p95 of other accesses' set-ups was 226 ms; cut to
20 a second it was 109 ms (medians of three runs, in turns, on a busy machine; lab flood, N-7.2c).

Known hosts of an access port that is short have meters of their own meanwhile (core.pipeline.known_hosts).
"""

from collections.abc import Mapping
from typing import Protocol

from steering.core.counters import Counters
from steering.core.inputs import HostSynsLost, Input, SynRate
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, SyncRules
from steering.core.part import Handler, Part
from steering.model.ids import DatapathId
from steering.model.network import PortRef, PortRole, Waypoint
from steering.model.policy import Policy
from steering.model.rules import Meter, MeterBand

FLOODED, OVER = 10, 5  # times a meter's rate at which a port counts as flooded, and below which no more
CUT = 10  # a flooded port's meter lets this part of its rate through


class HostMeters(Protocol):
    """Who gives known hosts meters of their own."""

    def counted(self, at: Waypoint, rate: float, now: float) -> list[Output]:
        """So many SYNs a second came to the meter of an access port."""

    def dropped(self, dpid: DatapathId, meter: int, now: float) -> PortRef | None:
        """A host's own meter dropped SYNs: its port, None for a meter that is nobody's."""

    def filled(self, dpid: DatapathId) -> None: ...

    def policy_replaced(self, policy: Policy) -> None: ...


class SynFloods(Part):
    """Watches the ports' rates and cuts meters. `disabled`, for the negative control: no meter is ever cut."""

    def __init__(
        self, sitemap: SiteMap, policy: Policy, counters: Counters, disabled: bool, hosts: HostMeters
    ) -> None:
        self._map = sitemap
        self._counters = counters
        self._hosts = hosts
        self._limit = policy.meters.syn_per_port
        self._disabled = disabled
        self._cut: set[PortRef] = set()

    def takes(self) -> Mapping[type[Input], Handler]:
        return {SynRate: self.rate, HostSynsLost: self.hosts_lost}

    def rate(self, told: SynRate, now: float) -> list[Output]:
        """A port's rate was measured: SYNs a second, and what its meter lets through by the policy."""
        port = PortRef(told.dpid, told.port)
        attachment = self._map.attachments.get(port)
        if attachment is None or attachment.role.is_mcp:
            return []
        outputs = [] if self._disabled else self._watch(port, told.rate)
        if attachment.role is PortRole.ACCESS:
            outputs += self._hosts.counted(attachment.waypoint, told.rate, now)
        return outputs

    def hosts_lost(self, told: HostSynsLost, now: float) -> list[Output]:
        """So many SYNs of hosts with meters of their own were dropped."""
        for meter, count in told.lost:
            port = self._hosts.dropped(told.dpid, meter, now)
            if port is not None:
                self._counters.syns_dropped[self._map.attachments[port].name] += count
        return []

    def _watch(self, port: PortRef, rate: float) -> list[Output]:
        limit = self._limit
        if port not in self._cut and rate >= FLOODED * limit:
            self._cut.add(port)
            self._counters.floods += 1
            return [self._meter(port, max(1, limit // CUT))]
        if port in self._cut and rate < OVER * limit:
            self._cut.discard(port)
            return [self._meter(port, limit)]
        return []

    def filled(self, dpid: DatapathId) -> None:
        """A switch was filled with the meters of the policy. If a port is still flooded, its next count tells so."""
        self._cut = {port for port in self._cut if port.dpid != dpid}
        self._hosts.filled(dpid)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Ports get other limits, and all meters are as the policy says. A flooded port's meter is cut again at its
        next count."""
        self._hosts.policy_replaced(policy)
        if policy.meters.syn_per_port != self._limit:
            self._limit = policy.meters.syn_per_port
            self._cut.clear()
        return []

    @staticmethod
    def _meter(port: PortRef, rate: int) -> SyncRules:
        return SyncRules(
            port.dpid, (), (), (MeterBand(Meter.SYN_BASE + port.port, rate, max(10, rate // 10)),)
        )
