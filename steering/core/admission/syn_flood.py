"""Lowers the meter of a flooded port, to protect all other ports. A port is flooded if it gets many times as many SYNs as
its meter lets through.

In such a flood an honest SYN hardly gets through anyway, while each SYN that passes costs a decision, entries on three
switches and an MCP's answer. With 200 of 30,000 SYNs per second let through, the 95th percentile of set-up times at other
accesses was 226 ms. With 20 per second it was 109 ms (medians of three alternating runs on a busy machine; lab flood,
N-7.2c).

Meanwhile known hosts of the flooded port have meters of their own (core.pipeline.known_hosts).
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

FLOODED, OVER = 10, 5  # multiples of the meter's rate: a flood begins at the first, and ends below the second
CUT = 10  # divisor of the meter's rate during a flood


class HostMeters(Protocol):
    """Gives known hosts meters of their own."""

    def counted(self, at: Waypoint, rate: float, now: float) -> list[Output]:
        """The meter of an access port has counted `rate` SYNs per second."""

    def dropped(self, dpid: DatapathId, meter: int, now: float) -> PortRef | None:
        """The meter of a host has dropped SYNs. Returns the host's port, None for a meter of no host."""

    def filled(self, dpid: DatapathId) -> None: ...

    def policy_replaced(self, policy: Policy) -> None: ...


class SynFloods(Part):
    """Watches the SYN rates of ports and lowers meters. `disabled`, for the negative control: no meter is ever lowered."""

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
        """A port's SYN rate was measured."""
        port = PortRef(told.dpid, told.port)
        attachment = self._map.attachments.get(port)
        if attachment is None or attachment.role.is_mcp:
            return []
        outputs = [] if self._disabled else self._watch(port, told.rate)
        if attachment.role is PortRole.ACCESS:
            outputs += self._hosts.counted(attachment.waypoint, told.rate, now)
        return outputs

    def hosts_lost(self, told: HostSynsLost, now: float) -> list[Output]:
        """Count SYNs that the meters of single hosts have dropped."""
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
        """A switch was filled, with the meters of the policy. The meter of a port that is still flooded is lowered again
        after its next measurement."""
        self._cut = {port for port in self._cut if port.dpid != dpid}
        self._hosts.filled(dpid)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Another policy is in force. If it has another rate, all meters get the new rate. The meter of a flooded port is
        lowered again after its next measurement."""
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
